"""The calls of Deriv v3 that the simulator knows, one function each, answering as deriv.md §1.7 and §2 say."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from penpay.application.shared.ports import Clock, Random
from penpay.sandbox.deriv import wire
from penpay.sandbox.deriv.book import Account, Row, milliseconds_of
from penpay.sandbox.deriv.exchange import Exchange, TransferRefused
from penpay.sandbox.deriv.limits import Bucket, RateLimits
from penpay.sandbox.deriv.mail import Mailbox
from penpay.sandbox.deriv.schema import Request

_PAGE = 100
_LATEST_EPOCH = 9_999_999_999


class Refusal(Exception):
    """An error answer."""

    def __init__(self, code: str, message: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.details = details


@dataclass(slots=True)
class Caller:
    """What one socket has become by its calls: whose it is, what it may do, which streams it has open."""

    app_id: int
    login_id: str = ""
    scopes: frozenset[str] = frozenset()
    streams: dict[str, tuple[str, Mapping[str, object]]] = field(default_factory=dict)
    """Stream name → its id and the echo of the request that opened it, which every push repeats."""

    def forget_login(self) -> None:
        self.login_id = ""
        self.scopes = frozenset()
        self.streams = {name: stream for name, stream in self.streams.items() if name == "website_status"}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What every call may look at."""

    exchange: Exchange
    mailbox: Mailbox
    clock: Clock
    random: Random
    limits: RateLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One checked request of one caller."""

    request: Request
    echo: Mapping[str, object]
    """The request as it came, secrets cut out: what `echo_req` repeats."""
    caller: Caller
    world: World
    hidden_ms: int
    """How old a row must be to be in the statement already."""

    async def account(self) -> Account:
        """The caller's account."""
        account = await self.world.exchange.book.account(self.caller.login_id)
        if account is None:
            raise Refusal("InvalidToken", "The token is invalid.")
        return account

    def text(self, key: str, default: str = "") -> str:
        return str(self.request.get(key, default))

    def whole(self, key: str, default: int = 0) -> int:
        value = self.request.get(key, default)
        return value if isinstance(value, int) else default

    def open_stream(self, name: str) -> str:
        """Open a stream and return its id; raises Refusal if it is open already."""
        if name in self.caller.streams:
            raise Refusal("AlreadySubscribed", f"You are already subscribed to {name}.")
        stream_id = str(uuid.UUID(bytes=self.world.random.token_bytes(16), version=4))
        self.caller.streams[name] = (stream_id, self.echo)
        return stream_id


Payload = dict[str, object]


async def _ping(_: Asked) -> Payload:
    return {"ping": "pong"}


async def _time(asked: Asked) -> Payload:
    return {"time": milliseconds_of(asked.world.clock) // 1_000}


async def _website_status(asked: Asked) -> Payload:
    limits = asked.world.limits
    general = {"applies_to": "rest of calls", "minutely": limits.general_per_minute, "hourly": limits.general_per_hour}
    outcome = {
        "applies_to": "portfolio, statement and proposal",
        "minutely": limits.outcome_per_minute,
        "hourly": limits.outcome_per_hour,
    }
    usd = {"fractional_digits": 2, "type": "fiat", "name": "US Dollar", "stake_default": 10}
    usd |= {"is_suspended": 0, "is_deposit_suspended": 0, "is_withdrawal_suspended": 0}
    status: Payload = {
        "site_status": "up",
        "api_call_limits": {"max_requestes_general": general, "max_requests_outcome": outcome},
        "currencies_config": {"USD": usd | {"transfer_between_accounts": {"fees": {}, "limits": None}}},
        "supported_languages": ["EN"],
    }
    payload: Payload = {"website_status": status}
    if asked.whole("subscribe"):
        payload["subscription"] = {"id": asked.open_stream("website_status")}
    return payload


async def _authorize(asked: Asked) -> Payload:
    if "tokens" in asked.request:
        raise Refusal("InvalidToken", "API tokens can't be used to authorise multiple accounts.")
    book = asked.world.exchange.book
    holder = await book.holder_of(asked.text("authorize"))
    account = None if holder is None else await book.account(holder.login_id)
    if holder is None or account is None:
        raise Refusal("InvalidToken", "The token is invalid.")
    if "disabled" in account.statuses:
        raise Refusal("AccountDisabled", "Account is disabled.")
    asked.caller.forget_login()
    asked.caller.login_id = holder.login_id
    asked.caller.scopes = holder.scopes
    digits: Payload = {"fractional_digits": 2}
    return {
        "authorize": {
            "loginid": account.login_id,
            "balance": wire.amount(await book.balance_of(account.login_id)),
            "currency": account.currency,
            "email": account.email,
            "fullname": f" {account.full_name}",  # an empty salutation leaves its blank (deriv.md §2.1)
            "country": account.country,
            "is_virtual": int(account.is_virtual),
            "user_id": 1_001,
            "scopes": sorted(holder.scopes),
            "landing_company_name": _company(account),
            "landing_company_fullname": "Simulated company",
            "preferred_language": "EN",
            "local_currencies": {"KES": digits},
            "linked_to": [],
            "upgradeable_landing_companies": [],
            "account_list": [_listed(account)],
        }
    }


def _company(account: Account) -> str:
    return "virtual" if account.is_virtual else "svg"


def _listed(account: Account) -> Payload:
    return {
        "loginid": account.login_id,
        "currency": account.currency,
        "currency_type": "fiat",
        "account_category": "trading",
        "account_type": "binary",
        "broker": account.login_id.rstrip("0123456789"),
        "created_at": account.opened_at_ms // 1_000,
        "is_disabled": int("disabled" in account.statuses),
        "is_virtual": int(account.is_virtual),
        "landing_company_name": _company(account),
        "linked_to": [],
    }


async def _logout(asked: Asked) -> Payload:
    asked.caller.forget_login()
    return {"logout": 1}


async def _balance(asked: Asked) -> Payload:
    account = await asked.account()
    if asked.text("account", "current") not in {"current", account.login_id}:
        raise Refusal("PermissionDenied", "Permission denied, balances of all accounts require oauth token")
    # The stream is opened before the balance is read, or a movement between the two would go untold.
    stream_id = asked.open_stream("balance") if asked.whole("subscribe") else None
    cents = await asked.world.exchange.book.balance_of(account.login_id)
    payload: Payload = {"balance": wire.amount(cents), "currency": account.currency, "loginid": account.login_id}
    if stream_id is None:
        return {"balance": payload}
    return {"balance": payload | {"id": stream_id}, "subscription": {"id": stream_id}}


async def _transaction(asked: Asked) -> Payload:
    stream_id = asked.open_stream("transaction")
    return {"transaction": {"id": stream_id}, "subscription": {"id": stream_id}}


async def _statement(asked: Asked) -> Payload:
    now_ms = milliseconds_of(asked.world.clock)
    rows = await asked.world.exchange.book.statement(
        asked.caller.login_id,
        action=asked.text("action_type") or None,
        from_ms=asked.whole("date_from") * 1_000,
        before_ms=min((asked.whole("date_to", _LATEST_EPOCH) + 1) * 1_000, now_ms - asked.hidden_ms + 1),
        limit=asked.whole("limit", _PAGE),
        offset=asked.whole("offset"),
    )
    described = bool(asked.whole("description"))
    return {
        "statement": {"count": len(rows), "transactions": [_statement_row(row, described=described) for row in rows]}
    }


def _statement_row(row: Row, *, described: bool) -> Payload:
    payload: Payload = {
        "transaction_id": row.transaction_id,
        "transaction_time": row.happened_at_ms // 1_000,
        "action_type": row.action,
        "amount": wire.amount(row.amount_cents),
        "balance_after": wire.amount(row.balance_after_cents),
        "app_id": row.app_id,
        "contract_id": None,
        "reference_id": None,
        "payout": None,
    }
    return payload | {"shortcode": None, "longcode": row.remark} if described else payload


async def _get_settings(asked: Asked) -> Payload:
    account = await asked.account()
    return {
        "get_settings": {
            "first_name": account.first_name,
            "last_name": account.last_name,
            "salutation": "",
            "email": account.email,
            "phone": None,
            "date_of_birth": None,
            "country_code": account.country,
            "residence": None,
            "is_authenticated_payment_agent": int(account.agent is not None),
            "preferred_language": "EN",
            "immutable_fields": [],
        }
    }


async def _paymentagent_transfer(asked: Asked) -> Payload:
    dry_run = bool(asked.whole("dry_run"))
    try:
        client, sent = await asked.world.exchange.transfer_to_client(
            agent_id=asked.caller.login_id,
            client_id=asked.text("transfer_to"),
            amount=asked.request["amount"],
            currency=asked.text("currency"),
            note=asked.text("description"),
            app_id=asked.caller.app_id,
            dry_run=dry_run,
        )
    except TransferRefused as refused:
        raise Refusal(refused.code, refused.message) from None
    payload: Payload = {"client_to_full_name": client.full_name, "client_to_loginid": client.login_id}
    if sent is None:
        return {"paymentagent_transfer": 2} | payload
    return {"paymentagent_transfer": 1} | payload | {"transaction_id": sent.transaction_id}


async def _verify_email(asked: Asked) -> Payload:
    """Always 1; a mail goes only to the authorised client's own address (deriv.md §2.11)."""
    email, kind = asked.text("verify_email"), asked.text("type")
    if asked.caller.login_id:
        account = await asked.account()
        if account.email == email:
            await asked.world.mailbox.send_code(account.login_id, email, kind)
    return {"verify_email": 1}


async def _paymentagent_withdraw(asked: Asked) -> Payload:
    """The code is checked and used up before anything else, and not looked at in a dry run."""
    dry_run = bool(asked.whole("dry_run"))
    login_id = asked.caller.login_id
    code = asked.text("verification_code")
    if not dry_run and not await asked.world.mailbox.use_code(login_id, "paymentagent_withdraw", code):
        raise Refusal("InvalidToken", "Your token has expired or is invalid.")
    try:
        agent, sent = await asked.world.exchange.withdraw_to_agent(
            client_id=login_id,
            agent_id=asked.text("paymentagent_loginid"),
            amount=asked.request["amount"],
            currency=asked.text("currency"),
            note=asked.text("description"),
            app_id=asked.caller.app_id,
            dry_run=dry_run,
        )
    except TransferRefused as refused:
        raise Refusal(refused.code, refused.message) from None
    payload: Payload = {"paymentagent_name": "" if agent.agent is None else agent.agent.name}
    if sent is None:
        return {"paymentagent_withdraw": 2} | payload
    return {"paymentagent_withdraw": 1} | payload | {"transaction_id": sent.transaction_id}


async def _forget(asked: Asked) -> Payload:
    wanted = asked.text("forget")
    for name, (stream_id, _) in asked.caller.streams.items():
        if stream_id == wanted:
            del asked.caller.streams[name]
            return {"forget": 1}
    return {"forget": 0}


async def _forget_all(asked: Asked) -> Payload:
    wanted = asked.request["forget_all"]
    names = wanted if isinstance(wanted, list) else [wanted]
    return {"forget_all": [asked.caller.streams.pop(name)[0] for name in names if name in asked.caller.streams]}


@dataclass(frozen=True, slots=True)
class Call:
    answer: Callable[[Asked], Awaitable[Payload]]
    scopes: frozenset[str] = frozenset()
    """Any of these suffices; none: the call needs no authorisation (deriv.md §2)."""
    bucket: Bucket | None = "general"
    """None: not counted."""


_READ = frozenset({"read", "trading_information"})

CALLS: Mapping[str, Call] = {
    "ping": Call(_ping, bucket=None),
    "time": Call(_time, bucket=None),
    "website_status": Call(_website_status),
    "authorize": Call(_authorize),
    "logout": Call(_logout),
    "forget": Call(_forget),
    "forget_all": Call(_forget_all),
    "balance": Call(_balance, _READ),
    "transaction": Call(_transaction, _READ),
    "statement": Call(_statement, _READ, bucket="outcome"),
    "get_settings": Call(_get_settings, frozenset({"read"})),
    "paymentagent_transfer": Call(_paymentagent_transfer, frozenset({"payments"})),
    "verify_email": Call(_verify_email),
    "paymentagent_withdraw": Call(_paymentagent_withdraw, frozenset({"payments"})),
}
