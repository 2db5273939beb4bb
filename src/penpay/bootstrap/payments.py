"""The rows of payments: which repositories lock them, in which order, and what footprints find."""

from __future__ import annotations

from typing import Any

from penpay.application.shared.ports import Clock
from penpay.infrastructure.security.blind_index import BlindIndex
from penpay.infrastructure.security.field_cipher import FieldCipher
from penpay.infrastructure.sql.evidence import (
    DerivTransferRepository,
    MpesaRequestRepository,
    RequestsByCheckout,
    RequestsByReceipt,
    SubjectsOfRequests,
    SubjectsOfTransfers,
)
from penpay.infrastructure.sql.fx import CurrentRateFinder, FxRateRepository, LastApprovedRateFinder
from penpay.infrastructure.sql.notifications import Contacts, NotificationRepository
from penpay.infrastructure.sql.payments import TransactionRepository, WebhookRepository
from penpay.infrastructure.sql.payouts import (
    DerivAccountIds,
    DerivWithdrawalRepository,
    DisbursementsByQuestion,
    DisbursementsByReceipt,
    MpesaDisbursementRepository,
    OpenPayouts,
    RefundsOfDisbursements,
    SecretRepository,
    SubjectsOfDisbursements,
    SubjectsOfTransactions,
    TokenSubjects,
    WaitingWithdrawals,
    WithdrawalsByReference,
)
from penpay.infrastructure.sql.push_ids import OtherOwners
from penpay.infrastructure.sql.reviews import ReviewRepository
from penpay.infrastructure.sql.situations import ReviewSubjects, Situations


class PaymentsRows:
    """Transactions, the evidence of money moved outside, messages, rates, kept secrets and reviews."""

    def __init__(self, cipher: FieldCipher, index: BlindIndex, clock: Clock) -> None:
        self.webhooks = WebhookRepository(cipher)
        self.repositories: tuple[Any, ...] = (
            FxRateRepository(),
            TransactionRepository(),
            MpesaRequestRepository(cipher, index),
            DerivTransferRepository(),
            DerivWithdrawalRepository(),
            MpesaDisbursementRepository(cipher),
            SecretRepository(cipher),
            self.webhooks,
            ReviewRepository(cipher),
            NotificationRepository(),
        )
        self.finders: tuple[Any, ...] = (
            CurrentRateFinder(clock),
            LastApprovedRateFinder(),
            SubjectsOfRequests(),
            SubjectsOfTransfers(),
            RequestsByReceipt(),
            RequestsByCheckout(index),
            OtherOwners(index, clock),
            SubjectsOfTransactions(),
            SubjectsOfDisbursements(),
            RefundsOfDisbursements(),
            OpenPayouts(),
            DerivAccountIds(),
            TokenSubjects(),
            WithdrawalsByReference(),
            WaitingWithdrawals(),
            DisbursementsByQuestion(),
            DisbursementsByReceipt(),
            ReviewSubjects(),
            Contacts(cipher),
            Situations(),
        )
