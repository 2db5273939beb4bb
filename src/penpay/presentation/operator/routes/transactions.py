"""Moving money: deposits, withdrawals and transfers, what they would cost, cash by code, and giving back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.mobile_money.approving import Actor
from penpay.application.mobile_money.cash_out import BuyFloat
from penpay.application.mobile_money.moving import Move
from penpay.application.mobile_money.quoting import Quote
from penpay.application.mobile_money.reversing import Reverse
from penpay.application.mobile_money.rows import Address, AddressKind, UserType
from penpay.application.shared.idempotency import Answer
from penpay.domain.mobile_money.customer import CustomerType
from penpay.domain.mobile_money.errors import CustomerNotFound, TransactionNotFound
from penpay.domain.mobile_money.transaction import Operation, OperatorTransactionId
from penpay.domain.shared.errors import InvalidRequest
from penpay.presentation.operator.answers import done, done_or_asked, moment
from penpay.presentation.operator.callers import customers_key, mover
from penpay.presentation.operator.fields import Fields, body_of, identifier
from penpay.presentation.operator.process import operator_of

router = APIRouter(prefix="/api", tags=["transactions"])
_PROMISE = "Transaction under processing. You will receive a message shortly."


@router.post("/transaction/deposit")
async def deposit(request: Request) -> Response:
    """An agent puts her float into a customer's account, against cash."""
    return await _moved(request, Operation.DEPOSIT)


@router.post("/transaction/withdraw")
async def withdraw(request: Request) -> Response:
    """A customer's money becomes an agent's float, against cash."""
    return await _moved(request, Operation.WITHDRAW)


@router.post("/transaction/transfer")
async def transfer(request: Request) -> Response:
    """A customer pays another one, or a merchant's number."""
    return await _moved(request, Operation.TRANSFER)


@router.post("/transaction/quote")
async def quote(request: Request) -> Response:
    """Whom a movement would reach and what it would cost; nothing is moved."""
    fields = (await body_of(request)).only(
        "operation", "amount", "accountNo", "agentNumber", "customerType", "billRefNumber"
    )
    operation = fields.choice("operation", Operation)
    if operation not in {Operation.DEPOSIT, Operation.WITHDRAW, Operation.TRANSFER}:
        reason = "must be one of deposit, withdraw, transfer"
        raise InvalidRequest(f"operation {reason}.", fields=["operation"], reasons={"operation": reason})
    answer = await operator_of(request).do(Quote(move=_move(request, operation, fields)))
    return done("Quote", answer)


@router.post("/transaction/reversals")
async def ask_for_reversal(request: Request) -> Response:
    """Ask whoever received the money to give it back."""
    id_, _ = mover(request)
    fields = (await body_of(request)).only("transactionId")
    transaction = transaction_id(fields)
    key = await customers_key(request, "POST /api/transaction/reversals", {"transactionId": str(transaction)})
    answer = await operator_of(request).do(Reverse(transaction_id=transaction, by=Actor.customer(id_)), key)
    return done_or_asked("Transaction reversed", answer, answer)


@router.post("/transaction/cash-out-code")
async def cash_out_code(request: Request) -> Response:
    """A code for cash at any agent; the one before it is void."""
    id_, _ = mover(request)
    fields = (await body_of(request)).only("amount", "pin")
    made = await operator_of(request).make_code(id_, fields.shillings(), fields.optional_secret("pin"))
    expires_at = moment(datetime.fromisoformat(str(made["expiresAt"])))
    return done("Cash-out code made", {**made, "expiresAt": expires_at})


@router.post("/agent/redeem", tags=["agents"])
async def redeem(request: Request) -> Response:
    """An agent pays cash against a code."""
    id_, _ = mover(request)
    fields = (await body_of(request)).only("accountNo", "amount", "code")
    payer, amount, code = fields.address("accountNo", UserType.SUBSCRIBER), fields.shillings(), fields.secret("code")
    if payer.kind is AddressKind.SHORT_CODE:
        raise CustomerNotFound
    facts = {"accountNo": payer.value, "amount": amount.cents, "code": code}
    key = await customers_key(request, "POST /api/agent/redeem", facts)
    return _promised(await operator_of(request).redeem_code(id_, payer, amount, code, key))


@router.post("/agent/float-purchase", tags=["agents"])
async def buy_float(request: Request) -> Response:
    """Ask a super agent for float."""
    id_, _ = mover(request)
    fields = (await body_of(request)).only("superAgent", "amount")
    seller, amount = fields.address("superAgent", UserType.AGENT), fields.shillings()
    key = await customers_key(
        request, "POST /api/agent/float-purchase", {"superAgent": seller.value, "amount": amount.cents}
    )
    operator = operator_of(request)
    super_agent = await operator.require(seller)
    answer = await operator.do(BuyFloat(agent=id_, super_agent=super_agent.id, amount=amount), key)
    return done_or_asked("Float bought", answer, answer)


def transaction_id(fields: Fields) -> OperatorTransactionId:
    """The transaction that is named. Raises TransactionNotFound for what is no id at all."""
    found = identifier(fields.text("transactionId"))
    if found is None:
        raise TransactionNotFound
    return OperatorTransactionId(found)


async def _moved(request: Request, operation: Operation) -> Response:
    fields = await body_of(request)
    move = _move(request, operation, fields)
    facts = {
        "amount": move.amount.cents,
        "agentNumber" if operation is Operation.WITHDRAW else "accountNo": move.target.value,
        "customerType": move.target.user_type.value,
        "billRefNumber": move.bill_reference,
    }
    key = await customers_key(request, f"POST /api/transaction/{operation.value.lower()}", facts)
    operator = operator_of(request)
    pin = await operator.pin_answer(move.source, fields.optional_secret("pin"))
    return _promised(await operator.do(replace(move, pin=pin), key))


def _move(request: Request, operation: Operation, fields: Fields) -> Move:
    """The movement that is asked for, without its PIN."""
    source, source_type = mover(request)
    amount = fields.shillings()
    return Move(
        operation=operation,
        source=source,
        source_type=source_type,
        target=_target(operation, fields),
        amount=amount,
        bill_reference=fields.optional_text("billRefNumber") if operation is Operation.TRANSFER else None,
    )


def _target(operation: Operation, fields: Fields) -> Address:
    """Whom it is for. Raises CustomerNotFound for a merchant's number where another type of customer was named."""
    if operation is Operation.WITHDRAW:
        return fields.address("agentNumber", UserType.AGENT)
    wanted = UserType.of(fields.choice("customerType", CustomerType))
    found = fields.address("accountNo", wanted)
    if found.user_type is not wanted:
        raise CustomerNotFound
    return found


def _promised(answer: Answer) -> Response:
    """The original answer, with what has been done: it is no promise any more."""
    return done("Success", {"message": _PROMISE, **answer})
