"""How money moves: one function for each row of the table of flows in docs/ledger.md.

Every function posts one journal in the caller's unit of work; `…_footprint` names the rows it will touch, so that it
can be locked beforehand. The reference is the identity of what happened in the world, so nothing is booked twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from penpay.application.shared.unit_of_work import Footprint, Work
from penpay.application.wallet.ledger import ACCOUNTS, JOURNALS, post, reverse
from penpay.domain.shared.errors import DuplicateJournal
from penpay.domain.shared.ids import JournalId, TransactionId, UserId
from penpay.domain.shared.locked_rate import DepositQuote
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import wallet_code
from penpay.domain.wallet.journal import Line, credit, debit

COLLECTION = "mpesa:collection"
DERIV_AGENT = "deriv:agent"
DERIV_IN_FLIGHT = "deriv:in_flight"
TRUST_BANK = "trust:bank"
TRUST_UNEVIDENCED = "trust:unevidenced"
SUSPENSE_KES = "suspense:KES"
FEE_REVENUE = "revenue:mobile_money_fees"
EXCISE_PAYABLE = "excise:payable"
COMMISSION_EXPENSE = "expense:agent_commission"
OPERATOR_BANK = "operator:bank"
CHARGES_UNSETTLED = "charges:unsettled"

DEPOSIT_PAID = "deposit_paid"
DEPOSIT_CONVERTED = "deposit_converted"
TRANSFER_INTENDED = "deriv_transfer_intended"
TRANSFER_CONFIRMED = "deriv_transfer_confirmed"
UNMATCHED_PAYMENT = "unmatched_payment"
FLOAT_ISSUED = "float_issued"
BANK_DEPOSIT = "bank_deposit"
OPERATOR_PAYMENT = "operator_payment"
OPERATOR_REVERSAL = "operator_reversal"
COMMISSION_ACCRUED = "commission_accrued"
COMMISSION_PAID = "commission_paid"
FEES_SWEPT = "fees_swept"
EXCISE_PAID = "excise_paid"
CHARGE_INCURRED = "charge_incurred"
CHARGES_SETTLED = "charges_settled"
OWNER_FUNDING = "owner_funding"
INCOMING_CREDIT = "deriv_incoming_credit"


def balance(work: Work, code: str, currency: Currency) -> Money:
    """What the account holds as the batch has it now; nothing for one not opened yet."""
    account = work.get(ACCOUNTS, code)
    return account.balance if account else Money.zero(currency)


def has_account(work: Work, code: str) -> bool:
    """Whether anything was ever posted to this account."""
    return work.get(ACCOUNTS, code) is not None


def last_posting(work: Work, code: str) -> datetime | None:
    """When something was last posted to this account; None for one never opened."""
    account = work.get(ACCOUNTS, code)
    return None if account is None else account.last_recorded_at


@dataclass(frozen=True, slots=True)
class RehearsedJournal:
    """A journal that would be posted: its kind and lines."""

    kind: str
    lines: tuple[Line, ...]


def rehearsed(work: Work, do: Callable[[], None]) -> tuple[RehearsedJournal, ...]:
    """The journals that doing something would post, in order; all it does is taken back.

    For a command that changes nothing itself: what it has done before is taken back as well.
    """
    work.begin()
    before = {id(change.after) for change in work.changes(JOURNALS)}
    try:
        do()
        return tuple(
            RehearsedJournal(change.after.journal.kind, tuple(change.after.lines))
            for change in work.changes(JOURNALS)
            if change.after is not None and id(change.after) not in before
        )
    finally:
        work.forget()
        work.begin()


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
    return once(work, OWNER_FUNDING, reference, lines)


def incoming_credit_footprint(footprint: Footprint, *, reference: str) -> Footprint:
    return footprint.add(ACCOUNTS, DERIV_AGENT, "suspense:USD").add(JOURNALS, (INCOMING_CREDIT, reference))


def is_credit_booked(work: Work, *, reference: str) -> bool:
    """Whether this credit on our agent account is in the books, in suspense or as somebody's."""
    return work.get(JOURNALS, (INCOMING_CREDIT, reference)) is not None


def incoming_credit(work: Work, *, amount: Money, reference: str, happened_at: datetime) -> JournalId:
    """Dollars have reached our agent account that we cannot explain; the journal's id. For one not booked yet."""
    lines = [debit(DERIV_AGENT, amount), credit("suspense:USD", amount)]
    return post(work, INCOMING_CREDIT, reference, lines, happened_at=happened_at).journal.id


# -- the mobile-money operator

_HELD: Final = ("equity:owner:KES", FEE_REVENUE, COMMISSION_EXPENSE, OPERATOR_BANK)


def commission_account(agent: UUID) -> str:
    """What the operator owes an agent for deposits and withdrawals."""
    return f"commission:{agent}:{Currency.KES.value}"


def float_footprint(footprint: Footprint, *, holder: str) -> Footprint:
    return footprint.add(ACCOUNTS, TRUST_UNEVIDENCED, TRUST_BANK, SUSPENSE_KES, holder)


def float_assigned(work: Work, *, holder: str, amount: Money, against: str, id_: UUID) -> None:
    """The operator owes the holder float.

    `against`: TRUST_UNEVIDENCED without evidence of the bank, TRUST_BANK for a deposit named now, SUSPENSE_KES for one
    that had been entered before and waited there.
    """
    lines = [debit(against, amount), credit(holder, amount)]
    post(work, FLOAT_ISSUED, str(id_), lines, happened_at=work.now, transaction_id=TransactionId(id_))


def float_issued_footprint(footprint: Footprint, *, holder: str, reference: str) -> Footprint:
    return footprint.add(ACCOUNTS, TRUST_UNEVIDENCED, holder).add(JOURNALS, (FLOAT_ISSUED, reference))


def float_issued(work: Work, *, holder: str, amount: Money, reference: str) -> bool:
    """The operator owes the holder money it has no bank evidence for yet; False when booked already, as above."""
    return once(work, FLOAT_ISSUED, reference, [debit(TRUST_UNEVIDENCED, amount), credit(holder, amount)])


def customer_footprint(footprint: Footprint, customer: UUID) -> Footprint:
    """Every account that a customer whose type is not known yet can have, commission apart."""
    kes = Currency.KES.value
    families = ("agent", "merchant", "subscriber", "working", "charges_paid")
    return footprint.add(ACCOUNTS, *(f"{family}:{customer}:{kes}" for family in families))


def bank_deposit_footprint(footprint: Footprint) -> Footprint:
    return footprint.add(ACCOUNTS, TRUST_BANK, TRUST_UNEVIDENCED, SUSPENSE_KES, "equity:owner:KES")


def bank_deposit(work: Work, *, amount: Money, reference: str, explains: str) -> None:
    """Money has reached the trust account at the bank.

    `explains`: TRUST_UNEVIDENCED when it stands behind float issued before, `equity:owner:KES` when it is the
    operator's own, SUSPENSE_KES when nobody knows yet.
    """
    post(work, BANK_DEPOSIT, reference, [debit(TRUST_BANK, amount), credit(explains, amount)], happened_at=work.now)


def operator_payment_footprint(footprint: Footprint, *, payer: str, payee: str) -> Footprint:
    return footprint.add(ACCOUNTS, payer, payee, FEE_REVENUE, EXCISE_PAYABLE)


def operator_payment(
    work: Work, *, payer: str, payee: str, amount: Money, payer_fee: Money, payee_fee: Money, excise: Money, id_: UUID
) -> None:
    """Money moves between two holders at the operator; fees include the excise that is owed on them.

    Raises Overdrawn when the payer has not enough for the amount and the payer's fee.
    """
    lines = [
        debit(payer, amount + payer_fee),
        credit(payee, amount - payee_fee),
        credit(FEE_REVENUE, payer_fee + payee_fee - excise),
        credit(EXCISE_PAYABLE, excise),
    ]
    post(work, OPERATOR_PAYMENT, str(id_), lines, happened_at=work.now, transaction_id=TransactionId(id_))


def operator_reversal(work: Work, *, payer: str, payee: str, amount: Money, id_: UUID) -> None:
    """Money goes back from whoever received it; fees stay. Raises Overdrawn when less is held."""
    lines = [debit(payer, amount), credit(payee, amount)]
    post(work, OPERATOR_REVERSAL, str(id_), lines, happened_at=work.now, transaction_id=TransactionId(id_))


def commission_footprint(footprint: Footprint, *, agent: UUID) -> Footprint:
    return footprint.add(ACCOUNTS, COMMISSION_EXPENSE, commission_account(agent))


def commission_accrued(work: Work, *, agent: UUID, amount: Money, id_: UUID) -> None:
    """An agent has earned a commission, to be paid later."""
    lines = [debit(COMMISSION_EXPENSE, amount), credit(commission_account(agent), amount)]
    post(work, COMMISSION_ACCRUED, str(id_), lines, happened_at=work.now, transaction_id=TransactionId(id_))


def commission_paid(work: Work, *, agent: UUID, wallet: str, amount: Money, id_: UUID) -> None:
    """The commission an agent has earned is hers to use. Raises Overdrawn when she has earned less."""
    lines = [debit(commission_account(agent), amount), credit(wallet, amount)]
    post(work, COMMISSION_PAID, str(id_), lines, happened_at=work.now, transaction_id=TransactionId(id_))


def own_funds_footprint(footprint: Footprint) -> Footprint:
    """What `own_funds` reads and a sweep changes."""
    return footprint.add(ACCOUNTS, *_HELD, TRUST_BANK, EXCISE_PAYABLE)


def own_funds(work: Work) -> Money:
    """What the operator itself has in the trust account: its deposits and fees, less commission and what was swept.

    While it is not negative, everything owed to customers, agents and the tax authority is covered.
    """
    equity, revenue, expense, swept = (balance(work, code, Currency.KES) for code in _HELD)
    return equity + revenue - expense - swept


def fees_swept(work: Work, *, amount: Money, id_: UUID) -> None:
    """The operator takes earnings out of the trust account to its own bank."""
    post(work, FEES_SWEPT, str(id_), [debit(OPERATOR_BANK, amount), credit(TRUST_BANK, amount)], happened_at=work.now)


def excise_paid(work: Work, *, amount: Money, id_: UUID) -> None:
    """Excise goes from the trust account to the tax authority. Raises Overdrawn when less is owed."""
    post(work, EXCISE_PAID, str(id_), [debit(EXCISE_PAYABLE, amount), credit(TRUST_BANK, amount)], happened_at=work.now)


def working_account(merchant: UUID) -> str:
    """What a merchant pays other merchants from."""
    return f"working:{merchant}:{Currency.KES.value}"


def charges_account(merchant: UUID) -> str:
    """What a merchant's payouts have cost it and it has not paid yet, below zero."""
    return f"charges_paid:{merchant}:{Currency.KES.value}"


def charges_footprint(footprint: Footprint) -> Footprint:
    """The operator's accounts that merchants' charges go through."""
    return footprint.add(ACCOUNTS, CHARGES_UNSETTLED, FEE_REVENUE, EXCISE_PAYABLE)


def left_with(work: Work, *, customer: UUID, wallet: str) -> Money:
    """What stands between a customer and an empty account: what she holds, and the charges she owes."""
    held = balance(work, wallet, Currency.KES) + balance(work, working_account(customer), Currency.KES)
    return held - balance(work, charges_account(customer), Currency.KES)


def charge_incurred(work: Work, *, merchant: UUID, amount: Money, id_: UUID) -> None:
    """A payout has cost a merchant something, to be paid later; until then it is nobody's revenue."""
    lines = [debit(charges_account(merchant), amount), credit(CHARGES_UNSETTLED, amount)]
    post(work, CHARGE_INCURRED, str(id_), lines, happened_at=work.now, transaction_id=TransactionId(id_))


def charges_settled(work: Work, *, merchant: UUID, wallet: str, amount: Money, excise: Money, id_: UUID) -> None:
    """A merchant pays charges from its account: they are revenue now, less the excise in them.

    Raises Overdrawn when the account holds less.
    """
    lines = [
        debit(wallet, amount),
        credit(charges_account(merchant), amount),
        debit(CHARGES_UNSETTLED, amount),
        credit(FEE_REVENUE, amount - excise),
        credit(EXCISE_PAYABLE, excise),
    ]
    post(work, CHARGES_SETTLED, str(id_), lines, happened_at=work.now, transaction_id=TransactionId(id_))


def once(work: Work, kind: str, reference: str, lines: list[Line], happened_at: datetime | None = None) -> bool:
    """Post a journal unless it is in the books; False when it is. Raises DuplicateJournal for other lines."""
    known = work.get(JOURNALS, (kind, reference))
    if known is None:
        post(work, kind, reference, lines, happened_at=happened_at or work.now)
        return True
    if set(known.lines) != set(lines):
        raise DuplicateJournal(kind=kind, reference=reference)
    return False
