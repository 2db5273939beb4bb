"""Typed identifiers. Every aggregate id is a UUIDv7: unique, and sorted by the time it was made.

The domain never makes an id; `application.shared.ports.Ids` does.
"""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
DerivAccountId = NewType("DerivAccountId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)
StaffId = NewType("StaffId", UUID)
StaffSessionId = NewType("StaffSessionId", UUID)
TransactionId = NewType("TransactionId", UUID)
MpesaRequestId = NewType("MpesaRequestId", UUID)
DerivTransferId = NewType("DerivTransferId", UUID)
MpesaDisbursementId = NewType("MpesaDisbursementId", UUID)
DerivWithdrawalId = NewType("DerivWithdrawalId", UUID)
JournalId = NewType("JournalId", UUID)
LedgerAccountId = NewType("LedgerAccountId", UUID)
EventId = NewType("EventId", UUID)
ReviewId = NewType("ReviewId", UUID)
WebhookId = NewType("WebhookId", UUID)
FxRateId = NewType("FxRateId", UUID)
BatchId = NewType("BatchId", UUID)
