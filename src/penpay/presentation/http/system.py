"""What the routes need of the System they serve, and how they find it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Protocol, cast

from starlette.requests import Request

from penpay.application.collections.doors import Message, Verdict
from penpay.application.collections.queries import CollectionsBooks, OutflowBooks, PeriodBooks, ShiftBooks
from penpay.application.collections.recurring import RecurringBooks
from penpay.application.collections.reminding import ReminderBooks
from penpay.application.collections.reports import CollectionsReports
from penpay.application.collections.statements import Statements
from penpay.application.identity.staff_access import StaffAccess
from penpay.application.payments.queries import PaymentBooks, ReviewBooks, Stories
from penpay.application.shared.executor import Executor
from penpay.application.shared.live import LiveFeed
from penpay.application.shared.ports import Clock, Ids
from penpay.application.wallet.queries import LedgerBooks
from penpay.application.wallet.reports import LedgerReports
from penpay.domain.shared.ids import UserId

SCOPE_KEY: Final = "penpay.system"


class CallbackReceiver(Protocol):
    """Takes Safaricom's messages as they come; `application.payments.callbacks.MpesaCallbackVerifier`."""

    async def receive(self, *, token: str, remote_address: str, body: bytes) -> None:
        """Returns once the message is durable; raises CallbackRefused once its refusal is."""
        ...


class ResultReceiver(Protocol):
    """Takes what is told of payouts and of questions; `application.payments.callbacks.MpesaCallbackVerifier`."""

    async def receive_result(self, *, token: str, remote_address: str, body: bytes, timed_out: bool) -> None:
        """Returns and raises as `CallbackReceiver.receive`."""
        ...


class C2bReceiver(Protocol):
    """Takes what Safaricom asks and tells of payments; `application.collections.doors.C2bDoor`."""

    async def confirm(self, message: Message) -> None:
        """Returns once the message is durable; raises CallbackRefused once its refusal is."""
        ...

    async def validate(self, message: Message) -> Verdict:
        """Whether the payment may happen; raises CallbackRefused as `confirm` does."""
        ...


@dataclass(frozen=True, slots=True)
class Reports:
    """What those who keep the books can read."""

    ledger: LedgerReports
    statements: Statements
    collections: CollectionsReports
    shifts: ShiftBooks
    periods: PeriodBooks
    business_name: str
    """Who sends statements."""


class HttpSystem(Protocol):
    """One process's worth of program, as far as HTTP is concerned."""

    @property
    def executor(self) -> Executor: ...

    @property
    def payment_books(self) -> PaymentBooks: ...

    @property
    def review_books(self) -> ReviewBooks: ...

    @property
    def stories(self) -> Stories: ...

    @property
    def ledger_books(self) -> LedgerBooks: ...

    @property
    def callback_verifier(self) -> CallbackReceiver: ...

    @property
    def result_verifier(self) -> ResultReceiver: ...

    @property
    def c2b_door(self) -> C2bReceiver: ...

    @property
    def tls_required(self) -> bool:
        """Whether messages about money must have come encrypted."""
        ...

    @property
    def staff_access(self) -> StaffAccess: ...

    @property
    def collections_books(self) -> CollectionsBooks: ...

    @property
    def outflow_books(self) -> OutflowBooks: ...

    @property
    def reminder_books(self) -> ReminderBooks: ...

    @property
    def recurring_books(self) -> RecurringBooks: ...

    @property
    def live_feed(self) -> LiveFeed: ...

    @property
    def ids(self) -> Ids: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def reports(self) -> Reports: ...

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers may send our cookies over TLS alone."""
        ...

    @property
    def idempotency_secret(self) -> bytes:
        """What idempotency keys and field values are digested with."""
        ...

    @property
    def trusted_proxies(self) -> Collection[IPv4Network | IPv6Network]:
        """Whose X-Forwarded-For is believed."""
        ...

    async def authenticate(self, api_key: str) -> UserId:
        """The user this key belongs to; raises Unauthorized."""
        ...

    async def schema_is_current(self) -> bool:
        """Whether the database's schema is the one this code was written for; raises when it does not answer."""
        ...


def system_of(request: Request) -> HttpSystem:
    """The System this request has reached."""
    return cast("HttpSystem", request.scope[SCOPE_KEY])
