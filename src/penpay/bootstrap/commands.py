"""Which handler runs which command, in which lane, under which policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from penpay.application.collections.refund_outcomes import RefundOutcomes
from penpay.application.identity.deriv_tokens import BindDerivToken, BindDerivTokenHandler
from penpay.application.identity.staff import (
    ChangeStaff,
    ChangeStaffHandler,
    CreateStaff,
    CreateStaffHandler,
    LogIn,
    LogInHandler,
    LogOut,
    LogOutHandler,
)
from penpay.application.identity.users import CreateUser, CreateUserHandler
from penpay.application.payments.callbacks import (
    ApplyWebhook,
    ApplyWebhookHandler,
    PostponeWebhook,
    PostponeWebhookHandler,
    RecordStrayWebhook,
    RecordWebhook,
    RecordWebhookHandler,
)
from penpay.application.payments.collecting import (
    ClaimMpesaRequest,
    ClaimMpesaRequestHandler,
    RecordPaymentAnswer,
    RecordPaymentAnswerHandler,
    RecordPushAnswer,
    RecordPushAnswerHandler,
)
from penpay.application.payments.crediting import BookIncomingCredit, BookIncomingCreditHandler
from penpay.application.payments.deciding import (
    ApproveDecision,
    ApproveDecisionHandler,
    ProposeDecision,
    ProposeDecisionHandler,
    RejectDecision,
    RejectDecisionHandler,
)
from penpay.application.payments.deposit import (
    CreateDeposit,
    CreateDepositHandler,
    FundDeposit,
    FundDepositHandler,
    InitiateDeposit,
    InitiateDepositHandler,
)
from penpay.application.payments.disbursing import (
    ClaimMpesaDisbursement,
    ClaimMpesaDisbursementHandler,
    RecordDisbursementAnswer,
    RecordDisbursementAnswerHandler,
    RecordStatusAsked,
    RecordStatusAskedHandler,
)
from penpay.application.payments.fx import ApproveRate, ApproveRateHandler, EnterRate, EnterRateHandler
from penpay.application.payments.giving_back import (
    RefundDeposit,
    RefundDepositHandler,
    ReturnWithdrawal,
    ReturnWithdrawalHandler,
)
from penpay.application.payments.notifying import (
    ClaimNotification,
    ClaimNotificationHandler,
    RecordDelivery,
    RecordDeliveryHandler,
)
from penpay.application.payments.policy import PaymentsPolicy, PayoutAccount
from penpay.application.payments.refund_payouts import PayRefund, PayRefundHandler
from penpay.application.payments.rehearsing import RehearseDecisions, RehearseDecisionsHandler
from penpay.application.payments.results import ApplyResult, ApplyResultHandler
from penpay.application.payments.reviewing import GiveUpDelivery, GiveUpDeliveryHandler
from penpay.application.payments.transferring import (
    ClaimDerivTransfer,
    ClaimDerivTransferHandler,
    RecordTransferAnswer,
    RecordTransferAnswerHandler,
    RecordTransferSearch,
    RecordTransferSearchHandler,
)
from penpay.application.payments.withdrawal import (
    ConfirmWithdrawal,
    ConfirmWithdrawalHandler,
    CreateWithdrawal,
    CreateWithdrawalHandler,
    PayOutWithdrawal,
    PayOutWithdrawalHandler,
)
from penpay.application.payments.withdrawing import (
    ClaimDerivWithdrawal,
    ClaimDerivWithdrawalHandler,
    RecordCodeAnswer,
    RecordCodeAnswerHandler,
    RecordCreditSearch,
    RecordCreditSearchHandler,
    RecordWithdrawalAnswer,
    RecordWithdrawalAnswerHandler,
)
from penpay.application.shared.executor import Handler, Lane
from penpay.application.shared.outbox import (
    ClaimDelivery,
    ClaimDeliveryHandler,
    PutBackDelivery,
    PutBackDeliveryHandler,
)
from penpay.application.wallet.funding import (
    FundAccount,
    FundAccountHandler,
    MoveOwnMoney,
    MoveOwnMoneyHandler,
)
from penpay.bootstrap.collections import collections_handlers
from penpay.config import Settings
from penpay.domain.payments.limits import DepositLimits, WithdrawalLimits
from penpay.domain.shared.money import Currency, Money

Handlers = Mapping[type, tuple[Handler[Any, Any], Lane]]


def payments_policy(settings: Settings) -> PaymentsPolicy:
    return PaymentsPolicy(
        limits=DepositLimits(
            smallest=Money(settings.deposit_min_usd_cents, Currency.USD),
            largest=Money(settings.deposit_max_usd_cents, Currency.USD),
            largest_charge=Money(25_000_000, Currency.KES),
        ),
        withdrawal_limits=WithdrawalLimits(
            smallest=Money(settings.withdrawal_min_usd_cents, Currency.USD),
            largest=Money(settings.withdrawal_max_usd_cents, Currency.USD),
            smallest_payout=Money(1_000, Currency.KES),
            largest_payout=Money(25_000_000, Currency.KES),
        ),
        requote_within_bps=settings.requote_within_bps,
        payouts=None
        if settings.mpesa_initiator_name is None
        else PayoutAccount(
            short_code=settings.b2c_short_code,
            first_status_after=timedelta(seconds=settings.payout_first_status_seconds),
        ),
        spread_bps=settings.fx_spread_bps,
        rate_max_age=timedelta(hours=settings.fx_max_age_hours),
        rate_locked_for=timedelta(minutes=settings.rate_lock_minutes),
        first_query_after=timedelta(seconds=settings.stk_first_query_seconds),
        forward_within=timedelta(hours=24),
        lease=timedelta(seconds=settings.lease_seconds),
    )


def handlers(policy: PaymentsPolicy, settings: Settings) -> Handlers:
    first, new = Lane.RESOLUTION, Lane.REQUEST
    refunds = RefundOutcomes()
    return {
        CreateDeposit: (CreateDepositHandler(policy), new),
        CreateWithdrawal: (CreateWithdrawalHandler(policy), new),
        ConfirmWithdrawal: (ConfirmWithdrawalHandler(), new),
        CreateUser: (CreateUserHandler(), new),
        CreateStaff: (CreateStaffHandler(), new),
        ChangeStaff: (ChangeStaffHandler(), new),
        LogIn: (LogInHandler(), new),
        LogOut: (LogOutHandler(), new),
        BindDerivToken: (BindDerivTokenHandler(), new),
        EnterRate: (EnterRateHandler(), new),
        ApproveRate: (ApproveRateHandler(max_move_bps=settings.fx_max_move_bps), new),
        FundAccount: (FundAccountHandler(), new),
        MoveOwnMoney: (MoveOwnMoneyHandler(), new),
        ProposeDecision: (ProposeDecisionHandler(refunds), new),
        ApproveDecision: (ApproveDecisionHandler(policy, refunds), new),
        RejectDecision: (RejectDecisionHandler(refunds), new),
        RehearseDecisions: (RehearseDecisionsHandler(policy, refunds), new),
        InitiateDeposit: (InitiateDepositHandler(), first),
        FundDeposit: (FundDepositHandler(policy.forward_within), first),
        ClaimMpesaRequest: (ClaimMpesaRequestHandler(policy.lease), first),
        RecordPushAnswer: (RecordPushAnswerHandler(policy), first),
        RecordPaymentAnswer: (RecordPaymentAnswerHandler(), first),
        RecordWebhook: (RecordWebhookHandler(), first),
        RecordStrayWebhook: (RecordWebhookHandler(), Lane.REQUEST),
        ApplyWebhook: (ApplyWebhookHandler(), first),
        PostponeWebhook: (PostponeWebhookHandler(), first),
        ClaimDerivTransfer: (ClaimDerivTransferHandler(policy.lease), first),
        RecordTransferAnswer: (RecordTransferAnswerHandler(refunds=policy.payouts is not None), first),
        RecordTransferSearch: (RecordTransferSearchHandler(), first),
        BookIncomingCredit: (BookIncomingCreditHandler(), first),
        RefundDeposit: (RefundDepositHandler(policy), first),
        PayOutWithdrawal: (PayOutWithdrawalHandler(policy), first),
        ReturnWithdrawal: (ReturnWithdrawalHandler(), first),
        ClaimDerivWithdrawal: (ClaimDerivWithdrawalHandler(policy.lease), first),
        RecordCodeAnswer: (RecordCodeAnswerHandler(), first),
        RecordWithdrawalAnswer: (RecordWithdrawalAnswerHandler(), first),
        RecordCreditSearch: (RecordCreditSearchHandler(), first),
        PayRefund: (PayRefundHandler(policy, refunds), first),
        ClaimMpesaDisbursement: (ClaimMpesaDisbursementHandler(policy.lease), first),
        RecordDisbursementAnswer: (RecordDisbursementAnswerHandler(policy, refunds), first),
        RecordStatusAsked: (RecordStatusAskedHandler(refunds), first),
        ApplyResult: (ApplyResultHandler(policy, refunds), first),
        ClaimNotification: (ClaimNotificationHandler(policy.lease), first),
        RecordDelivery: (RecordDeliveryHandler(), first),
        GiveUpDelivery: (GiveUpDeliveryHandler(), first),
        ClaimDelivery: (ClaimDeliveryHandler(policy.lease), first),
        PutBackDelivery: (PutBackDeliveryHandler(), first),
        **collections_handlers(),
    }
