"""One process's worth of the sandbox."""

from __future__ import annotations

from penpay.application.mobile_money.operator import Operator
from penpay.application.mobile_money.operator import handlers as operator_handlers
from penpay.application.mobile_money.pins import PinHasher
from penpay.application.shared.executor import Executor
from penpay.bootstrap.databases import prepare_database
from penpay.bootstrap.ports import Ports, Tasks
from penpay.config import Settings
from penpay.domain.mobile_money.policy import PayerPolicy
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.mobile_money import (
    MerchantRepository,
    ReceiptRepository,
    SqlOperatorBooks,
    StkPushRepository,
    SubscriberRepository,
)
from penpay.infrastructure.sql.shared import OutboxRepository
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import UuidV7
from penpay.sandbox.daraja.sandbox import DarajaSandbox
from penpay.sandbox.daraja.switches import DarajaCredentials, DarajaSwitches
from penpay.sandbox.deriv.book import Book
from penpay.sandbox.deriv.faults import FaultPlan as DerivFaultPlan
from penpay.sandbox.deriv.limits import RateLimits
from penpay.sandbox.deriv.server import DerivSimulator


class Sandbox:
    """One process's worth of the sandbox: the operator with Daraja, and the Deriv simulator, each on its own book."""

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        *,
        switches: DarajaSwitches,
        deriv_url: str,
        deriv_limits: RateLimits,
        pin_log2_cost: int = 14,
    ) -> None:
        """`pin_log2_cost`: how dear it is to guess a PIN; a simulation, where nobody guesses, makes it cheap."""
        self._settings = settings
        self._tasks = Tasks()
        self.clock = ports.clock
        self.engine = open_engine(settings.operator_database_url, connect=ports.database)
        self._deriv_engine = open_engine(deriv_url, connect=ports.database)
        cipher = FieldCipher(settings.key_ring, ports.random)
        index = BlindIndex(settings.derived_key(KeyPurpose.BLIND_INDEX))
        subscribers, pushes = SubscriberRepository(cipher, index), StkPushRepository(cipher, index)
        self._executor = Executor(
            database=SqlDatabase(self.engine, _schema(subscribers, pushes)),
            clock=ports.clock,
            ids=UuidV7(ports.clock, ports.random),
            random=ports.random,
            handlers=operator_handlers(PayerPolicy()),
            subscriptions={},
            on_events=lambda _: None,
        )
        read = reading(self.engine)
        self.operator = Operator(
            executor=self._executor,
            books=SqlOperatorBooks(read, subscribers=subscribers, pushes=pushes, clock=ports.clock),
            pins=PinHasher(
                pepper=settings.derived_key(KeyPurpose.DIGEST), random=ports.random, log2_cost=pin_log2_cost
            ),
        )
        self._callbacks = ports.http()
        self.daraja = DarajaSandbox(
            operator=self.operator,
            callback_client=self._callbacks,
            clock=ports.clock,
            random=ports.random,
            spawn=self._tasks.spawn,
            credentials=DarajaCredentials(
                consumer_key=settings.mpesa_consumer_key.get_secret_value(),
                consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
                passkeys={settings.mpesa_short_code: settings.mpesa_passkey.get_secret_value()},
            ),
            switches=switches,
        )
        self.deriv_book = Book(self._deriv_engine, clock=ports.clock)
        self.deriv_faults = DerivFaultPlan(ports.random)
        self.deriv = DerivSimulator(
            book=self.deriv_book,
            clock=ports.clock,
            random=ports.random,
            spawn=self._tasks.spawn,
            faults=self.deriv_faults,
            limits=deriv_limits,
        )

    async def start(self) -> None:
        """Serve the operator's commands and its prompts; HTTP and WebSocket are served by the caller."""
        await prepare_database(self.engine, self._settings.operator_database_url)
        await self.deriv_book.create()
        self._tasks.spawn(self._executor.run(), "operator")
        await self.operator.register_merchant(self._settings.mpesa_short_code, "PENPAY")
        await self.daraja.start()

    async def stop(self) -> None:
        """End every task and close what is open."""
        await self._tasks.stop()
        await self._callbacks.aclose()
        await self.engine.dispose()
        await self._deriv_engine.dispose()


def _schema(subscribers: SubscriberRepository, pushes: StkPushRepository) -> Schema:
    """Every kind of row the operator keeps."""
    return Schema(
        repositories=(
            OutboxRepository(),
            MerchantRepository(),
            subscribers,
            pushes,
            ReceiptRepository(),
            WalletRepository(),
            JournalRepository(),
        ),
        finders=(),
        appenders=(EntryAppender(),),
    )
