"""Which handler runs which command, in which lane, under which policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

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
from penpay.application.payments.deposit import (
    CreateDeposit,
    CreateDepositHandler,
    FundDeposit,
    FundDepositHandler,
    InitiateDeposit,
    InitiateDepositHandler,
)
from penpay.application.payments.fx import ApproveRate, ApproveRateHandler, EnterRate, EnterRateHandler
from penpay.application.payments.policy import PaymentsPolicy
from penpay.application.payments.reviewing import GiveUpDelivery, GiveUpDeliveryHandler
from penpay.application.payments.transferring import (
    ClaimDerivTransfer,
    ClaimDerivTransferHandler,
    RecordTransferAnswer,
    RecordTransferAnswerHandler,
    RecordTransferSearch,
    RecordTransferSearchHandler,
)
from penpay.application.shared.executor import Handler, Lane
from penpay.application.shared.outbox import (
    ClaimDelivery,
    ClaimDeliveryHandler,
    PutBackDelivery,
    PutBackDeliveryHandler,
)
from penpay.application.wallet.funding import (
    BookIncomingCredit,
    BookIncomingCreditHandler,
    FundAccount,
    FundAccountHandler,
)
from penpay.config import Settings
from penpay.domain.payments.limits import DepositLimits
from penpay.domain.shared.money import Currency, Money

Handlers = Mapping[type, tuple[Handler[Any, Any], Lane]]


def payments_policy(settings: Settings) -> PaymentsPolicy:
    return PaymentsPolicy(
        limits=DepositLimits(
            smallest=Money(settings.deposit_min_usd_cents, Currency.USD),
            largest=Money(settings.deposit_max_usd_cents, Currency.USD),
            largest_charge=Money(25_000_000, Currency.KES),
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
    return {
        CreateDeposit: (CreateDepositHandler(policy), new),
        CreateUser: (CreateUserHandler(), new),
        EnterRate: (EnterRateHandler(), new),
        ApproveRate: (ApproveRateHandler(max_move_bps=settings.fx_max_move_bps), new),
        FundAccount: (FundAccountHandler(), new),
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
        RecordTransferAnswer: (RecordTransferAnswerHandler(), first),
        RecordTransferSearch: (RecordTransferSearchHandler(), first),
        BookIncomingCredit: (BookIncomingCreditHandler(), first),
        GiveUpDelivery: (GiveUpDeliveryHandler(), first),
        ClaimDelivery: (ClaimDeliveryHandler(policy.lease), first),
        PutBackDelivery: (PutBackDeliveryHandler(), first),
    }
