"""The Deriv adapter and the Deriv simulator over a real WebSocket: what happened, and what may be said of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penpay.domain.deriv.gateway import IncomingCredit, StatementUnavailable, TransferOutcome
from penpay.sandbox.deriv.book import Account
from penpay.sandbox.deriv.faults import (
    AnswerAfter,
    CallFault,
    DropAfterCommit,
    DropBeforeCommit,
    DuplicatePush,
    LosePush,
    OutputValidationFailed,
    RateLimited,
    Refuse,
    StatementLag,
    TokenRevoked,
    WrongResponse,
)
from tests.contract.deriv.stage import (
    AGENT,
    AGENT_CENTS,
    CLIENT,
    OTHER_CLIENT,
    SCOPES,
    TOKEN,
    Stage,
    eventually,
    stage,
)

CONFIRMED = TransferOutcome.CONFIRMED
FAILED = TransferOutcome.FAILED
NOT_SENT = TransferOutcome.NOT_SENT
UNKNOWN = TransferOutcome.UNKNOWN


@pytest.fixture
async def deriv(tmp_path: Path) -> AsyncIterator[Stage]:
    """A simulator and a connected gateway."""
    async with stage(tmp_path / "deriv.sqlite3") as raised:
        yield await raised.open()


async def test_a_transfer_reaches_the_client_once_and_exactly(deriv: Stage) -> None:
    """Ten dollars and fifty-five cents leave the agent, arrive at the client, and carry our reference."""
    answer = await deriv.transfer(10_55, "PX-1")

    sent = (await deriv.book.rows(AGENT))[-1]
    got = (await deriv.book.rows(CLIENT))[-1]
    assert (CONFIRMED, str(sent.transaction_id)) == (answer.outcome, answer.provider_id)
    assert (-10_55, 10_55) == (sent.amount_cents, got.amount_cents)
    assert sent.transaction_id != got.transaction_id
    assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1", "PX-2")


@pytest.mark.parametrize(("cents", "written"), [(10_55, "10.55"), (10, "0.10"), (7_00, "7.00"), (1_999_99, "1999.99")])
async def test_amounts_are_written_digit_by_digit(deriv: Stage, cents: int, written: str) -> None:
    """The amount on the wire is a JSON number with two digits, and the same amount arrives."""
    assert CONFIRMED == (await deriv.transfer(cents)).outcome

    real = deriv.sent[-1]
    assert f'"amount":{written},' in real
    assert 50_000 + cents == await deriv.book.balance_of(CLIENT)


async def test_a_dry_run_goes_before_every_real_call(deriv: Stage) -> None:
    """Two calls per transfer: the first only asks, and only the second moves money."""
    await deriv.transfer()

    assert [1, None] == [call.get("dry_run") for call in deriv.calls("paymentagent_transfer")]


async def test_the_balance_follows_the_stream(deriv: Stage) -> None:
    """What the gateway calls the balance is what the book holds, after our own and after others' movements."""
    assert AGENT_CENTS == (await deriv.gateway.balance()).cents

    await deriv.transfer(100_00)
    await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_01)

    assert AGENT_CENTS - 100_00 + 25_01 == await deriv.book.balance_of(AGENT)
    await eventually(lambda: deriv.gateway._balance.current().cents == AGENT_CENTS - 100_00 + 25_01)


async def test_a_lost_balance_push_leaves_the_old_figure_until_the_next(deriv: Stage) -> None:
    """A stalled balance stream is believed until it speaks again: the figure is advice, not evidence."""
    deriv.fault(LosePush(), call="balance")
    await deriv.transfer(100_00, "PX-1")
    stalled = (await deriv.gateway.balance()).cents
    await deriv.transfer(50_00, "PX-2")
    await asyncio.sleep(0.05)

    assert (AGENT_CENTS, AGENT_CENTS - 150_00) == (stalled, (await deriv.gateway.balance()).cents)


async def test_a_credit_is_told_with_all_that_identifies_it(deriv: Stage) -> None:
    """A client who pays the agent is heard of at once, under the id of the agent's own row."""
    row = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00, note="PW-7")
    await eventually(lambda: len(deriv.credits) == 1)

    credit = deriv.credits[0]
    assert (str(row.transaction_id), 25_00) == (credit.provider_id, credit.amount.cents)
    assert AGENT_CENTS + 25_00 == (credit.balance.cents if credit.balance else None)
    assert f"Transfer from {CLIENT} to Payment Agent" in credit.remark
    assert credit.remark.endswith("Client note: PW-7")


async def test_a_credit_told_twice_is_taken_once(deriv: Stage) -> None:
    """A duplicate push does not reach the handler."""
    deriv.fault(DuplicatePush(), call="transaction")
    await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
    await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=26_00)
    await eventually(lambda: len(deriv.credits) >= 2)

    assert [25_00, 26_00] == [credit.amount.cents for credit in deriv.credits]


async def test_a_credit_is_offered_again_until_it_is_taken(tmp_path: Path) -> None:
    """A handler that fails twice gets the credit a third time, and a later one is not held up for ever."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        offered: list[str] = []

        async def fails_twice(credit: IncomingCredit) -> None:
            offered.append(credit.provider_id)
            if len(offered) <= 2:
                raise RuntimeError("the database is away")

        deriv.gateway._credits._handler = fails_twice
        await deriv.open()
        row = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
        await eventually(lambda: len(offered) == 3)

        assert [str(row.transaction_id)] * 3 == offered


@pytest.mark.parametrize(
    ("fault", "outcome", "executed"),
    [
        (DropBeforeCommit(), UNKNOWN, False),
        (DropAfterCommit(), UNKNOWN, True),
        (AnswerAfter(60_000), UNKNOWN, True),
        (AnswerAfter(2_000), CONFIRMED, True),
        (WrongResponse(committed=False), UNKNOWN, False),
        (WrongResponse(committed=True), UNKNOWN, True),
        (OutputValidationFailed(), UNKNOWN, True),
        (RateLimited(), NOT_SENT, False),
        (TokenRevoked(), NOT_SENT, False),
        (Refuse("Request too frequent. Please try again later."), UNKNOWN, False),
        (Refuse("Sorry, an error occurred whilst processing your request"), UNKNOWN, False),
        (Refuse("A sentence nobody has listed."), UNKNOWN, False),
        (Refuse("This client's country is not within your portfolio."), FAILED, False),
        (Refuse("You cannot transfer to account CR90000063, as their cashier is locked."), FAILED, False),
        (Refuse("Your cashier is locked."), NOT_SENT, False),
        (Refuse("Payments are temporarily disabled due to system maintenance."), NOT_SENT, False),
        (Refuse("Please log in.", code="AuthorizationRequired"), NOT_SENT, False),
        (Refuse("A new thing happened.", code="BrandNewCode"), UNKNOWN, False),
    ],
    ids=repr,
)
async def test_what_each_fault_of_the_real_call_may_be_called(
    deriv: Stage, fault: CallFault, outcome: TransferOutcome, *, executed: bool
) -> None:
    """Only what is known to have moved nothing is called so; and afterwards the statement knows the truth."""
    deriv.fault(fault)

    answer = await deriv.transfer(10_55, "PX-1")

    assert (outcome, outcome is NOT_SENT) == (answer.outcome, answer.retry_after_ms is not None)
    assert (10_55 if executed else 0) == await deriv.book.balance_of(CLIENT) - 50_000
    await eventually(lambda: deriv.gateway.is_ready)
    assert ({"PX-1": [(CLIENT, 10_55)]} if executed else {}) == await deriv.look_up("PX-1")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (DropBeforeCommit(), NOT_SENT),
        (DropAfterCommit(), NOT_SENT),
        (AnswerAfter(60_000), NOT_SENT),
        (WrongResponse(committed=True), NOT_SENT),
        (RateLimited(), NOT_SENT),
        (Refuse("A sentence nobody has listed."), NOT_SENT),
        (Refuse("Login ID (CR90000063) does not exist."), FAILED),
    ],
    ids=repr,
)
async def test_whatever_befalls_a_dry_run_moves_nothing(
    deriv: Stage, fault: CallFault, outcome: TransferOutcome
) -> None:
    """A dry run that goes wrong in any way is never followed by the real call."""
    deriv.fault(fault, on_dry_run=True)

    answer = await deriv.transfer()

    assert (outcome, 50_000) == (answer.outcome, await deriv.book.balance_of(CLIENT))
    assert [1] == [call.get("dry_run") for call in deriv.calls("paymentagent_transfer")]


async def test_a_dropped_answer_is_found_in_the_statement_after_reconnecting(deriv: Stage) -> None:
    """The socket dies after the commit: the transfer is unknown, then found, under the id of our own row."""
    deriv.fault(DropAfterCommit(), call="paymentagent_transfer", amount_cents=10_55)
    assert UNKNOWN == (await deriv.transfer(10_55, "PX-1")).outcome
    await eventually(lambda: deriv.gateway.is_ready and deriv.connects == 2)

    found = (await deriv.gateway.find_transfers(["PX-1"], since=deriv.started))["PX-1"][0]

    row = (await deriv.book.rows(AGENT))[-1]
    assert (str(row.transaction_id), CLIENT, 10_55) == (found.provider_id, found.login_id, found.amount.cents)
    assert row.happened_at_ms // 1_000 == int(found.happened_at.timestamp())


async def test_a_statement_that_lags_is_silent_first_and_right_later(deriv: Stage) -> None:
    """Absence in the statement is no proof: the same look-up finds the row a moment later."""
    await deriv.transfer(10_55, "PX-1")
    deriv.fault(StatementLag(60_000), call="statement")

    assert {} == await deriv.look_up("PX-1")
    assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1")


async def test_a_duplicate_under_one_reference_is_shown_as_two(deriv: Stage) -> None:
    """Whoever sent twice must see it: both rows come back, and a longer reference is not mistaken for it."""
    await deriv.transfer(10_55, "PX-1")
    await deriv.transfer(10_55, "PX-1")
    await deriv.transfer(20_00, "PX-11", to=OTHER_CLIENT)

    found = await deriv.look_up("PX-1", "PX-11")

    assert {"PX-1": [(CLIENT, 10_55), (CLIENT, 10_55)], "PX-11": [(OTHER_CLIENT, 20_00)]} == found


async def test_one_statement_serves_everybody_who_waits(deriv: Stage) -> None:
    """Twenty look-ups at once cost two statement calls: the one under way, and one for all the others."""
    for number in range(20):
        await deriv.transfer(10_00 + number, f"PX-{number}")
    before = len(deriv.calls("statement"))

    answers = await asyncio.gather(*(deriv.look_up(f"PX-{number}") for number in range(20)))

    assert [{f"PX-{number}": [(CLIENT, 10_00 + number)]} for number in range(20)] == answers
    assert len(deriv.calls("statement")) - before <= 2


async def test_a_refused_statement_is_said_to_be_unavailable(deriv: Stage) -> None:
    """No statement is not an empty statement."""
    deriv.fault(RateLimited(), call="statement")

    with pytest.raises(StatementUnavailable, match="RateLimit"):
        await deriv.look_up("PX-1")


async def test_a_credit_that_came_while_nobody_listened_is_delivered(deriv: Stage) -> None:
    """The gap is filled from the statement: after a disconnect, and after a push that was lost."""
    deriv.fault(LosePush(), call="transaction")
    lost = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=24_00)
    deriv.door.clear()
    deriv.fault(DropBeforeCommit())
    await deriv.transfer()
    missed = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)
    assert ([], False) == (deriv.credits, deriv.gateway.is_ready)
    with pytest.raises(StatementUnavailable):
        await deriv.gateway.balance()

    deriv.door.set()
    await eventually(lambda: len(deriv.credits) == 2)

    told = [credit.provider_id for credit in deriv.credits]
    assert [str(lost.transaction_id), str(missed.transaction_id)] == told


async def test_nothing_is_sent_before_the_gap_is_filled(tmp_path: Path) -> None:
    """While the statement is refused the gateway is not ready; it asks again until the gap is filled."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        deriv.fault(Refuse("suspended, try again in a few minutes", code="StatementError"), call="statement", times=2)
        row = await deriv.simulator.exchange.pay_agent(client_id=CLIENT, agent_id=AGENT, cents=25_00)

        running = deriv.tasks.spawn(deriv.gateway.run(), "gateway")
        await eventually(lambda: len(deriv.calls("statement")) == 1)
        early = await deriv.transfer()
        await eventually(lambda: len(deriv.credits) == 1)

        assert (NOT_SENT, []) == (early.outcome, deriv.calls("paymentagent_transfer"))
        assert (3, str(row.transaction_id)) == (len(deriv.calls("statement")), deriv.credits[0].provider_id)
        assert not running.done()


async def test_while_disconnected_nothing_is_sent_and_nothing_is_known(tmp_path: Path) -> None:
    """Without a connection a transfer is NOT_SENT and the statement and the balance are unavailable."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        answer = await deriv.transfer()

        assert (NOT_SENT, "not_connected") == (answer.outcome, answer.code)
        with pytest.raises(StatementUnavailable):
            await deriv.look_up("PX-1")
        with pytest.raises(StatementUnavailable):
            await deriv.gateway.balance()


async def test_a_ping_that_is_not_answered_ends_the_session(deriv: Stage) -> None:
    """A peer that has gone silent is left and dialled again."""
    deriv.fault(AnswerAfter(60_000), call="ping")

    await eventually(lambda: deriv.connects == 2 and deriv.gateway.is_ready)

    assert CONFIRMED == (await deriv.transfer()).outcome


async def test_a_revoked_token_is_authorised_anew(deriv: Stage) -> None:
    """InvalidToken in mid-session moves nothing; the gateway logs in again by itself."""
    deriv.fault(TokenRevoked())
    assert NOT_SENT == (await deriv.transfer()).outcome

    await eventually(lambda: deriv.connects == 2 and deriv.gateway.is_ready)

    assert CONFIRMED == (await deriv.transfer()).outcome


async def test_after_a_rate_limit_deriv_is_left_alone(deriv: Stage) -> None:
    """The next transfer is put off without asking Deriv again."""
    deriv.fault(RateLimited(), on_dry_run=True)
    await deriv.transfer()
    asked = len(deriv.sent)

    answer = await deriv.transfer()

    assert (NOT_SENT, "RateLimit") == (answer.outcome, answer.code)
    assert 0 < (answer.retry_after_ms or 0) <= 60_000
    assert asked == len(deriv.sent)


async def test_an_empty_agent_account_waits_for_its_top_up(deriv: Stage) -> None:
    """Not enough money is no refusal of the client: after a top-up the same transfer goes through."""
    await deriv.transfer(1_990_00, "PX-0")
    for number in range(1, 6):
        await deriv.transfer(1_600_00, f"PX-{number}")
    short = await deriv.transfer(1_600_00, "PX-6")
    await deriv.simulator.exchange.top_up(AGENT, 5_000_00)
    after = await deriv.transfer(1_600_00, "PX-6")

    assert (NOT_SENT, CONFIRMED) == (short.outcome, after.outcome)
    assert "insufficient" in short.message


@pytest.mark.parametrize(
    ("to", "cents", "outcome"),
    [
        ("CR99999999", 10_00, FAILED),
        (AGENT, 10_00, FAILED),
        (CLIENT, 2_000_01, FAILED),
        ("CR90000070", 10_00, FAILED),
        ("CR90000071", 10_00, FAILED),
        ("CR90000072", 10_00, FAILED),
        ("CR90000073", 10_00, FAILED),
    ],
)
async def test_the_simulators_own_refusals_are_final(
    deriv: Stage, to: str, cents: int, outcome: TransferOutcome
) -> None:
    """Unknown, own, foreign, locked, other-currency and full accounts, and an amount beyond the agent's limit."""
    odd = {"first_name": "Achieng", "last_name": "Odd", "email": "odd@example.test"}
    await deriv.book.open_account(Account(login_id="CR90000070", country="fr", **odd))  # type: ignore[arg-type]  # names
    await deriv.book.open_account(Account(login_id="CR90000071", statuses=frozenset({"disabled"}), **odd))  # type: ignore[arg-type]  # names
    await deriv.book.open_account(Account(login_id="CR90000072", currency="EUR", **odd))  # type: ignore[arg-type]  # names
    await deriv.book.open_account(Account(login_id="CR90000073", balance_limit_cents=5_00, **odd))  # type: ignore[arg-type]  # names

    answer = await deriv.transfer(cents, to=to)

    assert (outcome, AGENT_CENTS) == (answer.outcome, await deriv.book.balance_of(AGENT))


async def test_what_cannot_be_sent_is_refused_before_the_wire(deriv: Stage) -> None:
    """A demo account, a nonsense account and a reference Deriv would refuse never leave this process."""
    before = len(deriv.sent)

    refusals = [
        await deriv.transfer(to="VRTC1234567"),
        await deriv.transfer(to="90000063"),
        await deriv.transfer(reference="PX_1"),
        await deriv.transfer(cents=0),
    ]

    assert ["virtual_account", "invalid_deriv_login_id", "invalid_reference", "invalid_amount"] == [
        refusal.code for refusal in refusals
    ]
    assert ({FAILED}, before) == ({refusal.outcome for refusal in refusals}, len(deriv.sent))


async def test_two_hundred_transfers_at_once_are_all_exact(tmp_path: Path) -> None:
    """Each is confirmed once, under an id of its own, and the cents add up on both sides."""
    async with stage(tmp_path / "deriv.sqlite3", answer_within_ms=30_000) as deriv:
        await deriv.open()
        answers = await asyncio.gather(*(deriv.transfer(100 + number, f"PX-{number}") for number in range(200)))

        total = sum(100 + number for number in range(200))
        assert {CONFIRMED} == {answer.outcome for answer in answers}
        assert 200 == len({answer.provider_id for answer in answers})
        assert (AGENT_CENTS - total, 50_000 + total) == (
            await deriv.book.balance_of(AGENT),
            await deriv.book.balance_of(CLIENT),
        )
        found = await deriv.look_up(*(f"PX-{number}" for number in range(200)))
        assert {f"PX-{number}": [(CLIENT, 100 + number)] for number in range(200)} == found


async def test_whoever_waits_too_long_for_a_turn_is_not_sent(tmp_path: Path) -> None:
    """A transfer stuck behind a slow one gives up its place rather than go out after its caller gave up on it."""
    async with stage(tmp_path / "deriv.sqlite3", answer_within_ms=200) as deriv:
        await deriv.open()
        deriv.fault(AnswerAfter(7_500), on_dry_run=True)
        deriv.fault(AnswerAfter(7_500))
        first, second = await asyncio.gather(deriv.transfer(10_00, "PX-1"), deriv.transfer(20_00, "PX-2"))

        assert (CONFIRMED, NOT_SENT, "busy") == (first.outcome, second.outcome, second.code)
        assert ["PX-1", "PX-1"] == [call["description"] for call in deriv.calls("paymentagent_transfer")]


async def test_the_repeat_guard_leaves_the_second_twin_unknown(tmp_path: Path) -> None:
    """An equal transfer a moment later is refused as too frequent, which says nothing about the first."""
    async with stage(tmp_path / "deriv.sqlite3", repeat_guard_ms=60_000) as deriv:
        await deriv.open()
        twins = [await deriv.transfer(10_55, "PX-1"), await deriv.transfer(10_55, "PX-2")]

        assert [CONFIRMED, UNKNOWN] == [answer.outcome for answer in twins]
        assert 50_000 + 10_55 == await deriv.book.balance_of(CLIENT)


@pytest.mark.parametrize(
    ("account", "token", "scopes"),
    [
        (Account(login_id=AGENT, first_name="A", last_name="B", email="e@example.test"), "wrong-token", SCOPES),
        (Account(login_id="CR90000080", first_name="A", last_name="B", email="e@example.test"), "other", SCOPES),
        (
            Account(login_id="VRTC900001", first_name="A", last_name="B", email="e@example.test", is_virtual=True),
            "demo",
            SCOPES,
        ),
        (
            Account(login_id="CR90000081", first_name="A", last_name="B", email="e@example.test", currency="EUR"),
            "euro",
            SCOPES,
        ),
        (Account(login_id="CR90000082", first_name="A", last_name="B", email="e@example.test"), "poor", "read trade"),
        (Account(login_id="CR90000083", first_name="A", last_name="B", email="e@example.test"), "blind", "payments"),
    ],
    ids=["revoked", "of another account", "virtual", "not USD", "without payments", "without read"],
)
async def test_a_token_that_is_not_what_we_think_never_carries_money(
    tmp_path: Path, account: Account, token: str, scopes: str
) -> None:
    """A session under a wrong token is closed again and tried later; transfers stay NOT_SENT."""
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        await deriv.book.open_account(account, token=token, scopes=scopes)
        expected = AGENT if token == "other" else account.login_id
        gateway = deriv.make_gateway(token=token, login_id=expected)
        deriv.gateway = gateway
        deriv.tasks.spawn(gateway.run(), "gateway")
        await eventually(lambda: deriv.connects >= 2)

        assert (False, NOT_SENT) == (gateway.is_ready, (await deriv.transfer()).outcome)


async def test_no_token_and_no_frame_reaches_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Even with every logger at DEBUG the token stays out, on both sides of the socket."""
    caplog.set_level(logging.DEBUG)
    async with stage(tmp_path / "deriv.sqlite3") as deriv:
        await deriv.open()
        deriv.fault(DropAfterCommit())
        await deriv.transfer()
        await eventually(lambda: deriv.connects == 2 and deriv.gateway.is_ready)

    assert "the Deriv session is ready" in caplog.text
    assert TOKEN not in caplog.text
    assert "paymentagent_transfer" not in caplog.text


async def test_the_gateway_works_over_a_socket_in_memory(deriv: Stage) -> None:
    """The simulation's transport carries the same protocol."""

    async def connect() -> object:
        return await deriv.simulator.connect_in_memory("1089")

    deriv.gateway._connect = connect  # type: ignore[assignment]  # the memory socket has the shape of a Transport
    deriv.fault(DropAfterCommit())
    assert UNKNOWN == (await deriv.transfer(10_55, "PX-1")).outcome
    await eventually(lambda: deriv.gateway.is_ready)

    assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1")
    assert (CONFIRMED, 1) == ((await deriv.transfer(20_00, "PX-2")).outcome, deriv.connects)


async def test_the_book_keeps_everything_when_the_simulator_is_gone(tmp_path: Path) -> None:
    """What was answered is on disk: a new book over the same file shows the same rows and opens nothing twice."""
    database = tmp_path / "deriv.sqlite3"
    async with stage(database) as deriv:
        await deriv.open()
        await deriv.transfer(10_55, "PX-1")
        before = await deriv.book.rows(AGENT)

    async with stage(database) as deriv:
        assert before == await deriv.book.rows(AGENT)
        await deriv.open()
        assert {"PX-1": [(CLIENT, 10_55)]} == await deriv.look_up("PX-1")
