"""Which texts are the number of a Kenyan subscriber."""

from __future__ import annotations

import pytest

from penpay.domain.shared.errors import InvalidPhoneNumber
from penpay.domain.shared.phone import PhoneNumber


@pytest.mark.parametrize(
    "text",
    [
        *("0712345678", "712345678", "254712345678", "+254712345678"),
        *("0712 345 678", "0712-345-678", "+254 712 345678", "2547 12345678", "07 12 34 56 78"),
    ],
)
def test_every_way_of_writing_one_number_is_that_number(text: str) -> None:
    """A subscriber who writes her number another way is the same subscriber."""
    assert PhoneNumber("+254712345678") == PhoneNumber.parse(text)


@pytest.mark.parametrize("text", ["0110123456", "110123456", "254110123456", "+254 110 123 456"])
def test_the_newer_01_numbers_are_numbers_too(text: str) -> None:
    """Not every mobile number of Kenya begins with 07."""
    assert PhoneNumber("+254110123456") == PhoneNumber.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "+", "0", "07", "071234567", "07123456789", "2547123456789", "+2547123456789"),
        *("0212345678", "0812345678", "254212345678", "0012345678", "00254712345678", "2540712345678"),
        *("+255712345678", "+1 212 555 0100", "+44 7911 123456", "+0712345678", "++254712345678", "254+712345678"),
        *(" 0712345678", "0712345678 ", "0712345678\n", "0712  345678", "0712--345678", "0712- 345678", "-0712345678"),
        *("0712.345.678", "(0712) 345678", "0712345678x", "07l2345678", "O712345678", "tel:0712345678", "7.12345678e8"),
        "07\u200b12345678",  # a blank nobody sees
        "0712\u00a0345678",  # a no-break space
        "0712\u2011345678",  # a no-break hyphen
        "\u202e0712345678",  # written right to left
        "\u0660\u0667\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",  # Arabic-Indic digits
        "\uff10712345678",  # a full-width zero
        "0712345678\x00",
        "7" * 10_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Foreign, too short, too long, landline, or dressed up: nothing is guessed."""
    with pytest.raises(InvalidPhoneNumber):
        PhoneNumber.parse(text)


@pytest.mark.parametrize("text", ["0712345678", "254712345678", "+254212345678", "+254712345678\n", "+25471234567"])
def test_a_number_is_built_from_e164_only(text: str) -> None:
    """Equal numbers are equal values, so the constructor takes one form."""
    with pytest.raises(InvalidPhoneNumber):
        PhoneNumber(text)


def test_m_pesa_speaks_twelve_digits() -> None:
    """The plus stays with us."""
    assert "254712345678" == PhoneNumber.parse("0712345678").msisdn


def test_no_log_learns_the_number() -> None:
    """People see the ends of it, a log the last three digits."""
    phone = PhoneNumber("+254712345678")

    assert "+2547******78" == phone.masked
    assert "PhoneNumber(…678)" == repr(phone)
    assert "PhoneNumber(…678)" == f"{phone}"
