"""Evidence of money moved outside: its states, the licence to send, and what is never forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest

from penpay.domain.payments.evidence import (
    FINAL,
    DerivTransfer,
    EvidenceState,
    MpesaRequest,
    Purpose,
    short_reference,
)
from penpay.domain.shared.errors import IllegalMove, LostLicence
from penpay.domain.shared.ids import DerivTransferId, MpesaRequestId, TransactionId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from tests.support.ports import MORNING
from tests.unit.payments.drawing import read_moves

DRAWING = """
    INTENDED  -> SENDING UNKNOWN FAILED
    SENDING   -> INTENDED ACCEPTED UNKNOWN CONFIRMED FAILED
    ACCEPTED  -> UNKNOWN CONFIRMED FAILED
    UNKNOWN   -> ACCEPTED CONFIRMED FAILED
    CONFIRMED ->
    FAILED    ->
"""
LEASE = timedelta(seconds=200)
LATER = MORNING + timedelta(seconds=7)


def transfer(state: EvidenceState = EvidenceState.INTENDED) -> DerivTransfer:
    return DerivTransfer(
        id=DerivTransferId(UUID(int=1)),
        purpose=Purpose.DEPOSIT,
        subject_id=TransactionId(UUID(int=2)),
        state=state,
        amount=Money(1_000, Currency.USD),
        due_at=MORNING,
        created_at=MORNING,
        reference="PX0",
        deriv_login_id="CR123456",
    )


def request() -> MpesaRequest:
    return MpesaRequest(
        id=MpesaRequestId(UUID(int=1)),
        purpose=Purpose.DEPOSIT,
        subject_id=TransactionId(UUID(int=2)),
        state=EvidenceState.SENDING,
        amount=Money(132_100, Currency.KES),
        due_at=MORNING,
        created_at=MORNING,
        account_reference="PX0",
        phone=PhoneNumber("+254708374149"),
    )


@pytest.mark.parametrize(("before", "after"), list(product(EvidenceState, repeat=2)))
def test_the_drawing_decides_about_every_pair_of_states(before: EvidenceState, after: EvidenceState) -> None:
    """A move that is drawn, or stays where it is, is made; any other raises."""
    if before is after or (before.value, after.value) in read_moves(DRAWING):
        assert after is transfer(before).moved(after, LATER, due_at=None).state
    else:
        with pytest.raises(IllegalMove):
            transfer(before).moved(after, LATER, due_at=None)


def test_what_may_have_left_is_never_intended_again_except_by_the_sender() -> None:
    """Only from SENDING, where it is known that no byte left, does anything lead back to INTENDED."""
    assert {("SENDING", "INTENDED")} == {move for move in read_moves(DRAWING) if move[1] == "INTENDED"}


@pytest.mark.parametrize("state", list(EvidenceState))
def test_a_claim_licenses_sending_only_what_is_intended(state: EvidenceState) -> None:
    """INTENDED becomes SENDING; a SENDING whose lease has lapsed becomes UNKNOWN; the rest stays to be asked about."""
    claimed = transfer(state).claimed(MORNING, LEASE)

    expected = {EvidenceState.INTENDED: EvidenceState.SENDING, EvidenceState.SENDING: EvidenceState.UNKNOWN}
    assert expected.get(state, state) is claimed.state
    assert (1, MORNING + LEASE, 2) == (claimed.fence, claimed.lease_until, claimed.version)
    assert (MORNING if state is EvidenceState.INTENDED else None) == claimed.sent_at


def test_nobody_claims_what_is_held_or_not_due() -> None:
    """While a lease runs, before the due time, and when nothing is left to do."""
    held = transfer().claimed(MORNING, LEASE)
    for evidence, at in (
        (held, MORNING + LEASE - timedelta(microseconds=1)),
        (transfer(), MORNING - timedelta(microseconds=1)),
        (replace(transfer(), due_at=None), LATER),
    ):
        with pytest.raises(LostLicence):
            evidence.claimed(at, LEASE)
    assert EvidenceState.UNKNOWN is held.claimed(MORNING + LEASE, LEASE).state


def test_an_answer_under_an_older_fence_is_not_wanted() -> None:
    """The second claim takes the word from the first."""
    first = transfer().claimed(MORNING, LEASE)
    second = first.claimed(MORNING + LEASE, LEASE)
    second.check_fence(second.fence)
    with pytest.raises(LostLicence):
        second.check_fence(first.fence)


def test_attempts_count_claims_since_the_state_last_changed() -> None:
    """Three questions in one state count three; the first after a change counts one."""
    asked = transfer(EvidenceState.UNKNOWN)
    for expected in (1, 2, 3):
        asked = asked.claimed(MORNING, LEASE)
        assert expected == asked.attempts
        asked = asked.moved(EvidenceState.UNKNOWN, MORNING, due_at=MORNING)
    assert 0 == asked.moved(EvidenceState.ACCEPTED, MORNING, due_at=None).attempts
    assert 1 == transfer().claimed(MORNING, LEASE).attempts


@pytest.mark.parametrize("final", sorted(FINAL))
def test_the_moment_of_the_decision_is_the_first_one(final: EvidenceState) -> None:
    """What is final stays decided when it was, however often it is touched afterwards."""
    decided = transfer(EvidenceState.SENDING).moved(final, MORNING, due_at=None, code="said")
    again = decided.moved(final, LATER, due_at=None)
    assert (MORNING, "said", None) == (again.decided_at, again.code, again.lease_until)
    assert decided.is_final


@pytest.mark.parametrize("state", list(EvidenceState))
def test_a_transfer_excludes_another_outflow_until_it_has_failed(state: EvidenceState) -> None:
    """Anything but FAILED may have paid out."""
    expected = None if state is EvidenceState.FAILED else transfer().subject_id
    assert expected == transfer(state).open_outflow_of


def test_the_answer_to_our_own_call_outranks_what_a_callback_says_of_the_ids() -> None:
    """A callback's id serves until our own call is answered; no later callback replaces either."""
    by_callback = request().told("ws_CO_2").told("ws_CO_3")
    assert ("ws_CO_2", False) == (by_callback.checkout_request_id, by_callback.is_identified)
    by_answer = by_callback.identified("ws_CO_1", "29115-1")
    assert ("ws_CO_1", True) == (by_answer.told("ws_CO_4").checkout_request_id, by_answer.is_identified)
    assert by_answer == by_answer.identified(None, None)


def test_a_push_is_disputed_once_a_callback_told_something_else() -> None:
    """Zero cents told are a dispute too."""
    assert not request().is_disputed
    assert replace(request(), disputed_cents=0).is_disputed


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0000"), (31, "000Z"), (32, "0010"), ((1 << 20) - 1, "ZZZZ"), (1 << 20, "0000")]
)
def test_a_short_reference_is_the_lowest_bits_in_base_32(value: int, text: str) -> None:
    """Five bits a character, the highest first, and nothing beyond its length."""
    assert text == short_reference(value, 4)
