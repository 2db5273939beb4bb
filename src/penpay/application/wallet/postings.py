"""How money moves: one function for each row of the table of flows in docs/ledger.md.

Every function posts one journal in the caller's unit of work; `…_footprint` names the rows it will touch, so that it
can be locked beforehand. The reference is the identity of what happened in the world, so nothing is booked twice.
"""

from __future__ import annotations

from datetime import datetime

from penpay.application.shared.unit_of_work import Footprint, Work
from penpay.application.wallet.ledger import ACCOUNTS, JOURNALS, post, reverse
from penpay.domain.shared.errors import DuplicateJournal
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.locked_rate import DepositQuote
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import wallet_code
from penpay.domain.wallet.journal import Line, credit, debit

COLLECTION = "mpesa:collection"
DERIV_AGENT = "deriv:agent"
DERIV_IN_FLIGHT = "deriv:in_flight"
TRUST_UNEVIDENCED = "trust:unevidenced"

DEPOSIT_PAID = "deposit_paid"
DEPOSIT_CONVERTED = "deposit_converted"
TRANSFER_INTENDED = "deriv_transfer_intended"
TRANSFER_CONFIRMED = "deriv_transfer_confirmed"
UNMATCHED_PAYMENT = "unmatched_payment"
FLOAT_ISSUED = "float_issued"
OPERATOR_PAYMENT = "operator_payment"
OWNER_FUNDING = "owner_funding"
INCOMING_CREDIT = "deriv_incoming_credit"


def balance(work: Work, code: str, currency: Currency) -> Money:
    """What the account holds as the batch has it now; nothing for one not opened yet."""
    account = work.get(ACCOUNTS, code)
    return account.balance if account else Money.zero(currency)


def deposit_footprint(footprint: Footprint, user: UserId) -> Footprint:
    """Every account a deposit of this user can touch."""
    return footprint.add(
        ACCOUNTS,
        COLLECTION,
        DERIV_AGENT,
        DERIV_IN_FLIGHT,
        "fx:KES",
        "fx:USD",
        "revenue:fx_spread",
        "revenue:rounding",
        "suspense:KES",
        wallet_code(user, Currency.KES),
        wallet_code(user, Currency.USD),
    )


def deposit_paid(
    work: Work, *, user: UserId, transaction: TransactionId, reference: str, amount: Money, happened_at: datetime
) -> None:
    """The payer's shillings have reached our collection account and are the user's."""
    lines = [debit(COLLECTION, amount), credit(wallet_code(user, Currency.KES), amount)]
    post(work, DEPOSIT_PAID, reference, lines, happened_at=happened_at, transaction_id=transaction)


def deposit_converted(work: Work, *, user: UserId, transaction: TransactionId, quote: DepositQuote) -> None:
    """The user's shillings become dollars at the locked rate; what the rate leaves over is revenue, rounding too."""
    lines = [
        debit(wallet_code(user, Currency.KES), quote.kes_charged),
        credit("fx:KES", quote.kes_at_mid),
        credit("revenue:fx_spread", quote.spread),
        credit("revenue:rounding", quote.rounding),
        debit("fx:USD", quote.usd),
        credit(wallet_code(user, Currency.USD), quote.usd),
    ]
    post(work, DEPOSIT_CONVERTED, str(transaction), lines, happened_at=work.now, transaction_id=transaction)


def transfer_intended(work: Work, *, user: UserId, transaction: TransactionId, reference: str, amount: Money) -> None:
    """The user's dollars are on their way to Deriv and can be used for nothing else."""
    lines = [debit(wallet_code(user, Currency.USD), amount), credit(DERIV_IN_FLIGHT, amount)]
    post(work, TRANSFER_INTENDED, reference, lines, happened_at=work.now, transaction_id=transaction)


def transfer_confirmed(
    work: Work, *, transaction: TransactionId, reference: str, amount: Money, happened_at: datetime
) -> None:
    """Deriv has moved the dollars from our agent account to the client."""
    lines = [debit(DERIV_IN_FLIGHT, amount), credit(DERIV_AGENT, amount)]
    post(work, TRANSFER_CONFIRMED, reference, lines, happened_at=happened_at, transaction_id=transaction)


def transfer_failed(work: Work, *, reference: str) -> None:
    """Deriv moved nothing: the dollars are the user's again. The footprint must name the intended journal."""
    reverse(work, TRANSFER_INTENDED, reference, happened_at=work.now)


def deposit_payment_refuted(work: Work, *, reference: str) -> None:
    """M-Pesa says the payment a callback announced never happened: it leaves the books by reversal."""
    reverse(work, DEPOSIT_PAID, reference, happened_at=work.now)


def payment_unmatched(
    work: Work, *, transaction: TransactionId, reference: str, amount: Money, happened_at: datetime
) -> None:
    """Shillings have reached us that do not fit what was asked for; people decide whose they are."""
    lines = [debit(COLLECTION, amount), credit("suspense:KES", amount)]
    post(work, UNMATCHED_PAYMENT, reference, lines, happened_at=happened_at, transaction_id=transaction)


def journal_footprint(footprint: Footprint, *journals: tuple[str, str]) -> Footprint:
    """Journals, by (kind, reference), that will be looked at or reversed."""
    return footprint.add(JOURNALS, *journals)


def owner_funding_footprint(footprint: Footprint, *, account: str, currency: Currency, reference: str) -> Footprint:
    return footprint.add(ACCOUNTS, account, f"equity:owner:{currency.value}").add(JOURNALS, (OWNER_FUNDING, reference))


def owner_funding(work: Work, *, account: str, amount: Money, reference: str) -> bool:
    """The owner puts money into one of our provider accounts; False when this reference is booked already.

    Raises DuplicateJournal when it is booked with another amount or account.
    """
    lines = [debit(account, amount), credit(f"equity:owner:{amount.currency.value}", amount)]
    return _once(work, OWNER_FUNDING, reference, lines)


def incoming_credit_footprint(footprint: Footprint, *, reference: str) -> Footprint:
    return footprint.add(ACCOUNTS, DERIV_AGENT, "suspense:USD").add(JOURNALS, (INCOMING_CREDIT, reference))


def incoming_credit(work: Work, *, amount: Money, reference: str, happened_at: datetime) -> bool:
    """Dollars have reached our agent account that we cannot explain; False when booked already, as above."""
    lines = [debit(DERIV_AGENT, amount), credit("suspense:USD", amount)]
    return _once(work, INCOMING_CREDIT, reference, lines, happened_at)


def float_issued_footprint(footprint: Footprint, *, holder: str, reference: str) -> Footprint:
    return footprint.add(ACCOUNTS, TRUST_UNEVIDENCED, holder).add(JOURNALS, (FLOAT_ISSUED, reference))


def float_issued(work: Work, *, holder: str, amount: Money, reference: str) -> bool:
    """The operator owes the holder money it has no bank evidence for yet; False when booked already, as above."""
    return _once(work, FLOAT_ISSUED, reference, [debit(TRUST_UNEVIDENCED, amount), credit(holder, amount)])


def operator_payment_footprint(footprint: Footprint, *, payer: str, payee: str) -> Footprint:
    return footprint.add(ACCOUNTS, payer, payee)


def operator_payment(work: Work, *, payer: str, payee: str, amount: Money, reference: str) -> None:
    """Money moves between two holders at the operator; raises Overdrawn when the payer has not enough."""
    post(work, OPERATOR_PAYMENT, reference, [debit(payer, amount), credit(payee, amount)], happened_at=work.now)


def _once(work: Work, kind: str, reference: str, lines: list[Line], happened_at: datetime | None = None) -> bool:
    known = work.get(JOURNALS, (kind, reference))
    if known is None:
        post(work, kind, reference, lines, happened_at=happened_at or work.now)
        return True
    if set(known.lines) != set(lines):
        raise DuplicateJournal(kind=kind, reference=reference)
    return False
