"""Float and the trust account behind it: issued, evidenced, swept, paid out, reconciled and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.mobile_money.approving import Actor
from penpay.application.mobile_money.books import Reconciliation
from penpay.application.mobile_money.float_issue import (
    AssignFloat,
    EnterBankDeposit,
    PayCommission,
    Sweep,
    check_bank_reference,
)
from penpay.application.mobile_money.reversing import Reverse
from penpay.application.mobile_money.rows import UserType
from penpay.application.mobile_money.settling import SettleCharges
from penpay.domain.mobile_money.administrator import Administrator, Right
from penpay.domain.mobile_money.customer import CustomerId
from penpay.domain.mobile_money.errors import CustomerNotFound
from penpay.domain.mobile_money.merchant import parse_short_code
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.operator.answers import asked, done, done_or_asked, is_pending, moment, shillings
from penpay.presentation.operator.callers import administrator, idempotency_key
from penpay.presentation.operator.fields import body_of, identifier
from penpay.presentation.operator.process import operator_of
from penpay.presentation.operator.routes.transactions import transaction_id

router = APIRouter(prefix="/api/admin", tags=["treasury"])
_SUMS: Final = MappingProxyType(
    {
        "bankCents": "bank",
        "unevidencedCents": "unevidenced",
        "heldCents": "held",
        "walletsCents": "wallets",
        "floatsCents": "floats",
        "merchantsCents": "merchants",
        "commissionPayableCents": "commission_payable",
        "excisePayableCents": "excise_payable",
        "ownFundsCents": "own_funds",
        "suspenseCents": "suspense",
        "workingCents": "working",
        "chargesPaidCents": "charges_paid",
        "unsettledChargesCents": "unsettled_charges",
        "owedCents": "owed",
        "differenceCents": "difference",
        "issuedCents": "issued",
        "evidencedCents": "evidenced",
    }
)
"""The figures of the reconciliation as clients know them."""


class Earning(StrEnum):
    """What can be swept."""

    FEES = "FEES"
    EXCISE = "EXCISE"


@router.post("/assign-float")
async def assign_float(request: Request) -> Response:
    """Float for a super agent, against a bank deposit that is named or against evidence to come."""
    asker = await administrator(request, Right.FLOAT)
    fields = await body_of(request)
    address, amount = fields.address("accountNo", UserType.AGENT), fields.shillings()
    reference = fields.optional_text("bankReference")
    if reference is not None:
        check_bank_reference(reference)
    operator = operator_of(request)
    holder = await operator.require(address)
    command = AssignFloat(holder=holder.id, amount=amount, bank_reference=reference, by=asker.id)
    facts = {"accountNo": address.value, "amount": amount.cents, "bankReference": reference}
    answer = await _done(request, asker, "assign-float", facts, command)
    if is_pending(answer):
        return asked(answer)
    balance = Money(answer["balanceCents"], Currency.KES)
    return done("Float has been assigned.", {"balance": shillings(balance), **answer})


@router.post("/bank-deposits")
async def bank_deposit(request: Request) -> Response:
    """Money that the bank says has reached the trust account; a repeat of the same one changes nothing."""
    asker = await administrator(request, Right.FLOAT)
    fields = (await body_of(request)).only("bankReference", "amount", "ownFunds")
    reference, amount = check_bank_reference(fields.text("bankReference")), fields.shillings()
    own_funds = fields.optional_flag("ownFunds") or False
    by = str(Actor.administrator(asker.id))
    command = EnterBankDeposit(reference=reference, amount=amount, own_funds=own_funds, by=by)
    facts = {"bankReference": reference, "amount": amount.cents, "ownFunds": own_funds}
    return done("Bank deposit entered", await _done(request, asker, "bank-deposits", facts, command))


@router.post("/sweep")
async def sweep(request: Request) -> Response:
    """Pay the operator's earnings to its own bank, or excise to the tax authority."""
    asker = await administrator(request, Right.FLOAT)
    fields = (await body_of(request)).only("amount", "kind")
    amount, kind = fields.shillings(), fields.choice("kind", Earning)
    command = Sweep(amount=amount, excise=kind is Earning.EXCISE, by=asker.id)
    facts = {"amount": amount.cents, "kind": kind.value}
    return done("Swept", await _done(request, asker, "sweep", facts, command))


@router.post("/commission")
async def pay_commission(request: Request) -> Response:
    """Give an agent what she has earned so far."""
    asker = await administrator(request, Right.FLOAT)
    fields = (await body_of(request)).only("userID")
    agent = identifier(fields.text("userID"))
    if agent is None:
        raise CustomerNotFound
    command = PayCommission(agent=CustomerId(agent), by=asker.id)
    return done("Commission paid", await _done(request, asker, "commission", {"userID": str(agent)}, command))


@router.post("/settle-charges")
async def settle_charges(request: Request) -> Response:
    """Take what a merchant's payouts have cost from its account."""
    asker = await administrator(request, Right.FLOAT)
    fields = (await body_of(request)).only("shortCode")
    merchant = await operator_of(request).merchant(parse_short_code(fields.text("shortCode")))
    command = SettleCharges(merchant=merchant.customer_id, by=asker.id)
    facts = {"shortCode": merchant.short_code}
    return done("Charges settled", await _done(request, asker, "settle-charges", facts, command))


@router.post("/reversals")
async def reverse(request: Request) -> Response:
    """Give back what is left of a transaction."""
    asker = await administrator(request, Right.REVERSALS)
    fields = (await body_of(request)).only("transactionId")
    transaction = transaction_id(fields)
    command = Reverse(transaction_id=transaction, by=Actor.administrator(asker.id))
    answer = await _done(request, asker, "reversals", {"transactionId": str(transaction)}, command)
    return done_or_asked("Transaction reversed", answer, answer)


@router.get("/reconciliation")
async def reconciliation(request: Request) -> Response:
    """Both sides of the trust account; their difference is zero in books that are in order."""
    await administrator(request, Right.FLOAT)
    return done("Reconciliation retrieved", _view(await operator_of(request).books.reconciliation()))


async def _done(
    request: Request, asker: Administrator, route: str, facts: Mapping[str, object], command: object
) -> Mapping[str, int]:
    """Run a command about money, under the request's idempotency key if it has one."""
    key = idempotency_key(request, asker.id, f"POST /api/admin/{route}", facts)
    answer: Mapping[str, int] = await operator_of(request).do(command, key)
    return answer


def _view(found: Reconciliation) -> dict[str, object]:
    return {
        **{name: getattr(found, member).cents for name, member in _SUMS.items()},
        "waiting": [
            {
                "transactionId": str(one.transaction_id),
                "amountCents": one.amount.cents,
                "issuedAt": moment(one.issued_at),
            }
            for one in found.waiting
        ],
        "unexplained": [
            {"bankReference": one.reference, "amountCents": one.amount.cents, "enteredAt": moment(one.entered_at)}
            for one in found.unexplained
        ],
    }
