"""The withdrawal saga: asking for it, starting it with the mailed code, and which command answers which event.

What the calls to Deriv and M-Pesa bring stands in `withdrawing` and `disbursing`; money that cannot go on goes back
by `giving_back`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from penpay.application.payments.disbursing import intend_payout
from penpay.application.payments.fx import lock_rate
from penpay.application.payments.giving_back import ReturnWithdrawal, return_to_deriv
from penpay.application.payments.policy import VERIFICATION_CODE_KEPT, PaymentsPolicy
from penpay.application.payments.rows import (
    CURRENT_RATES,
    DERIV_ACCOUNT_IDS,
    DERIV_WITHDRAWALS,
    PAYERS,
    TRANSACTIONS,
)
from penpay.application.payments.views import transaction_view
from penpay.application.shared.kept_secrets import SECRETS, KeptSecret, SecretPurpose
from penpay.application.shared.unit_of_work import Find, Footprint, StoredEvent, Work
from penpay.application.wallet import withdrawal_postings
from penpay.domain.payments.evidence import DerivWithdrawal, EvidenceState, Purpose, short_reference
from penpay.domain.payments.transaction import (
    Transaction,
    TransactionStatus,
    create_transaction,
)
from penpay.domain.shared.errors import (
    AccountNotYours,
    AmountOutOfRange,
    DerivTokenMissing,
    Forbidden,
    FxUnavailable,
    IllegalMove,
    InvalidAmount,
    InvalidVerificationCode,
    NotFound,
    WithdrawalsUnavailable,
)
from penpay.domain.shared.ids import DerivWithdrawalId, TransactionId, UserId
from penpay.domain.shared.locked_rate import BASIS_POINTS, LockedRate, WithdrawalQuote
from penpay.domain.shared.money import Currency, Money

WITHDRAWAL_WORKER: Final = "withdrawal"
"""The consumer of the events that move a withdrawal on."""
_CODE_LENGTHS: Final = range(6, 129)
"""Letters, digits and underscores, 8 at v3 and 6 at the REST API (deriv.md §2.11, §4.2)."""
_PAIR: Final = (Currency.USD, Currency.KES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateWithdrawal:
    """A user asks for a withdrawal: `amount` in USD is what leaves Deriv, in KES what the phone is paid."""

    user_id: UserId
    amount: Money
    deriv_login_id: str


class CreateWithdrawalHandler:
    def __init__(self, policy: PaymentsPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[CreateWithdrawal], find: Find) -> Footprint:
        await find(PAYERS, {command.user_id for command in commands})
        await find(CURRENT_RATES, [_PAIR])
        accounts = await find(DERIV_ACCOUNT_IDS, {command.deriv_login_id for command in commands})
        return Footprint().add(SECRETS, *((SecretPurpose.DERIV_TOKEN, account) for account in accounts.values()))

    def handle(self, command: CreateWithdrawal, work: Work) -> dict[str, object]:
        """Lock the rate and create the transaction; its view, the quote in it, is the answer. Deriv mails the code.

        Raises WithdrawalsUnavailable, AccountNotYours, Forbidden (phone not verified), DerivTokenMissing,
        FxUnavailable, InvalidAmount, AmountOutOfRange.
        """
        if self._policy.payouts is None:
            raise WithdrawalsUnavailable
        payer = work.found(PAYERS, command.user_id)
        if payer is None:
            raise NotFound
        if command.deriv_login_id not in payer.deriv_login_ids:
            raise AccountNotYours
        if not payer.phone_verified:
            raise Forbidden("The phone number is not verified.")
        account = work.found(DERIV_ACCOUNT_IDS, command.deriv_login_id)
        token = None if account is None else work.get(SECRETS, (SecretPurpose.DERIV_TOKEN, account))
        if token is None or token.at(work.now) is None:
            raise DerivTokenMissing
        command.amount.require_positive()
        rate = current_rate(work, self._policy)
        quote = rate.quote_withdrawal(command.amount)
        self._policy.withdrawal_limits.check(quote)
        transaction, event = create_transaction(
            transaction_id=TransactionId(work.ids.new()),
            user_id=command.user_id,
            amount=command.amount,
            deriv_login_id=command.deriv_login_id,
            rate=rate,
            quote=quote,
            at=work.now,
        )
        work.add(TRANSACTIONS, transaction.id, transaction)
        work.record(event)
        withdrawal = _intended(transaction, work)
        work.add(DERIV_WITHDRAWALS, withdrawal.id, withdrawal)
        work.audit(f"user:{command.user_id}", "withdrawal.created", "transaction", transaction.id)
        return transaction_view(transaction)


def _intended(transaction: Transaction, work: Work) -> DerivWithdrawal:
    return DerivWithdrawal(
        id=DerivWithdrawalId(transaction.id),
        purpose=Purpose.PAYOUT,
        subject_id=transaction.id,
        state=EvidenceState.INTENDED,
        amount=transaction.quote.usd,
        due_at=work.now,
        created_at=work.now,
        reference="PX" + short_reference(work.ids.new().int, 20),
        deriv_login_id=transaction.deriv_login_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmWithdrawal:
    """The user gives the code that Deriv mailed: the money starts."""

    user_id: UserId
    transaction_id: TransactionId
    verification_code: str = field(repr=False)


class ConfirmWithdrawalHandler:
    async def footprint(self, commands: Sequence[ConfirmWithdrawal], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint()
        for command in commands:
            footprint.add(TRANSACTIONS, command.transaction_id)
            footprint.add(DERIV_WITHDRAWALS, DerivWithdrawalId(command.transaction_id))
            footprint.add(SECRETS, (SecretPurpose.VERIFICATION_CODE, command.transaction_id))
        return footprint

    def handle(self, command: ConfirmWithdrawal, work: Work) -> dict[str, object]:
        """Keep the code for its one use and start; once started, a repeat only tells how far it has come.

        Raises NotFound, InvalidVerificationCode, and IllegalMove when the withdrawal has failed or its quote expired.
        """
        code = command.verification_code
        if len(code) not in _CODE_LENGTHS or not code.isascii() or not code.replace("_", "a").isalnum():
            raise InvalidVerificationCode
        transaction = work.get(TRANSACTIONS, command.transaction_id)
        withdrawal = work.get(DERIV_WITHDRAWALS, DerivWithdrawalId(command.transaction_id))
        if transaction is None or withdrawal is None or transaction.user_id != command.user_id:
            raise NotFound
        if transaction.status is TransactionStatus.FAILED or (
            transaction.status is TransactionStatus.PENDING and transaction.rate.is_expired(work.now)
        ):
            raise IllegalMove("The withdrawal has ended, or its quote has expired; ask for another.")
        if transaction.status is not TransactionStatus.PENDING:
            return transaction_view(transaction)
        work.put(
            SECRETS,
            (SecretPurpose.VERIFICATION_CODE, transaction.id),
            KeptSecret(
                purpose=SecretPurpose.VERIFICATION_CODE,
                subject_id=transaction.id,
                value=code,
                created_at=work.now,
                expires_at=work.now + VERIFICATION_CODE_KEPT,
            ),
        )
        due = withdrawal.moved(withdrawal.state, work.now, due_at=work.now)
        work.put(DERIV_WITHDRAWALS, withdrawal.id, due)
        after, event = transaction.moved("WithdrawalConfirmed", TransactionStatus.PROCESSING, work.now)
        work.put(TRANSACTIONS, after.id, after)
        work.record(event)
        work.audit(f"user:{command.user_id}", "withdrawal.confirmed", "transaction", transaction.id)
        return transaction_view(after)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOutWithdrawal:
    """The dollars are here: convert them and decide on the payout."""

    transaction_id: TransactionId
    user_id: UserId
    debited_at: datetime
    """When Deriv took them, by its own clock."""


class PayOutWithdrawalHandler:
    def __init__(self, policy: PaymentsPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[PayOutWithdrawal], find: Find) -> Footprint:
        await find(PAYERS, {command.user_id for command in commands})
        await find(CURRENT_RATES, [_PAIR])
        footprint = Footprint().add(TRANSACTIONS, *(command.transaction_id for command in commands))
        for command in commands:
            withdrawal_postings.payout_footprint(footprint, command.user_id)
            withdrawal_postings.conversion_footprint(footprint, command.transaction_id)
        return footprint

    def handle(self, command: PayOutWithdrawal, work: Work) -> None:
        """Post the conversion and the intended payout at the quote shown, while Deriv took the dollars in its time.

        Past it the rate is locked anew, if what is paid moves by no more than the tolerance; else the dollars go back.
        """
        transaction = work.get(TRANSACTIONS, command.transaction_id)
        payer = work.found(PAYERS, command.user_id)
        if transaction is None or payer is None:
            raise NotFound
        if transaction.status is not TransactionStatus.CONVERTING:
            return
        if transaction.rate.is_expired(command.debited_at):
            requoted = self._requoted(transaction, work)
            if requoted is None:
                return_to_deriv(work, transaction, "rate_moved")
                return
            transaction, event = transaction.requoted(*requoted, work.now)
            work.put(TRANSACTIONS, transaction.id, transaction)
            work.record(event)
        withdrawal_postings.withdrawal_converted(
            work, user=command.user_id, transaction=transaction.id, quote=transaction.withdrawal_quote
        )
        intend_payout(
            work,
            transaction,
            Purpose.PAYOUT,
            phone=payer.phone,
            policy=self._policy,
            event="MpesaDisbursementInitiated",
            status=TransactionStatus.AWAITING_MPESA_DISBURSEMENT,
        )

    def _requoted(self, transaction: Transaction, work: Work) -> tuple[LockedRate, WithdrawalQuote] | None:
        """A new rate and quote within the tolerance; None without one."""
        try:
            rate = current_rate(work, self._policy)
            quote = rate.quote_withdrawal(transaction.quote.usd)
            self._policy.withdrawal_limits.check(quote)
        except (FxUnavailable, AmountOutOfRange, InvalidAmount):
            return None
        before, after = transaction.quote.kes.cents, quote.kes.cents
        moved = abs(after - before) * BASIS_POINTS
        return (rate, quote) if moved <= before * self._policy.requote_within_bps else None


def current_rate(work: Work, policy: PaymentsPolicy) -> LockedRate:
    """Today's rate, locked for one transaction; the footprint must have looked it up. Raises FxUnavailable."""
    return lock_rate(
        work.found(CURRENT_RATES, _PAIR),
        now=work.now,
        max_age=policy.rate_max_age,
        spread_bps=policy.spread_bps,
        lock_for=policy.rate_locked_for,
    )


class WithdrawalOrchestrator:
    """The process manager of a withdrawal: which command answers which event."""

    SUBSCRIPTIONS: Final = ("DerivDebited", "PayoutFailed")

    def next_command(self, stored: StoredEvent) -> PayOutWithdrawal | ReturnWithdrawal:
        """What to do about an event of a withdrawal; raises ValueError for one it did not subscribe to."""
        event = stored.event
        transaction_id = TransactionId(event.aggregate_id)
        user_id = UserId(UUID(str(event.payload["user_id"])))
        if event.name == "DerivDebited":
            debited_at = datetime.fromisoformat(str(event.payload["debited_at"]))
            return PayOutWithdrawal(transaction_id=transaction_id, user_id=user_id, debited_at=debited_at)
        if event.name == "PayoutFailed":
            return ReturnWithdrawal(transaction_id=transaction_id, user_id=user_id)
        raise ValueError(event.name)
