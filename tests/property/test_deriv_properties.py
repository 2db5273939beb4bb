"""What holds for every answer Deriv could ever give."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from penpay.domain.deriv.gateway import TransferOutcome
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.deriv.verdicts import verdict_on_dry_run_refusal, verdict_on_refusal
from penpay.domain.shared.errors import InvalidDerivLoginId
from penpay.domain.shared.money import MAX_CENTS, Currency, Money
from penpay.infrastructure.deriv.wire import BadFrame, decode, encode, error_of, usd
from penpay.sandbox.deriv import wire as simulated

FINAL_CODES = {"InputValidationFailed", "UnrecognisedRequest", "BadRequest", "SanityCheckFailed"}
FINAL_PARTS = {
    "cannot transfer to account",
    "invalid amount",
    "decimal places",
    "not authorized for transfers",
    "does not exist",
    "not within your portfolio",
    "must not exceed 250 characters",
    "not the default account currency",
    "not allowed within the same account",
    "not allowed for the specified accounts",
    "not allowed to transfer to other payment agents",
    "exceed your account limit",
    "balance will exceed limits",
}
IN_DOUBT = ("request too frequent", "an error occurred")

codes = st.sampled_from(
    [*sorted(FINAL_CODES), "PaymentAgentTransferError", "RateLimit", "InvalidToken", "WrongResponse", "CallError"]
) | st.text(max_size=40)
phrases = st.sampled_from([*sorted(FINAL_PARTS), *IN_DOUBT, "cashier is locked", ") does not exist"])
messages = st.lists(phrases | st.text(max_size=30), max_size=4).map(" ".join)


@given(code=codes, message=messages)
def test_only_what_is_listed_is_ever_final(code: str, message: str) -> None:
    """No other code, and no other sentence, lets a transfer be called failed; and no message crashes the table."""
    said = message.casefold()
    listed = code in FINAL_CODES or (
        code == "PaymentAgentTransferError"
        and any(part in said for part in FINAL_PARTS)
        and not any(part in said for part in IN_DOUBT)
    )

    if verdict_on_refusal(code, message).outcome is TransferOutcome.FAILED:
        assert listed
    assert TransferOutcome.CONFIRMED is not verdict_on_refusal(code, message).outcome
    assert TransferOutcome.UNKNOWN is not verdict_on_dry_run_refusal(code, message).outcome


@given(code=st.text(max_size=60), message=st.text(max_size=400))
def test_what_nobody_has_listed_is_unknown(code: str, message: str) -> None:
    """Arbitrary text stays in doubt."""
    assert TransferOutcome.UNKNOWN is verdict_on_refusal(f"X{code}", message).outcome


@given(cents=st.integers(-MAX_CENTS + 1, MAX_CENTS - 1))
def test_money_survives_the_wire_in_both_directions(cents: int) -> None:
    """Adapter to simulator and back, no cent is lost at any size."""
    out = simulated.decode(encode({"amount": Money(cents, Currency.USD)}))
    assert isinstance(out, dict)
    assert cents == simulated.cents(out["amount"])

    back = decode(simulated.encode({"amount": simulated.amount(cents)}))
    assert Money(cents, Currency.USD) == usd(back["amount"])


@given(number=st.decimals(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_becomes_exactly_its_cents_or_nothing(number: Decimal | int) -> None:
    """There is no rounding: either the cents equal the number or it is refused."""
    try:
        money = usd(number)
    except BadFrame:
        return
    assert Decimal(money.cents) == Decimal(number) * 100


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(value=json_values)
def test_the_simulators_json_is_read_back_as_it_was(value: object) -> None:
    """Nested decimals keep their digits; only objects are frames to the adapter, and no error shape breaks it."""
    text = simulated.encode(value)

    assert value == simulated.decode(text)
    if isinstance(value, dict):
        assert value == decode(text)
        error_of({"error": value})


@given(text=st.text(max_size=24) | st.from_regex(r"[A-Za-z]{1,7}[0-9]{0,19}", fullmatch=True))
def test_a_login_id_is_canonical_or_refused(text: str) -> None:
    """Whatever is accepted fits Deriv's own pattern, and reading it again changes nothing."""
    try:
        login_id = DerivLoginId.parse(text)
    except InvalidDerivLoginId:
        return
    assert login_id == DerivLoginId.parse(str(login_id).lower())
    assert str(login_id).isascii()
    assert str(login_id).isalnum()
    assert 7 <= len(str(login_id)) <= 20
