"""Whatever the operator's people do, the trust account holds what is owed, and nobody holds less than nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from penpay.application.mobile_money.approving import Actor
from penpay.application.mobile_money.care import ChangeStatus
from penpay.application.mobile_money.daraja_requests import AcceptRequest, CarryOut, Outcome
from penpay.application.mobile_money.float_issue import EnterBankDeposit, PayCommission, Sweep
from penpay.application.mobile_money.reversing import Reverse
from penpay.application.mobile_money.settling import SettleCharges
from penpay.application.mobile_money.tariff_file import parse_tariff
from penpay.application.mobile_money.tariffs import LoadTariff
from penpay.domain.mobile_money.customer import CustomerStatus
from penpay.domain.mobile_money.daraja_request import RequestDetails, RequestKind
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.domain.mobile_money.tariff import PayBillPlan
from penpay.domain.mobile_money.transaction import Operation, OperatorTransactionId
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.sql.queries import SqlLedgerBooks
from tests.contract.operator.stage import Stage, opened

SHOP, SUPPLIER = "600500", "600501"
REQUESTS = {
    "payout": (RequestKind.B2C, "BusinessPayment"),
    "to working": (RequestKind.B2B, "MerchantTransferFromMerchantToWorking"),
    "to supplier": (RequestKind.B2B, "BusinessPayBill"),
    "return": (RequestKind.REVERSAL, "TransactionReversal"),
}
"""What the shop asks through Daraja, as the calls name it."""
PEOPLE = ("chief", "agent", "shop", "first", "second")


@dataclass(frozen=True)
class Step:
    """One thing somebody does, allowed or not."""

    what: str
    who: str
    whom: str
    cents: int


steps = st.builds(
    Step,
    what=st.sampled_from(
        [
            *("DEPOSIT", "WITHDRAW", "TRANSFER", "bank", "own", "fees", "excise", "commission", "reverse", "freeze"),
            *("payout", "to working", "to supplier", "return", "settle"),
        ]
    ),
    who=st.sampled_from(PEOPLE),
    whom=st.sampled_from(PEOPLE),
    cents=st.one_of(
        st.integers(1, 600_00), st.sampled_from([10_00, 500_00, 1_000_00, 9_999_99, 10_000_00, 300_000_00])
    ),
)


# Unshrunk: each example is a database of its own, and a list of forty steps can be read as it is.
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.reuse, Phase.generate])
@given(done=st.lists(steps, min_size=5, max_size=40), public_tariff=st.booleans())
def test_the_trust_account_holds_what_is_owed_after_anything(done: Sequence[Step], *, public_tariff: bool) -> None:
    """Every shilling issued, moved, charged, earned, swept and given back, in any order."""
    with TemporaryDirectory() as folder:
        asyncio.run(_all(Path(folder), done, public_tariff=public_tariff))


async def _all(folder: Path, done: Sequence[Step], *, public_tariff: bool) -> None:
    async with opened(f"sqlite+aiosqlite:///{folder / 'operator.sqlite3'}") as stage:
        await stage.network()
        if public_tariff:
            tariff = parse_tariff((resources.files("penpay") / "data" / "mpesa-2023-07.json").read_bytes())
            await stage.do(LoadTariff(tariff=tariff, by="operator"))
        first = await stage.move(Operation.DEPOSIT, "agent", "first", 1_000)
        moved = [UUID(str(first["transactionId"]))]
        paid = await _merchants(stage)
        for number, step in enumerate(done):
            before = await _holdings(stage)
            try:
                made = await _done(stage, step, number, moved, paid)
            except DomainError:
                assert before == await _holdings(stage), f"{step} was refused and changed something"
                continue
            moved += [] if made is None else [made]
            found = await stage.process.operator.books.reconciliation()
            assert (0, True) == (found.difference.cents, found.is_covered), step
            assert found.charges_paid == -found.unsettled_charges, step
        assert await stage.agrees()
        assert all(cents >= 0 for cents in (await _holdings(stage)).values())


async def _merchants(stage: Stage) -> str:
    """A PayBill for the shop, with 400 paid into it, and a supplier's; the receipt of that payment."""
    operator = stage.process.operator
    await operator.open_number(stage.people["shop"].id, SHOP, "SHOP", NumberKind.PAYBILL, PayBillPlan.CUSTOMER_PAYS)
    await operator.register_merchant(SUPPLIER, "SUPPLIER")
    payment = stage.moving(Operation.TRANSFER, "first", "shop", Money(400_00, Currency.KES))
    return str((await stage.do(payment))["receipt"])


async def _done(stage: Stage, step: Step, number: int, moved: Sequence[UUID], paid: str) -> UUID | None:
    """The id of what moved under a receipt. Raises DomainError for what is refused."""
    if step.what not in REQUESTS:
        answer = await stage.do(_command(stage, step, number, moved))
        return UUID(str(answer["transactionId"])) if "receipt" in answer else None
    before = await _holdings(stage)
    operator = stage.process.operator
    request = await operator.do(_request(stage, step, number, paid))
    outcome: Outcome = await operator.do(CarryOut(request=request))
    if outcome.transaction is None:
        assert before == await _holdings(stage), f"{step} was declined and changed something"
        return None
    return outcome.transaction.id


def _request(stage: Stage, step: Step, number: int, paid: str) -> AcceptRequest:
    """As the shop asks for it through Daraja."""
    kind, command = REQUESTS[step.what]
    phone = stage.people[step.whom].phone
    parties = {
        "payout": "+254712000001" if phone is None else phone.e164,
        "to working": SHOP,
        "to supplier": SUPPLIER,
        "return": "",
    }
    details = RequestDetails(
        command=command,
        initiator="testapi",
        security_credential="",
        party=parties[step.what],
        reference=paid,
        conversation="",
        occasion="",
        result_url="",
        queue_timeout_url="",
        body="",
    )
    return AcceptRequest(
        kind=kind,
        short_code=SHOP,
        originator_conversation_id=f"O{number}",
        conversation_id=f"C{number}",
        amount=Money(step.cents, Currency.KES),
        details=details,
    )


def _command(stage: Stage, step: Step, number: int, moved: Sequence[UUID]) -> object:
    amount, by = Money(step.cents, Currency.KES), stage.administrator.id
    who = stage.people[step.who]
    if step.what in Operation.__members__:
        return stage.moving(Operation(step.what), step.who, step.whom, amount)
    status = CustomerStatus.FROZEN if step.cents % 2 else CustomerStatus.ACTIVE
    before = OperatorTransactionId(moved[step.cents % len(moved)])
    possible: dict[str, object] = {
        "bank": EnterBankDeposit(reference=f"B{number}", amount=amount, own_funds=False, by="operator"),
        "own": EnterBankDeposit(reference=f"B{number}", amount=amount, own_funds=True, by="operator"),
        "fees": Sweep(amount=amount, excise=False, by=by),
        "excise": Sweep(amount=amount, excise=True, by=by),
        "commission": PayCommission(agent=who.id, by=by),
        "reverse": Reverse(transaction_id=before, by=Actor.administrator(by)),
        "settle": SettleCharges(merchant=stage.people["shop"].id, by=by),
        "freeze": ChangeStatus(customer_id=who.id, status=status, reason="any", by=by),
    }
    return possible[step.what]


async def _holdings(stage: Stage) -> dict[str, int]:
    """What every account of customers, agents and the tax authority holds."""
    rows = await SqlLedgerBooks(stage.process.engine).trial_balance()
    families = ("agent:", "merchant:", "subscriber:", "commission:", "excise:", "working:")
    return {row.code: row.credit_cents - row.debit_cents for row in rows if row.code.startswith(families)}
