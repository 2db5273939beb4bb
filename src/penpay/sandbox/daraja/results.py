"""The bodies of results: what a ResultURL is told of each kind of request (daraja.md §4.4, §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeAlias

from penpay.application.mobile_money.books import MerchantAccounts
from penpay.application.mobile_money.daraja_requests import Outcome
from penpay.domain.mobile_money.customer import EAST_AFRICA, today
from penpay.domain.mobile_money.daraja_request import Command, DarajaRequest, RequestKind, RequestState
from penpay.domain.mobile_money.receipt import no_receipt
from penpay.domain.mobile_money.transaction import OperatorTransaction
from penpay.domain.shared.money import Money
from penpay.sandbox.daraja.wire import digits_of_time, write_json

Items: TypeAlias = list[dict[str, object]]

_STATUS: Final[Mapping[RequestState, str]] = {
    RequestState.ACCEPTED: "Initiated",
    RequestState.DONE: "Completed",
    RequestState.FAILED: "Declined",
    RequestState.EXPIRED: "Expired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One transaction as results tell of it."""

    debit_party: str
    """Number and name, such as "600584 - NAME"; empty where nobody knows."""
    credit_party: str
    transaction: OperatorTransaction | None
    """None for what moved no money."""
    request: DarajaRequest | None
    """None for what customers did."""


def result_body(outcome: Outcome, told: Told | None, *, as_object: bool) -> str:
    """The JSON text for a request that is over. `told`: what moved, or what a question was about.

    Raises ValueError for a request that is not over.
    """
    request = outcome.request
    if request.result is None or request.finished_at is None:
        raise ValueError("A request that is not over has no result.")
    good = request.state is RequestState.DONE
    in_strings = request.kind is RequestKind.BALANCE or (request.kind is RequestKind.B2B and good)
    result: dict[str, object] = {
        "ResultType": "0" if in_strings else 0,
        "ResultCode": request.result.code if in_strings else _code(request.result.code),
        "ResultDesc": request.result.text,
        "OriginatorConversationID": request.originator_conversation_id,
        "ConversationID": request.conversation_id,
        "TransactionID": _receipt(outcome.transaction, request.finished_at),
    }
    items = _items(outcome, told, request.finished_at) if good else _failure_items(request, as_object=as_object)
    if items:
        result["ResultParameters"] = {"ResultParameter": _listed(items, as_object=as_object or not good)}
    result["ReferenceData"] = {"ReferenceItem": _reference(request)}
    return write_json({"Result": result})


def _items(outcome: Outcome, told: Told | None, at: datetime) -> Items:
    request, transaction, accounts = outcome.request, outcome.transaction, outcome.accounts
    if request.kind is RequestKind.BALANCE and accounts is not None:
        return [_item("AccountBalance", _all_accounts(accounts)), _item("BOCompletedTime", digits_of_time(at))]
    if request.kind is RequestKind.STATUS and told is not None:
        return _status(told)
    if transaction is None or told is None or accounts is None:
        return []
    if request.kind is RequestKind.B2C:
        return _payout(transaction, told, accounts)
    moved = _payment if request.kind is RequestKind.B2B else _reversal
    return moved(request, transaction, told, accounts)


def _payout(transaction: OperatorTransaction, told: Told, accounts: MerchantAccounts) -> Items:
    at = transaction.happened_at.astimezone(EAST_AFRICA)
    return [
        _item("TransactionAmount", transaction.amount.whole_units()),
        _item("TransactionReceipt", transaction.receipt),
        _item("ReceiverPartyPublicName", told.credit_party),
        _item("TransactionCompletedDateTime", f"{at:%d.%m.%Y %H:%M:%S}"),
        _item("B2CUtilityAccountAvailableFunds", _number(accounts.utility)),
        _item("B2CWorkingAccountAvailableFunds", _number(accounts.working)),
        _item("B2CRecipientIsRegisteredCustomer", "Y"),
        _item("B2CChargesPaidAccountAvailableFunds", _number(accounts.charges_paid)),
    ]


def _payment(request: DarajaRequest, transaction: OperatorTransaction, told: Told, accounts: MerchantAccounts) -> Items:
    """All values are strings; the account is the one the money was taken from."""
    name, held = "Working Account", accounts.working
    if request.details.command == Command.MERCHANT_TO_WORKING.value:
        name, held = "Utility Account", accounts.utility
    balance = f"{{Amount={{CurrencyCode=KES, MinimumAmount={held.cents}, BasicAmount={held.decimal_text()}}}}}"
    return [
        _item("DebitAccountBalance", balance),
        _item("Amount", transaction.amount.decimal_text()),
        _item("DebitPartyAffectedAccountBalance", _account(name, held)),
        _item("TransCompletedTime", digits_of_time(transaction.happened_at)),
        _item("DebitPartyCharges", ""),
        _item("ReceiverPartyPublicName", told.credit_party),
        _item("Currency", "KES"),
        _item("InitiatorAccountCurrentBalance", balance),
    ]


def _reversal(
    request: DarajaRequest, transaction: OperatorTransaction, told: Told, accounts: MerchantAccounts
) -> Items:
    return [
        _item("DebitAccountBalance", _account("Utility Account", accounts.utility)),
        _item("Amount", _number(transaction.amount)),
        _item("TransCompletedTime", int(digits_of_time(transaction.happened_at))),
        _item("OriginalTransactionID", request.details.reference),
        _item("Charge", Decimal("0.00")),
        _item("CreditPartyPublicName", told.credit_party),
        _item("DebitPartyPublicName", told.debit_party),
    ]


def _status(told: Told) -> Items:
    """All values are strings, and some have none (daraja.md §5.1)."""
    transaction, request = told.transaction, told.request
    begun = transaction.happened_at if request is None and transaction is not None else None
    ended = transaction.happened_at if transaction is not None else None
    amount, state = None, RequestState.DONE
    conversation, originator = "", ""
    if request is not None:
        begun, ended, amount, state = request.accepted_at, request.finished_at, request.amount, request.state
        conversation, originator = request.conversation_id, request.originator_conversation_id
    if transaction is not None:
        amount = transaction.amount
    fee = "" if transaction is None or not transaction.payer_fee.cents else transaction.payer_fee.decimal_text()
    return [
        _item("DebitPartyName", told.debit_party),
        _item("CreditPartyName", told.credit_party),
        _item("OriginatorConversationID", originator),
        _item("InitiatedTime", "" if begun is None else digits_of_time(begun)),
        _item("DebitAccountType", _debited(told)),
        _item("DebitPartyCharges", f"Fee For {_reason(told)}|KES|{fee}" if fee else ""),
        {"Key": "TransactionReason"},
        _item("ReasonType", _reason(told)),
        _item("TransactionStatus", _STATUS[state]),
        _item("FinalisedTime", "" if ended is None else digits_of_time(ended)),
        _item("Amount", "" if amount is None else _shillings(amount)),
        _item("ConversationID", conversation),
        _item("ReceiptNo", "" if transaction is None else transaction.receipt),
    ]


def _reason(told: Told) -> str:
    kinds = {
        RequestKind.B2C: "B2C Payment",
        RequestKind.B2B: "B2B Payment",
        RequestKind.REVERSAL: "Transaction Reversal",
    }
    return "C2B Payment" if told.request is None else kinds.get(told.request.kind, "")


def _debited(told: Told) -> str:
    if told.request is None:
        return "MMF Account For Customer"
    own = told.request.details.command == Command.MERCHANT_TO_WORKING.value
    return "Working Account" if told.request.kind is RequestKind.B2B and not own else "Utility Account"


def _failure_items(request: DarajaRequest, *, as_object: bool) -> Items:
    """A failed B2B tells when it failed; the others do so by a switch."""
    if request.finished_at is None or not (as_object or request.kind is RequestKind.B2B):
        return []
    return [_item("BOCompletedTime", int(digits_of_time(request.finished_at)))]


def _reference(request: DarajaRequest) -> object:
    """One item for most, a list for B2B, and an item without a value for a status (daraja.md §4.4, §5.1, §5.4)."""
    queue = _item("QueueTimeoutURL", request.details.queue_timeout_url)
    if request.kind is RequestKind.STATUS:
        return {"Key": "Occasion"}
    if request.kind is not RequestKind.B2B:
        return queue
    return [_item("BillReferenceNumber", request.details.reference), queue, {"Key": "Occassion"}]


def _all_accounts(accounts: MerchantAccounts) -> str:
    nothing = Money.zero(accounts.utility.currency)
    return "&".join(
        (
            _account("Working Account", accounts.working),
            _account("Float Account", nothing),
            _account("Utility Account", accounts.utility),
            _account("Charges Paid Account", accounts.charges_paid),
            _account("Organization Settlement Account", nothing),
        )
    )


def _account(name: str, held: Money) -> str:
    """Name, currency, current, available, reserved, uncleared (daraja.md §5.2)."""
    return f"{name}|KES|{held.decimal_text()}|{held.decimal_text()}|0.00|0.00"


def _receipt(transaction: OperatorTransaction | None, at: datetime) -> str:
    return no_receipt(today(at)) if transaction is None else transaction.receipt


def _shillings(amount: Money) -> str:
    return str(amount.whole_units()) if amount.is_whole() else amount.decimal_text()


def _number(amount: Money) -> Decimal:
    return Decimal(amount.cents).scaleb(-2)


def _code(code: str) -> int | str:
    return int(code) if code.isascii() and code.isdigit() else code


def _listed(items: Items, *, as_object: bool) -> object:
    return items[0] if as_object and len(items) == 1 else items


def _item(key: str, value: object) -> dict[str, object]:
    return {"Key": key, "Value": value}
