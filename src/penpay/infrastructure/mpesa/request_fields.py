"""What may go into a request to Daraja; anything else is refused before a byte is sent."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from penpay.domain.mpesa.fields import EAST_AFRICA_TIME
from penpay.domain.shared.errors import CurrencyMismatch, InvalidRequest
from penpay.domain.shared.money import Currency, Money

_SHORT_CODE: Final = re.compile(r"[1-9][0-9]{4,6}", re.ASCII)
_TOKEN_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_REMARKS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,-]{1,99}", re.ASCII)
_RECEIPT: Final = re.compile(r"[A-Z0-9]{10}", re.ASCII)


def shillings(amount: Money) -> int:
    """Whole shillings above zero. Raises CurrencyMismatch or InvalidAmount."""
    if amount.currency is not Currency.KES:
        raise CurrencyMismatch("M-Pesa moves Kenyan shillings only.", currency=amount.currency.value)
    return amount.require_positive().whole_units()


def short_code(text: str) -> str:
    """Raises ValueError: a short code is a setting, not a request."""
    if not _SHORT_CODE.fullmatch(text):
        raise ValueError("A PayBill short code has five to seven digits and no leading zero.")
    return text


def receiver(text: str) -> str:
    """The PayBill or till somebody else is paid at. Raises InvalidRequest."""
    return _checked(_SHORT_CODE, text, "A receiving business has a number of five to seven digits.")


def callback_token(text: str) -> str:
    """The last segment of a callback address. Raises InvalidRequest."""
    return _checked(_TOKEN_SEGMENT, text, "A callback token has 1 to 64 URL-safe characters.")


def conversation_id(text: str) -> str:
    """An OriginatorConversationID of ours. Raises InvalidRequest."""
    message = "An OriginatorConversationID has 1 to 64 letters, digits, hyphens or underscores."
    return _checked(_TOKEN_SEGMENT, text, message)


def remarks(text: str) -> str:
    """What Daraja stores beside a payment; other characters break its fields (daraja.md §7). Raises InvalidRequest."""
    return _checked(_REMARKS, text, "Remarks have 2 to 100 letters, digits, blanks, dots, commas or hyphens.")


def receipt(text: str) -> str:
    """M-Pesa's receipt, ten capitals and digits (daraja.md §6.7). Raises InvalidRequest."""
    return _checked(_RECEIPT, text, "A receipt has ten capital letters and digits.")


def daraja_day_and_time(moment: datetime) -> str:
    """YYYY-MM-DD HH:MM:SS in East Africa Time, as the pull API wants it (daraja.md §5.9)."""
    return moment.astimezone(EAST_AFRICA_TIME).strftime("%Y-%m-%d %H:%M:%S")


def _checked(form: re.Pattern[str], text: str, message: str) -> str:
    if not form.fullmatch(text):
        raise InvalidRequest(message)
    return text
