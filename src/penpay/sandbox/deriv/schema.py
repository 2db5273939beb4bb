"""What each request may hold: Deriv refuses any key it does not know and any value out of pattern (deriv.md §1.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

Request = Mapping[str, object]
"""A checked request: numeric strings have become numbers."""

_Check = Callable[[object], object]
"""Returns the value, coerced; raises _Unfit with the reason."""

_PROPERTY = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII)
_LONGEST_SCALAR = 300
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)

LOGIN_ID = re.compile(r"[A-Za-z]+[0-9]+", re.ASCII)
_TOKEN = re.compile(r"[\w\-]{1,128}", re.ASCII)
_CURRENCY = re.compile(r"[a-zA-Z0-9]{2,20}", re.ASCII)
_NOTE = re.compile(r"[0-9A-Za-z .,'-]{0,250}", re.ASCII)
_EMAIL = re.compile(r"[^\s@]{1,100}@[^\s@]{1,100}")
_CODE = re.compile(r"\w{8,128}", re.ASCII)
_MAILS = (
    "account_opening", "account_verification", "reset_password", "paymentagent_withdraw", "payment_withdraw",
    "request_email", "phone_number_verification",
)  # fmt: skip
_STREAM_ID = re.compile(r"[\w-]{32,128}", re.ASCII)
_LATEST_EPOCH = 9_999_999_999
_MOST_TOKENS = 25

_ACTIONS = (
    "buy", "sell", "deposit", "withdrawal", "escrow", "adjustment", "virtual_credit", "transfer",
)  # fmt: skip
_STREAMS = (
    "balance", "candles", "cashier_payments", "p2p_advert", "p2p_advertiser", "p2p_order", "proposal",
    "proposal_open_contract", "ticks", "transaction", "trading_platform_asset_listing", "website_status",
    "p2p_settings", "crypto_estimations",
)  # fmt: skip


class _Unfit(Exception):
    """One value does not fit; the message is the reason."""


class InvalidRequest(Exception):
    """The request does not fit its schema; `reasons` by field."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(", ".join(sorted(reasons)))
        self.reasons = dict(reasons)


def _text(pattern: re.Pattern[str]) -> _Check:
    def check(value: object) -> object:
        if not isinstance(value, str):
            raise _Unfit("Expected string.")
        if pattern.fullmatch(value) is None:
            raise _Unfit("String does not match the pattern.")
        return value

    return check


def _whole(lowest: int, highest: int) -> _Check:
    def check(value: object) -> object:
        number = (
            int(value) if isinstance(value, bool) or (isinstance(value, str) and _WHOLE.fullmatch(value)) else value
        )
        if not isinstance(number, int):
            raise _Unfit("Expected integer.")
        if not lowest <= number <= highest:
            raise _Unfit(f"Must be between {lowest} and {highest}.")
        return number

    return check


def _number(value: object) -> object:
    number = Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise _Unfit("Expected number.")
    return number


def _one_of(*allowed: str) -> _Check:
    def check(value: object) -> object:
        if value not in allowed:
            raise _Unfit("Not in enum list.")
        return value

    return check


def _list_of(check_one: _Check, most: int) -> _Check:
    def check(value: object) -> object:
        if not isinstance(value, list):
            raise _Unfit("Expected array.")
        if len(value) > most:
            raise _Unfit(f"At most {most} items.")
        return [check_one(item) for item in value]

    return check


def _object(value: object) -> object:
    if not isinstance(value, dict):
        raise _Unfit("Expected object.")
    return value


def _one_or_many_streams(value: object) -> object:
    return _list_of(_one_of(*_STREAMS), len(_STREAMS))(value) if isinstance(value, list) else _one_of(*_STREAMS)(value)


_ONE = _whole(1, 1)
_SWITCH = _whole(0, 1)


@dataclass(frozen=True, slots=True)
class Schema:
    """The keys of one call, on top of req_id and passthrough."""

    required: Mapping[str, _Check]
    optional: Mapping[str, _Check]

    def check(self, request: Mapping[str, object]) -> Request:
        """Return the request with numeric strings made numbers; raises InvalidRequest naming every faulty field."""
        known = {"req_id": _whole(0, 2**53), "passthrough": _object, **self.optional, **self.required}
        reasons = dict.fromkeys(self.required.keys() - request.keys(), "Missing property.")
        checked: dict[str, object] = {}
        for key, value in request.items():
            if key not in known:
                reasons[key] = "Properties not allowed."
                continue
            try:
                checked[key] = known[key](value)
            except _Unfit as reason:
                reasons[key] = str(reason)
        if reasons:
            raise InvalidRequest(reasons)
        return checked


def is_sane(request: Mapping[str, object]) -> bool:
    """The front end's own rule before any schema: tame keys, and scalars of at most 300 printable characters."""
    return all(
        _PROPERTY.fullmatch(key) is not None
        and (not isinstance(value, str) or (len(value) <= _LONGEST_SCALAR and value.isprintable()))
        for key, value in request.items()
    )


_OF_ACCOUNT: Mapping[str, _Check] = {"loginid": _text(LOGIN_ID)}

SCHEMAS: Mapping[str, Schema] = {
    "ping": Schema({"ping": _ONE}, {}),
    "time": Schema({"time": _ONE}, {}),
    "website_status": Schema({"website_status": _ONE}, {"subscribe": _SWITCH}),
    "authorize": Schema(
        {"authorize": _text(_TOKEN)}, {"tokens": _list_of(_text(_TOKEN), _MOST_TOKENS), "add_to_login_history": _SWITCH}
    ),
    "logout": Schema({"logout": _ONE}, _OF_ACCOUNT),
    "forget": Schema({"forget": _text(_STREAM_ID)}, {}),
    "forget_all": Schema({"forget_all": _one_or_many_streams}, {}),
    "balance": Schema(
        {"balance": _ONE}, {**_OF_ACCOUNT, "account": _text(re.compile(r"\w+", re.ASCII)), "subscribe": _SWITCH}
    ),
    "transaction": Schema({"transaction": _ONE, "subscribe": _ONE}, _OF_ACCOUNT),
    "statement": Schema(
        {"statement": _ONE},
        {
            **_OF_ACCOUNT,
            "action_type": _one_of(*_ACTIONS),
            "date_from": _whole(0, _LATEST_EPOCH),
            "date_to": _whole(0, _LATEST_EPOCH),
            "description": _SWITCH,
            "limit": _whole(0, 999),
            "offset": _whole(0, 2**31),
        },
    ),
    "get_settings": Schema({"get_settings": _ONE}, _OF_ACCOUNT),
    "paymentagent_transfer": Schema(
        {
            "paymentagent_transfer": _ONE,
            "amount": _number,
            "currency": _text(_CURRENCY),
            "transfer_to": _text(LOGIN_ID),
        },
        {**_OF_ACCOUNT, "description": _text(_NOTE), "dry_run": _SWITCH},
    ),
    "verify_email": Schema(
        {"verify_email": _text(_EMAIL), "type": _one_of(*_MAILS)},
        {"url_parameters": _object, "language": _text(_TOKEN)},
    ),
    "paymentagent_withdraw": Schema(
        {
            "paymentagent_withdraw": _ONE,
            "amount": _number,
            "currency": _text(_CURRENCY),
            "paymentagent_loginid": _text(LOGIN_ID),
            "verification_code": _text(_CODE),
        },
        {**_OF_ACCOUNT, "description": _text(_NOTE), "dry_run": _SWITCH},
    ),
}
