"""One batch of the ledger in memory, with what was posted written as an accountant writes it."""

from __future__ import annotations

from uuid import UUID

from penpay.application.shared.unit_of_work import EVENTS, Work
from penpay.application.wallet.ledger import ACCOUNTS, ENTRIES, JOURNALS
from penpay.domain.shared.events import DomainEvent
from penpay.domain.shared.ids import BatchId, LedgerAccountId, TransactionId, UserId
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import CHART, LedgerAccount, wallet_code
from penpay.infrastructure.system import UuidV7
from tests.support.ports import MORNING, HandClock, SeededRandom

ALPHA = UserId(UUID(int=1))
BETA = UserId(UUID(int=2))
T1 = TransactionId(UUID(int=101))
T2 = TransactionId(UUID(int=102))
NAMES = {ALPHA: "Alpha", BETA: "Beta"}


def kes(text: str) -> Money:
    return Money.from_decimal_text(text, Currency.KES)


def usd(text: str) -> Money:
    return Money.from_decimal_text(text, Currency.USD)


class Books:
    """A batch whose footprint names every account there is one of and all those of two customers."""

    def __init__(self) -> None:
        clock = HandClock()
        self.work = Work(
            batch_id=BatchId(UUID(int=9)), now=MORNING, ids=UuidV7(clock, SeededRandom()), subscriptions={}
        )
        wallets = [wallet_code(user, currency) for user in (ALPHA, BETA) for currency in Currency]
        holders = [
            f"{family}:{user}:KES" for family in ("agent", "commission", "merchant", "subscriber") for user in NAMES
        ]
        self.codes = [*CHART, *wallets, *holders]
        self.work.loaded(ACCOUNTS, dict.fromkeys(self.codes))
        self.work.begin()

    def may_look_at(self, *journals: tuple[str, str]) -> None:
        """Journals the footprint names and the books do not hold yet."""
        self.work.loaded(JOURNALS, dict.fromkeys(journals))

    def account(self, code: str) -> LedgerAccount:
        found = self.work.get(ACCOUNTS, code)
        assert found is not None
        return found

    def opened(self) -> list[LedgerAccount]:
        """Every account that has been posted to."""
        return [found for code in self.codes if (found := self.work.get(ACCOUNTS, code)) is not None]

    def posted(self) -> list[list[str]]:
        """Every journal so far, each a list of lines such as "DEBIT fx:USD USD 10.00"."""
        by_id: dict[LedgerAccountId, LedgerAccount] = {found.id: found for found in self.opened()}
        journals: dict[UUID, list[str]] = {}
        for entry in self.work.appended(ENTRIES):
            account = by_id[entry.account_id]
            line = f"{entry.side} {named(account.code)} {Money(entry.amount_cents, account.currency)}"
            journals.setdefault(entry.journal_id, []).append(line)
        return list(journals.values())

    def last(self) -> list[str]:
        """The lines of the newest journal."""
        return self.posted()[-1]

    def balances(self) -> dict[str, str]:
        """What every account holds, those that hold nothing left out."""
        return {named(found.code): str(found.balance) for found in self.opened() if found.balance_cents}

    def events(self) -> list[DomainEvent]:
        return [stored.event for stored in self.work.appended(EVENTS)]


def named(code: str) -> str:
    """A wallet's code with its owner's name in it."""
    for user, name in NAMES.items():
        code = code.replace(str(user), name)
    return code
