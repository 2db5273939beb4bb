"""What a customer sees of her own account, and her PIN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penpay.application.wallet.postings import charges_account, working_account
from penpay.domain.mobile_money.customer import Customer
from penpay.domain.shared.errors import InvalidRequest
from penpay.presentation.operator.answers import done, moment, shillings
from penpay.presentation.operator.callers import customer
from penpay.presentation.operator.fields import body_of, query_of
from penpay.presentation.operator.process import operator_of
from penpay.presentation.operator.statements import as_csv, full_row, row

router = APIRouter(prefix="/api/account", tags=["account"])
_MINI_ROWS: Final = 5
_PAGE: Final = 50


class AccountOfMerchant(StrEnum):
    """What a merchant has a statement of."""

    UTILITY = "UTILITY"
    WORKING = "WORKING"
    CHARGES_PAID = "CHARGES_PAID"


_CODES: Final[Mapping[AccountOfMerchant, Callable[[Customer], str]]] = {
    AccountOfMerchant.UTILITY: lambda customer: customer.wallet,
    AccountOfMerchant.WORKING: lambda customer: working_account(customer.id),
    AccountOfMerchant.CHARGES_PAID: lambda customer: charges_account(customer.id),
}


@router.get("/balance")
async def balance(request: Request) -> Response:
    """What the account holds."""
    asker = await customer(request)
    held = await operator_of(request).books.balance(asker)
    data = {"userID": str(asker.id), "balance": shillings(held), "balanceCents": held.cents}
    return done(f"Your current balance is {shillings(held)}", data)


@router.post("/statement")
@router.get("/statement")
async def mini_statement(request: Request) -> Response:
    """The past five transactions, newest first."""
    asker = await customer(request)
    lines = await operator_of(request).books.statement(asker, _MINI_ROWS, None)
    message = f"mini statement retrieved for the past {_MINI_ROWS} transactions"
    rows = [row(line, asker) for line in lines]
    return done(message, {"message": message, "userID": str(asker.id), "transactions": rows})


@router.get("/full-statement")
async def full_statement(request: Request) -> Response:
    """Pages of up to 200 transactions, newest first: `before` is the `next` of the page before. `format=csv`: CSV.

    `account`: which of a merchant's accounts; Utility is the one that everybody has.
    """
    asker = await customer(request)
    fields = query_of(request, "limit", "before", "format", "account")
    wanted = fields.optional_text("format")
    if wanted not in {None, "csv", "json"}:
        raise InvalidRequest("format must be one of csv, json.", fields=["format"])
    limit = fields.limit(_PAGE)
    account = _CODES[fields.optional_choice("account", AccountOfMerchant) or AccountOfMerchant.UTILITY](asker)
    lines = await operator_of(request).books.statement(asker, limit, fields.optional_whole("before"), account)
    if wanted == "csv":
        headers = {"Content-Disposition": 'attachment; filename="statement.csv"'}
        return Response(as_csv(lines), media_type="text/csv; charset=utf-8", headers=headers)
    page = {
        "userID": str(asker.id),
        "transactions": [full_row(line, asker) for line in lines],
        "next": lines[-1].sequence if len(lines) == limit else None,
    }
    return done("Statement retrieved", page)


@router.get("/messages")
async def messages(request: Request) -> Response:
    """The short messages to this customer, newest first: `before` is the `next` of the page before."""
    asker = await customer(request)
    fields = query_of(request, "limit", "before")
    limit = fields.limit(_PAGE)
    found = await operator_of(request).books.messages(asker.id, limit, fields.optional_id("before"))
    page = {
        "messages": [{"id": str(one.id), "text": one.text, "sentAt": moment(one.sent_at)} for one in found],
        "next": str(found[-1].id) if len(found) == limit else None,
    }
    return done("Messages retrieved", page)


@router.put("/pin")
async def set_pin(request: Request) -> Response:
    """The first PIN, or another one in place of the old one."""
    asker = await customer(request)
    fields = (await body_of(request)).only("newPin", "oldPin")
    await operator_of(request).set_pin(asker.id, fields.secret("newPin"), fields.optional_secret("oldPin"))
    return done("PIN set")
