"""Our client pays, reverses and asks through our sandbox; Results, status, balance and ledger agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penpay.domain.mpesa.b2b_result import parse_b2b_result
from penpay.domain.mpesa.b2c_result import parse_b2c_result
from penpay.domain.mpesa.balance_result import parse_balance_result
from penpay.domain.mpesa.gateway import B2bCommand, CallOutcome, PaymentOutcome
from penpay.domain.mpesa.reversal_result import parse_reversal_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.domain.shared.phone import PhoneNumber
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.faults import DarajaCall, Spoilt, SpoiltReply
from tests.contract.daraja.both import RECEIVER, START, STRANGER, SUPPLIER, SUPPLIERS_TILL, Both
from tests.contract.daraja.conftest import BothMaker
from tests.contract.sandbox.organisation import PASSWORD
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, kes

pytestmark = pytest.mark.asyncio(loop_scope="module")

# -- B2C


async def test_a_customer_is_paid(fresh: Both) -> None:
    """Accepted, then told with receipt, funds and receiver; asked by receipt and by our id, paid fresh times."""
    payment = fresh.payout(300)

    answer = await fresh.client.pay.pay_customer(payment)

    assert (CallOutcome.ACCEPTED, False, payment.originator_conversation_id) == (
        answer.outcome,
        answer.existed,
        answer.originator_conversation_id,
    )
    result = await fresh.told(payment.callback_token, parse_b2c_result)
    assert (ResultOutcome.SUCCEEDED, kes(300), True) == (
        result.outcome,
        result.amount.money,
        result.receiver_registered,
    )
    assert (kes(19_700), kes(10_000), kes(0)) == (result.utility_funds, result.working_funds, result.charges_paid)
    assert (answer.conversation_id, payment.originator_conversation_id) == (
        result.result.conversation_id,
        result.result.originator_conversation_id,
    )
    assert result.receiver.startswith(OTHER_PAYER)
    for asked in ({"receipt": result.receipt}, {"id_": payment.originator_conversation_id}):
        status = await fresh.status(**asked)
        assert (PaymentOutcome.PAID, kes(300), result.receipt, payment.originator_conversation_id) == (
            status.payment,
            status.amount.money,
            status.receipt,
            status.originator_conversation_id,
        )
        assert status.finalised_at == result.completed_at
    assert replace(START, receiver=305, utility=19_700) == await fresh.books()


@pytest.mark.parametrize(
    ("why", "shillings", "phone", "code"),
    [
        ("utility holds too little", 20_001, RECEIVER, "1"),
        ("below ten", 9, RECEIVER, "2"),
        ("above the maximum", 250_001, RECEIVER, "3"),
        ("no wallet", 100, STRANGER, "2040"),
    ],
)
async def test_a_payment_that_cannot_be_made_is_final(
    both: Both, why: str, shillings: int, phone: PhoneNumber, code: str
) -> None:
    """A listed code, the status Declined, the id used up, and nothing has moved."""
    payment = both.payout(shillings, phone)
    assert CallOutcome.ACCEPTED is (await both.client.pay.pay_customer(payment)).outcome

    result = await both.told(payment.callback_token, parse_b2c_result)

    assert (ResultOutcome.FAILED, code, None) == (result.outcome, result.result.result_code, result.receipt), why
    status = await both.status(id_=payment.originator_conversation_id)
    assert (PaymentOutcome.FAILED, "Declined") == (status.payment, status.status)
    again = await both.client.pay.pay_customer(payment)
    assert (CallOutcome.ACCEPTED, True) == (again.outcome, again.existed)
    assert START == await both.books()


async def test_the_same_id_is_paid_once(both: Both) -> None:
    """The second is answered as received before, and brings no Result of its own."""
    payment = both.payout()
    for existed in (False, True):
        answer = await both.client.pay.pay_customer(payment)
        assert (CallOutcome.ACCEPTED, existed) == (answer.outcome, answer.existed)
    assert replace(START, receiver=105, utility=19_900) == await both.books()
    assert 1 == len(both.inbox.bodies("result", payment.callback_token))


@pytest.mark.parametrize("done", [True, False])
async def test_a_payment_whose_answer_was_lost_is_sent_again_and_paid_once(both: Both, *, done: bool) -> None:
    """Unknown at first; under the same id it is safe, whether the first one had arrived or not."""
    both.goes_wrong(SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.CUT, done=done))
    payment = both.payout()

    lost, again = [await both.client.pay.pay_customer(payment) for _ in range(2)]

    assert (CallOutcome.UNKNOWN, CallOutcome.ACCEPTED, done) == (lost.outcome, again.outcome, again.existed)
    assert ResultOutcome.SUCCEEDED is (await both.told(payment.callback_token, parse_b2c_result)).outcome
    assert replace(START, receiver=105, utility=19_900) == await both.books()


# -- status and balance


@pytest.mark.parametrize(
    ("asked", "code"), [({"receipt": "UKL0000001"}, "2032"), ({"id_": f"{PAYBILL}-never-sent"}, "2032")]
)
async def test_a_payment_that_never_was_has_no_status(both: Both, asked: dict[str, str], code: str) -> None:
    """The question fails; of the payment that says nothing."""
    status = await both.status(**asked)
    assert (code, ResultOutcome.FAILED, PaymentOutcome.UNKNOWN, None) == (
        status.result.result_code,
        status.outcome,
        status.payment,
        status.receipt,
    )


async def test_the_balance_is_told_by_account_and_to_the_cent(fresh: Both) -> None:
    """Utility and Working as the ledger has them, the others empty."""
    token = fresh.name()
    assert CallOutcome.ACCEPTED is (await fresh.client.pay.account_balance(token)).outcome

    told = await fresh.told(token, parse_balance_result)

    assert ResultOutcome.SUCCEEDED is told.outcome
    assert {
        "Working Account": 1_000_000,
        "Float Account": 0,
        "Utility Account": 2_000_000,
        "Charges Paid Account": 0,
        "Organization Settlement Account": 0,
    } == {name: funds.available.cents for name, funds in told.accounts.items()}
    assert {True} == {funds.current == funds.available + funds.reserved for funds in told.accounts.values()}
    assert START == await fresh.books()


# -- reversals


async def test_a_payment_is_given_back_once(both: Both) -> None:
    """The whole of it; a second time somebody was there before, of which the client concludes nothing."""
    receipt = await both.earned(400)
    first, second = both.reversal(receipt, 400), both.reversal(receipt, 400)

    accepted = await both.client.pay.reverse(first)
    result = await both.told(first.callback_token, parse_reversal_result)

    assert CallOutcome.ACCEPTED is accepted.outcome
    assert (ResultOutcome.SUCCEEDED, kes(400), receipt, kes(0)) == (
        result.outcome,
        result.amount.money,
        result.original_receipt,
        result.charge,
    )
    assert result.receipt not in {None, receipt}
    status = await both.status(id_=accepted.originator_conversation_id)
    assert (PaymentOutcome.PAID, result.receipt) == (status.payment, status.receipt)

    again = await both.client.pay.reverse(second)
    told = await both.told(second.callback_token, parse_reversal_result)
    assert (CallOutcome.ACCEPTED, ResultOutcome.UNKNOWN, True) == (again.outcome, told.outcome, told.already_reversed)
    declined = await both.status(id_=again.originator_conversation_id)
    assert (PaymentOutcome.FAILED, "Declined") == (declined.payment, declined.status)
    assert START == await both.books()


async def test_a_part_is_given_back_and_never_the_rest(both: Both) -> None:
    """More than was paid tells nothing by its code; after a part, "already reversed" does not mean all of it."""
    receipt = await both.earned(400)
    told = []
    for shillings in (401, 150, 250):
        reversal = both.reversal(receipt, shillings)
        await both.client.pay.reverse(reversal)
        result = await both.told(reversal.callback_token, parse_reversal_result)
        told.append((result.outcome, result.result.result_code, result.already_reversed))
    assert [
        (ResultOutcome.UNKNOWN, "25", False),
        (ResultOutcome.SUCCEEDED, "0", False),
        (ResultOutcome.UNKNOWN, "R000001", True),
    ] == told
    assert replace(START, user=9_750, utility=20_250) == await both.books()


async def test_what_was_never_paid_is_not_given_back(both: Both) -> None:
    """A listed code, so final."""
    reversal = both.reversal("UKL0000001")
    await both.client.pay.reverse(reversal)
    told = await both.told(reversal.callback_token, parse_reversal_result)
    assert (ResultOutcome.FAILED, "R000002") == (told.outcome, told.result.result_code)
    assert START == await both.books()


# -- B2B


@pytest.mark.parametrize(
    ("command", "receiver"), [(B2bCommand.PAY_BILL, SUPPLIER), (B2bCommand.BUY_GOODS, SUPPLIERS_TILL)]
)
async def test_a_business_is_paid(both: Both, command: B2bCommand, receiver: str) -> None:
    """Out of the Working account; Result and status in cents."""
    payment = both.bill(190, receiver, command)

    answer = await both.client.pay.pay_business(payment)

    result = await both.told(payment.callback_token, parse_b2b_result)
    assert (CallOutcome.ACCEPTED, ResultOutcome.SUCCEEDED) == (answer.outcome, result.outcome)
    assert (kes(190), "INV-1") == (result.amount.money, result.account_reference)
    assert result.debit_balance == (await both.balance())["Working Account"].available
    assert result.receiver.startswith(receiver)
    assert result.completed_at is not None
    status = await both.status(id_=answer.originator_conversation_id)
    assert (PaymentOutcome.PAID, kes(190), result.receipt) == (status.payment, status.amount.money, status.receipt)
    assert replace(START, working=9_810) == await both.books()


@pytest.mark.parametrize(
    ("shillings", "receiver", "code", "outcome"),
    [
        (100, "600999", "SFC_IC0003", ResultOutcome.FAILED),
        (10_001, SUPPLIER, "1", ResultOutcome.UNKNOWN),
        (100, SUPPLIERS_TILL, "2028", ResultOutcome.UNKNOWN),
    ],
)
async def test_a_business_that_cannot_be_paid_is_asked_about(
    both: Both, shillings: int, receiver: str, code: str, outcome: ResultOutcome
) -> None:
    """Nearly all codes of B2B are undocumented, so the status tells by the id Daraja gave: declined, nothing moved."""
    payment = both.bill(shillings, receiver)
    answer = await both.client.pay.pay_business(payment)

    result = await both.told(payment.callback_token, parse_b2b_result)

    assert (code, outcome) == (result.result.result_code, result.outcome)
    status = await both.status(id_=answer.originator_conversation_id)
    assert (PaymentOutcome.FAILED, "Declined") == (status.payment, status.status)
    assert START == await both.books()


# -- the initiator


async def test_the_initiators_password_is_checked(make_both: BothMaker) -> None:
    """Sealed with the sandbox's certificate it passes; three wrong ones lock it, for people to put right."""
    async with make_both(DarajaSwitches(check_security_credentials=True)) as both:
        wrong = both.make_client(password="not " + PASSWORD)
        told = []
        for client in (both.client, wrong, wrong, wrong, both.client):
            payment = both.payout()
            assert CallOutcome.ACCEPTED is (await client.pay.pay_customer(payment)).outcome
            result = await both.told(payment.callback_token, parse_b2c_result)
            told.append((result.result.result_code, result.outcome))
        right, refused = ("0", ResultOutcome.SUCCEEDED), ("2001", ResultOutcome.MISCONFIGURED)
        assert [right, refused, refused, refused, ("8006", ResultOutcome.MISCONFIGURED)] == told
        assert replace(START, receiver=105, utility=19_900) == await both.books()
