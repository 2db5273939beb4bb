"""How money moves out by M-Pesa, and back: one function for each row of the table of flows, as in `postings`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from penpay.application.shared.unit_of_work import Footprint, Work
from penpay.application.wallet.ledger import ACCOUNTS, JOURNALS, post, reverse
from penpay.application.wallet.postings import (
    COLLECTION,
    DEPOSIT_CONVERTED,
    DERIV_AGENT,
    INCOMING_CREDIT,
    deposit_footprint,
    once,
)
from penpay.domain.shared.ids import TransactionId, UserId
from penpay.domain.shared.locked_rate import WithdrawalQuote
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import wallet_code
from penpay.domain.wallet.journal import credit, debit

UTILITY: Final = "mpesa:utility"
PAYOUT_IN_FLIGHT: Final = "mpesa:payout_in_flight"
CHARGES_PAID: Final = "mpesa:charges_paid"
MPESA_CHARGES: Final = "expense:mpesa_charges"

WITHDRAWAL_CONVERTED = "withdrawal_converted"
PAYOUT_INTENDED = "payout_intended"
PAYOUT_CONFIRMED = "payout_confirmed"
MPESA_CHARGE = "mpesa_charge"
MPESA_CHARGES_SETTLED = "mpesa_charges_settled"
PUT_IN_SUSPENSE = "put_in_suspense"
TAKEN_FROM_SUSPENSE = "taken_from_suspense"
OWNERS_CREDIT = "owners_credit"
RECOVERY_CLAIMED = "recovery_claimed"
COLLECTION_MOVED = "collection_moved"


def payout_footprint(footprint: Footprint, user: UserId) -> Footprint:
    """Every account that a withdrawal, a refund or a return of this user can touch."""
    return deposit_footprint(footprint, user).add(
        ACCOUNTS,
        UTILITY,
        PAYOUT_IN_FLIGHT,
        CHARGES_PAID,
        MPESA_CHARGES,
        "suspense:USD",
        "receivable:recovery:KES",
    )


def refund_payout_footprint(footprint: Footprint, *references: str) -> Footprint:
    """What the payout of a refund of Collections can touch beside the refund: its fee, and a recovery."""
    footprint.add(ACCOUNTS, UTILITY, CHARGES_PAID, MPESA_CHARGES, "receivable:recovery:KES")
    return footprint.add(JOURNALS, *((kind, one) for kind in (MPESA_CHARGE, RECOVERY_CLAIMED) for one in references))


def deriv_debited(
    work: Work, *, user: UserId, transaction: TransactionId, amount: Money, reference: str, happened_at: datetime
) -> None:
    """A client's dollars have reached our agent account and are hers here.

    The reference is Deriv's id of the row on our account, under the kind of every credit: each is booked once.
    """
    lines = [debit(DERIV_AGENT, amount), credit(wallet_code(user, Currency.USD), amount)]
    post(work, INCOMING_CREDIT, reference, lines, happened_at=happened_at, transaction_id=transaction)


def withdrawal_converted(work: Work, *, user: UserId, transaction: TransactionId, quote: WithdrawalQuote) -> None:
    """The user's dollars become shillings at the locked rate; what the rate leaves over is revenue, rounding too."""
    lines = [
        debit(wallet_code(user, Currency.USD), quote.usd),
        credit("fx:USD", quote.usd),
        debit("fx:KES", quote.kes_at_mid),
        credit(wallet_code(user, Currency.KES), quote.kes_paid),
        credit("revenue:fx_spread", quote.spread),
        credit("revenue:rounding", quote.rounding),
    ]
    post(work, WITHDRAWAL_CONVERTED, str(transaction), lines, happened_at=work.now, transaction_id=transaction)


def conversion_footprint(footprint: Footprint, transaction: TransactionId) -> Footprint:
    """The journals that `conversion_undone` looks at."""
    kinds = (DEPOSIT_CONVERTED, WITHDRAWAL_CONVERTED)
    return footprint.add(JOURNALS, *((f"{kind}{end}", str(transaction)) for kind in kinds for end in ("", ".reversed")))


def conversion_undone(work: Work, *, transaction: TransactionId) -> bool:
    """The converted money is in its first currency again; False when there is no conversion left to undo."""
    reference = str(transaction)
    for kind in (DEPOSIT_CONVERTED, WITHDRAWAL_CONVERTED):
        done = work.get(JOURNALS, (kind, reference)) is not None
        if done and work.get(JOURNALS, (f"{kind}.reversed", reference)) is None:
            reverse(work, kind, reference, happened_at=work.now)
            return True
    return False


def payout_intended(work: Work, *, user: UserId, transaction: TransactionId, reference: str, amount: Money) -> None:
    """The user's shillings are on their way to the phone and can be used for nothing else."""
    lines = [debit(wallet_code(user, Currency.KES), amount), credit(PAYOUT_IN_FLIGHT, amount)]
    post(work, PAYOUT_INTENDED, reference, lines, happened_at=work.now, transaction_id=transaction)


def payout_confirmed(
    work: Work, *, transaction: TransactionId, reference: str, amount: Money, happened_at: datetime
) -> None:
    """M-Pesa has paid the phone from our utility account."""
    lines = [debit(PAYOUT_IN_FLIGHT, amount), credit(UTILITY, amount)]
    post(work, PAYOUT_CONFIRMED, reference, lines, happened_at=happened_at, transaction_id=transaction)


def payout_failed(work: Work, *, reference: str) -> None:
    """M-Pesa paid nothing: the shillings are the user's again. The footprint must name the intended journal."""
    reverse(work, PAYOUT_INTENDED, reference, happened_at=work.now)


def payout_refuted(work: Work, *, reference: str) -> None:
    """What was booked as paid was not: the shillings are the user's again. The footprint names both journals."""
    reverse(work, PAYOUT_CONFIRMED, reference, happened_at=work.now)
    reverse(work, PAYOUT_INTENDED, reference, happened_at=work.now)


def mpesa_charged(work: Work, *, transaction: TransactionId | None, reference: str, amount: Money) -> None:
    """A payout has cost us a fee, which M-Pesa takes later; once for each, the footprint must name the journal."""
    if work.get(JOURNALS, (MPESA_CHARGE, reference)) is not None:
        return
    lines = [debit(MPESA_CHARGES, amount), credit(CHARGES_PAID, amount)]
    post(work, MPESA_CHARGE, reference, lines, happened_at=work.now, transaction_id=transaction)


def own_accounts_footprint(footprint: Footprint) -> Footprint:
    """What moves between our own accounts at M-Pesa touch."""
    return footprint.add(ACCOUNTS, COLLECTION, UTILITY, CHARGES_PAID)


def own_movement_footprint(footprint: Footprint, *, reference: str) -> Footprint:
    """The journals of such a movement."""
    return footprint.add(JOURNALS, (MPESA_CHARGES_SETTLED, reference), (COLLECTION_MOVED, reference))


def charges_settled(work: Work, *, reference: str, amount: Money) -> bool:
    """M-Pesa has taken the fees of payouts from our utility account; False when it is booked already.

    Raises DuplicateJournal when it is booked with another amount.
    """
    return once(work, MPESA_CHARGES_SETTLED, reference, [debit(CHARGES_PAID, amount), credit(UTILITY, amount)])


def collection_moved(work: Work, *, reference: str, amount: Money) -> bool:
    """What payers paid in is where payouts are made from; False when it is booked already, as above."""
    return once(work, COLLECTION_MOVED, reference, [debit(UTILITY, amount), credit(COLLECTION, amount)])


def put_in_suspense(work: Work, *, user: UserId, transaction: TransactionId, reference: str, amount: Money) -> None:
    """Money that can neither be sent on nor given back waits where people find it."""
    currency = amount.currency
    lines = [debit(wallet_code(user, currency), amount), credit(f"suspense:{currency.value}", amount)]
    post(work, PUT_IN_SUSPENSE, reference, lines, happened_at=work.now, transaction_id=transaction)


def taken_from_suspense(work: Work, *, user: UserId, transaction: TransactionId, reference: str, amount: Money) -> None:
    """People have found whose money in suspense it is: this user's."""
    currency = amount.currency
    lines = [debit(f"suspense:{currency.value}", amount), credit(wallet_code(user, currency), amount)]
    post(work, TAKEN_FROM_SUSPENSE, reference, lines, happened_at=work.now, transaction_id=transaction)


def owners_credit(work: Work, *, reference: str, amount: Money) -> None:
    """A credit nobody had explained was the owner's own."""
    currency = amount.currency.value
    lines = [debit(f"suspense:{currency}", amount), credit(f"equity:owner:{currency}", amount)]
    post(work, OWNERS_CREDIT, reference, lines, happened_at=work.now)


def recovery_claimed(
    work: Work, *, transaction: TransactionId | None, reference: str, amount: Money, happened_at: datetime
) -> bool:
    """M-Pesa has paid the phone after all, and the money had been given back: somebody owes it to us.

    False when it is booked already; the footprint must name the journal.
    """
    if work.get(JOURNALS, (RECOVERY_CLAIMED, reference)) is not None:
        return False
    lines = [debit("receivable:recovery:KES", amount), credit(UTILITY, amount)]
    post(work, RECOVERY_CLAIMED, reference, lines, happened_at=happened_at, transaction_id=transaction)
    return True
