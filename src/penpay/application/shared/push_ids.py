"""Whose a CheckoutRequestID is that only a callback has named: one of all pushes, for deposits and from the till.

A callback may be anybody's word, and M-Pesa, asked by an id, tells neither amount nor reference of what it was for.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from penpay.application.shared.unit_of_work import Index, Work
from penpay.domain.mpesa.gateway import PaymentAnswer, PaymentOutcome
from penpay.domain.payments.evidence import MpesaRequest

IDENTITY_UNPROVEN: Final = "identity_unproven"
"""Our word for an answer that may be about another push."""
UNPROVEN: Final = PaymentAnswer(outcome=PaymentOutcome.UNKNOWN, code=IDENTITY_UNPROVEN)
"""What such an answer counts for."""
OTHER_OWNERS: Final[Index[tuple[UUID, str], UUID]] = Index("other_owners")
"""By a push and the CheckoutRequestID a callback has named for it: another push that was sent and may own that id."""


def may_be_anothers(work: Work, push: MpesaRequest, heard_id: str | None) -> bool:
    """Whether what M-Pesa tells of this id, which a callback named, may be about another push than this one.

    It is about this one if it still goes by the id and no other push was sent that goes by it too, or of which we do
    not know the id for certain: the owner was sent before anybody could name the id.
    """
    if heard_id is None or push.checkout_request_id != heard_id or push.sent_at is None:
        return True
    return not push.is_identified and work.found(OTHER_OWNERS, (push.id, heard_id)) is not None
