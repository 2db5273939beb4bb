"""Which texts are the login id of a Deriv account."""

from __future__ import annotations

import pytest

from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.shared.errors import InvalidDerivLoginId


@pytest.mark.parametrize("text", ["CR123456", "cr123456", "MF12345", "CRW90000062", "VRTC1234567", "CR" + "9" * 18])
def test_a_broker_code_and_a_number_is_a_login_id(text: str) -> None:
    """Either case is read, and both are one account."""
    assert DerivLoginId(text.upper()) == DerivLoginId.parse(text)
    assert text.upper() == str(DerivLoginId.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "CR", "CR1234", "12345678", "C1234567", "ABCDEFG1", "CR" + "9" * 19, "CR12345x"),
        *("CR-123456", "CR 123456", " CR123456", "CR123456\n", "CR123456;"),
        "CR\u0661\u0662\u0663\u0664\u0665",  # Arabic-Indic digits
        "\u017fr123456",  # a long s, whose capital is an ASCII S
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Digits alone cannot be addressed by v3; blanks, other scripts and odd lengths are no ids."""
    with pytest.raises(InvalidDerivLoginId):
        DerivLoginId.parse(text)


def test_a_lower_case_id_is_not_built_by_accident() -> None:
    """The constructor takes the canonical form only, so that equal accounts are equal values."""
    with pytest.raises(InvalidDerivLoginId):
        DerivLoginId("cr123456")


@pytest.mark.parametrize(("text", "virtual"), [("VRTC1234567", True), ("VRW1234567", True), ("CR123456", False)])
def test_demo_accounts_are_known_by_their_code(text: str, *, virtual: bool) -> None:
    """Money never goes to or from a demo account."""
    assert virtual is DerivLoginId(text).is_virtual
