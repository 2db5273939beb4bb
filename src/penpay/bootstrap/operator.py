"""One process's worth of the mobile-money operator: its executor, its books, and the sealing of its audit trail."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError

from penpay.application.mobile_money.operator import Operator, Secrets, handlers
from penpay.application.mobile_money.secret_hasher import SecretHasher
from penpay.application.mobile_money.tariff_file import parse_excise
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock, Random
from penpay.bootstrap.databases import prepare_database
from penpay.bootstrap.ports import Ports, Tasks
from penpay.config import OperatorRules, OperatorSettings
from penpay.domain.mobile_money.policy import OPEN, KycTier, Limits, OperatorPolicy
from penpay.domain.mobile_money.tariff import ExciseRates
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.checkpoint_keys import CheckpointKey
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.security.keys import KeyPurpose
from penpay.infrastructure.sql import migrations
from penpay.infrastructure.sql.daraja_requests import DarajaRequestRepository, ReceiptFinder, SqlRequestBooks
from penpay.infrastructure.sql.engine import open_engine, reading
from penpay.infrastructure.sql.housekeeping import forget_expired_keys
from penpay.infrastructure.sql.ledger import EntryAppender, JournalRepository, WalletRepository
from penpay.infrastructure.sql.operator_books import EntangledFinder, SqlOperatorBooks
from penpay.infrastructure.sql.operator_c2b import C2bUrlsRepository, PullRegistrationRepository, SqlC2bBooks
from penpay.infrastructure.sql.operator_money import (
    BankDepositRepository,
    ChargeFinder,
    ChargeRepository,
    FloatIssueRepository,
    KnownTransactionFinder,
    OperatorTransactionRepository,
    TariffFinder,
    TariffRepository,
    UnevidencedFinder,
)
from penpay.infrastructure.sql.operator_people import (
    AddressRepository,
    AdministratorRepository,
    CustomerRepository,
    DestinationFinder,
    MerchantRepository,
    MessageAppender,
)
from penpay.infrastructure.sql.operator_requests import ApprovalRepository, AskedForFinder, CashOutCodeRepository
from penpay.infrastructure.sql.operator_stk import ReceiptRepository, StkPushRepository
from penpay.infrastructure.sql.publication import SqlPublication
from penpay.infrastructure.sql.shared import IdempotencyRepository, OutboxRepository
from penpay.infrastructure.sql.unit_of_work import Schema, SqlDatabase
from penpay.infrastructure.system import UuidV7
from penpay.presentation.operator.tokens import AccessTokens
from penpay.workers.publisher import PUBLISHER, Publisher
from penpay.workers.runtime import LOOK_EVERY_MS, Wakeups, Worker

_HOUR_MS: Final = 3_600_000


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Limits(_Shape):
    transaction: int = Field(alias="transactionShillings", gt=0)
    day: int = Field(alias="dayShillings", gt=0)
    balance: int = Field(alias="balanceShillings", gt=0)


class _Rules(_Shape):
    """penpay/data/rules-*.json."""

    source: str
    valid_from: str = Field(alias="validFrom")
    smallest_deposit: int = Field(alias="smallestDepositShillings", gt=0)
    smallest_withdrawal: int = Field(alias="smallestWithdrawalShillings", gt=0)
    smallest_transfer: int = Field(alias="smallestTransferShillings", gt=0)
    smallest_payout: int = Field(alias="smallestPayoutShillings", gt=0)
    largest_payout: int = Field(alias="largestPayoutShillings", gt=0)
    pin_required: bool = Field(alias="pinRequired")
    pin_attempts: int = Field(alias="pinAttempts", gt=0)
    limits: Mapping[str, _Limits]


def kenyan_policy() -> OperatorPolicy:
    """The rules of M-PESA, from the data file that comes with the package."""
    rules = _Rules.model_validate_json(_data("rules-kenya.json"))
    return OperatorPolicy(
        limits={
            KycTier(tier): Limits(
                transaction=_shillings(one.transaction), day=_shillings(one.day), balance=_shillings(one.balance)
            )
            for tier, one in rules.limits.items()
        },
        smallest_deposit=_shillings(rules.smallest_deposit),
        smallest_withdrawal=_shillings(rules.smallest_withdrawal),
        smallest_transfer=_shillings(rules.smallest_transfer),
        smallest_payout=_shillings(rules.smallest_payout),
        largest_payout=_shillings(rules.largest_payout),
        pin_required=rules.pin_required,
        pin_attempts=rules.pin_attempts,
    )


def operator_policy(settings: OperatorSettings) -> OperatorPolicy:
    """The rules that the settings name."""
    base = kenyan_policy() if settings.operator_rules is OperatorRules.KENYA else OPEN
    above = settings.operator_approval_above_cents
    return replace(
        base,
        approval_above=None if above is None else Money(above, Currency.KES),
        low_float=Money(settings.operator_low_float_cents, Currency.KES),
    )


def excise_rates() -> ExciseRates:
    """The dated excise rates that come with the package."""
    return parse_excise(_data("excise-kenya.json"))


def _data(name: str) -> bytes:
    return (resources.files("penpay") / "data" / name).read_bytes()


def _shillings(number: int) -> Money:
    return Money(number * 100, Currency.KES)


def _schema(
    *,
    customers: CustomerRepository,
    administrators: AdministratorRepository,
    addresses: AddressRepository,
    pushes: StkPushRepository,
    requests: DarajaRequestRepository,
    messages: MessageAppender,
    c2b: tuple[C2bUrlsRepository, PullRegistrationRepository],
) -> Schema:
    """Every row the operator's commands touch, in the order in which they are locked."""
    return Schema(
        repositories=(
            IdempotencyRepository(),
            OutboxRepository(),
            administrators,
            customers,
            addresses,
            MerchantRepository(),
            *c2b,
            pushes,
            ReceiptRepository(),
            CashOutCodeRepository(),
            ApprovalRepository(),
            ChargeRepository(),
            TariffRepository(),
            OperatorTransactionRepository(),
            requests,
            FloatIssueRepository(),
            BankDepositRepository(),
            WalletRepository(),
            JournalRepository(),
        ),
        finders=(
            DestinationFinder(addresses),
            ChargeFinder(),
            TariffFinder(),
            AskedForFinder(),
            KnownTransactionFinder(),
            ReceiptFinder(),
            UnevidencedFinder(),
            EntangledFinder(),
        ),
        appenders=(EntryAppender(), messages),
    )


def _secrets(digest: bytes, ports: Ports, log2_cost: int) -> Secrets:
    hasher = SecretHasher(pepper=digest, random=ports.random, aside=ports.aside, log2_cost=log2_cost)
    return Secrets(hasher=hasher, codes=digest)


class OperatorProcess:
    """An operator on its database; `start` it, serve it, `stop` it."""

    def __init__(
        self,
        settings: OperatorSettings,
        ports: Ports,
        *,
        policy: OperatorPolicy,
        pin_log2_cost: int = 14,
        clock: Clock | None = None,
        codes: Random | None = None,
    ) -> None:
        """`pin_log2_cost`: how dear it is to guess a PIN; a simulation, where nobody guesses, makes it cheap.

        `clock` and `codes`: a sandbox's own time, and what its customers' codes and numbers are drawn from; None: as
        the ports say. Ids go by the ports' clock in any case, which alone never goes back from one start to the next.
        """
        self._url = settings.operator_database_url
        self._tasks = Tasks()
        self.policy = policy
        self.clock = clock = clock or ports.clock
        self.engine = open_engine(self._url, connect=ports.database)
        self._checkpoint_key = settings.derived_key(KeyPurpose.AUDIT_CHECKPOINT)
        self._log = logging.getLogger(__name__)
        self.idempotency_secret = settings.derived_key(KeyPurpose.DIGEST)
        self.access_tokens = AccessTokens(settings.derived_key(KeyPurpose.OPERATOR_TOKEN))
        secret = settings.operator_bootstrap_secret
        self.bootstrap_secret = None if secret is None else secret.get_secret_value()
        cipher = FieldCipher(settings.key_ring, ports.random)
        index = BlindIndex(settings.derived_key(KeyPurpose.BLIND_INDEX))
        self._ids = ids = UuidV7(ports.clock, ports.random)
        customers, administrators = CustomerRepository(cipher), AdministratorRepository(cipher)
        addresses, pushes = AddressRepository(index), StkPushRepository(cipher, index)
        messages, requests = MessageAppender(cipher, ids), DarajaRequestRepository(cipher)
        urls, pulls = C2bUrlsRepository(cipher), PullRegistrationRepository(cipher)
        schema = _schema(
            customers=customers,
            administrators=administrators,
            addresses=addresses,
            pushes=pushes,
            requests=requests,
            messages=messages,
            c2b=(urls, pulls),
        )
        self.c2b = SqlC2bBooks(reading(self.engine), customers=customers, urls=urls, pulls=pulls)
        self.excise = excise_rates()
        self.executor = Executor(
            database=SqlDatabase(self.engine, schema),
            clock=clock,
            ids=ids,
            random=ports.random,
            handlers=handlers(policy, self.excise),
            subscriptions={},
            on_events=lambda _: None,
        )
        self.operator = Operator(
            executor=self.executor,
            books=SqlOperatorBooks(
                reading(self.engine),
                customers=customers,
                administrators=administrators,
                addresses=addresses,
                pushes=pushes,
                messages=messages,
                clock=clock,
            ),
            requests=SqlRequestBooks(reading(self.engine), requests),
            secrets=_secrets(settings.derived_key(KeyPurpose.DIGEST), ports, pin_log2_cost),
            random=codes or ports.random,
        )

    async def start(self) -> None:
        """Serve the operator's commands; HTTP is served by the caller."""
        await prepare_database(self.engine, self._url)
        self._tasks.spawn_vital(self.executor.run(), "operator")

    def seal(self) -> None:
        """Seal the audit trail, give events their positions and forget old idempotency keys, from now on."""
        self._tasks.spawn(self._publisher().run(), PUBLISHER)
        self._tasks.spawn(self._keep_house(), "housekeeping")

    async def schema_is_current(self) -> bool:
        """Whether the database's schema is the one this code was written for."""
        return await migrations.revision_of(self.engine) == migrations.head()

    async def failed(self) -> None:
        """Wait until a part has failed without which nothing can be served; it is in the log."""
        await self._tasks.failed()

    def _publisher(self) -> Worker[str]:
        publisher = Publisher(
            publication=SqlPublication(self.engine),
            signer=CheckpointKey(self._checkpoint_key),
            clock=self.clock,
            holder=self._ids.new(),
        )
        return Worker(
            name=PUBLISHER,
            look=publisher.look,
            key=lambda found: found,
            handle=publisher.handle,
            wakeups=Wakeups(),
            clock=self.clock,
            spawn=self._tasks.spawn,
            look_every_ms=LOOK_EVERY_MS,
        )

    async def _keep_house(self) -> None:
        while True:
            try:
                await forget_expired_keys(self.engine, self.clock.now())
            except (DBAPIError, OSError):  # the next hour will do
                self._log.warning("expired idempotency keys could not be deleted")
            await self.clock.sleep(_HOUR_MS)

    async def stop(self) -> None:
        """End every task and close what is open."""
        await self._tasks.stop()
        await self.engine.dispose()
