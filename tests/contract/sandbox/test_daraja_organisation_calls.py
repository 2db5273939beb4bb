"""B2B, transaction status, account balance and reversal over HTTP (daraja.md §5)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from penpay.domain.mobile_money.customer import CustomerStatus
from tests.contract.sandbox.organisation import OTHER_PAYBILL, TILL, Organisation, Results, parameters
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, World, items, paid

TO_WORKING = "MerchantTransferFromMerchantToWorking"
DIGITS = re.compile(r"\d{14}")


async def working(organisation: Organisation, shillings: int) -> None:
    """Earn 1,000 and move some of it into the Working account; other merchants are there."""
    await organisation.earned(1_000)
    await organisation.other_merchants()
    await organisation.pay_merchant(TO_WORKING, PAYBILL, shillings)
    assert "0" == (await organisation.result())["ResultCode"]


async def test_money_goes_to_the_working_account_and_from_there_to_a_supplier(organisation: Organisation) -> None:
    """The result in strings throughout; the supplier is told, and the equation holds with Working accounts in it."""
    await working(organisation, 600)
    assert (400_00, 600_00, 0) == await organisation.accounts()

    answered = await organisation.pay_merchant("BusinessPayBill", OTHER_PAYBILL, 190, Occassion="x")
    result = await organisation.result()

    assert "Accept the service request successfully." == answered.json(parse_float=Decimal)["ResponseDescription"]
    assert ("0", "0") == (result["ResultType"], result["ResultCode"])
    told = parameters(result)
    assert DIGITS.fullmatch(told.pop("TransCompletedTime"))
    account = "{Amount={CurrencyCode=KES, MinimumAmount=41000, BasicAmount=410.00}}"
    assert {
        "DebitAccountBalance": account,
        "Amount": "190.00",
        "DebitPartyAffectedAccountBalance": "Working Account|KES|410.00|410.00|0.00|0.00",
        "DebitPartyCharges": "",
        "ReceiverPartyPublicName": f"{OTHER_PAYBILL} - SUPPLIER",
        "Currency": "KES",
        "InitiatorAccountCurrentBalance": account,
    } == told
    assert [
        {"Key": "BillReferenceNumber", "Value": "INV-1"},
        {"Key": "QueueTimeoutURL", "Value": f"{organisation.results.url}/timeout"},
        {"Key": "Occassion"},
    ] == result["ReferenceData"]["ReferenceItem"]
    assert (590_00, 410_00, 0) == await organisation.accounts()
    supplier = await organisation.world.operator.merchant(OTHER_PAYBILL)
    (message,) = await organisation.world.operator.books.messages(supplier.customer_id, 10, None)
    assert message.text.startswith(f"{result['TransactionID']} Confirmed.You have received Ksh190.00 from PENPAY on")


@pytest.mark.parametrize(
    ("command", "short_code", "code"),
    [
        ("BusinessPayBill", OTHER_PAYBILL, "0"),
        ("BusinessPayBill", TILL, 2028),
        ("BusinessPayBill", PAYBILL, 2028),
        ("BusinessPayBill", "600999", "SFC_IC0003"),
        ("BusinessBuyGoods", TILL, "0"),
        ("BusinessBuyGoods", OTHER_PAYBILL, 2028),
        ("BusinessPayToBulk", OTHER_PAYBILL, "0"),
        ("BusinessPayToBulk", PAYBILL, "0"),
        ("BusinessPayToBulk", TILL, 2028),
        (TO_WORKING, PAYBILL, "0"),
        (TO_WORKING, OTHER_PAYBILL, 2028),
    ],
)
async def test_each_command_pays_its_kind_of_number(
    organisation: Organisation, command: str, short_code: str, code: object
) -> None:
    """Strings on success, a number on failure; what does not fit moves nothing."""
    await working(organisation, 600)

    await organisation.pay_merchant(command, short_code, 100)
    result = await organisation.result()

    assert code == result["ResultCode"]
    moved = {"0": {TO_WORKING: 700_00}.get(command, 500_00)}.get(str(code), 600_00)
    assert (1_000_00 - moved, moved, 0) == await organisation.accounts()
    if code != "0":
        failed = result["ResultParameters"]["ResultParameter"]
        assert ("BOCompletedTime", 14) == (failed["Key"], len(str(failed["Value"])))


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (PAYBILL, CustomerStatus.FROZEN, 11),
        (OTHER_PAYBILL, CustomerStatus.SUSPENDED, 2006),
        (OTHER_PAYBILL, CustomerStatus.CLOSED, "SFC_IC0003"),
        (OTHER_PAYBILL, CustomerStatus.FROZEN, "0"),
    ],
)
async def test_the_status_of_both_merchants_is_heeded(
    organisation: Organisation, number: str, status: CustomerStatus, code: object
) -> None:
    """One that may not pay, one that may not receive, one that is gone; a frozen one receives."""
    await working(organisation, 600)
    await organisation.set_status(status, number=number)

    await organisation.pay_merchant("BusinessPayBill", OTHER_PAYBILL, 100)

    assert code == (await organisation.result())["ResultCode"]
    await organisation.books()


@pytest.mark.parametrize(
    ("whose", "status", "code"),
    [
        ({"number": PAYBILL}, CustomerStatus.FROZEN, 11),
        ({"phone": PAYER}, CustomerStatus.CLOSED, 2006),
        ({"phone": PAYER}, CustomerStatus.FROZEN, 0),
    ],
)
async def test_the_status_of_both_sides_of_a_reversal_is_heeded(
    organisation: Organisation, whose: dict[str, str], status: CustomerStatus, code: int
) -> None:
    """A merchant that may not pay returns nothing either, and nothing goes to an account that is closed."""
    world = organisation.world
    await world.subscriber(PAYER, shillings=1_000)
    await paid(world, PAYER, 1_000)
    receipt = items(await world.callback())["MpesaReceiptNumber"]
    await organisation.set_status(status, **whose)

    await organisation.reverse(receipt, 300)

    assert code == (await organisation.result())["ResultCode"]
    assert (1_000_00 if code else 700_00, 0, 0) == await organisation.accounts()


@pytest.mark.parametrize(("command", "shillings"), [("BusinessPayBill", 601), (TO_WORKING, 401)])
async def test_no_account_pays_more_than_it_holds(organisation: Organisation, command: str, shillings: int) -> None:
    """Utility and Working are apart: what one lacks the other does not give."""
    await working(organisation, 600)

    await organisation.pay_merchant(command, PAYBILL if command == TO_WORKING else OTHER_PAYBILL, shillings)

    assert 1 == (await organisation.result())["ResultCode"]
    assert (400_00, 600_00, 0) == await organisation.accounts()


async def test_the_balance_tells_every_account(organisation: Organisation) -> None:
    """In strings, without the full stop, with the accounts that hold nothing."""
    await working(organisation, 600)

    answered = await organisation.balance()
    result = await organisation.result()

    assert "Accept the service request successfully" == answered.json(parse_float=Decimal)["ResponseDescription"]
    assert ("0", "0", "0000000") == (result["ResultType"], result["ResultCode"], result["TransactionID"][3:])
    told = parameters(result)
    assert DIGITS.fullmatch(told["BOCompletedTime"])
    assert [
        "Working Account|KES|600.00|600.00|0.00|0.00",
        "Float Account|KES|0.00|0.00|0.00|0.00",
        "Utility Account|KES|400.00|400.00|0.00|0.00",
        "Charges Paid Account|KES|0.00|0.00|0.00|0.00",
        "Organization Settlement Account|KES|0.00|0.00|0.00|0.00",
    ] == told["AccountBalance"].split("&")


async def test_a_push_is_found_by_its_receipt(organisation: Organisation) -> None:
    """All in strings; the envelope's own transaction id is a dummy."""
    receipt = await organisation.earned(1_000)

    await organisation.status(receipt)
    result = await organisation.result()

    assert (0, "0000000", {"ReferenceItem": {"Key": "Occasion"}}) == (
        result["ResultCode"],
        result["TransactionID"][3:],
        result["ReferenceData"],
    )
    told = parameters(result)
    assert (f"{PAYER} - ", f"{PAYBILL} - PENPAY", "Completed", "1000", receipt, None) == tuple(
        told[key]
        for key in (
            "DebitPartyName",
            "CreditPartyName",
            "TransactionStatus",
            "Amount",
            "ReceiptNo",
            "TransactionReason",
        )
    )
    assert {"Key": "TransactionReason"} in result["ResultParameters"]["ResultParameter"]


async def test_a_payout_is_found_by_its_id_and_by_its_receipt(organisation: Organisation) -> None:
    """One that was made, one that was declined; after a lost answer this is all a client has."""
    await organisation.earned(1_000)
    await organisation.world.subscriber(OTHER_PAYER, shillings=5)
    await organisation.pay(OTHER_PAYER, 100, OriginatorConversationID="made")
    paid = await organisation.result()
    await organisation.pay(OTHER_PAYER, 5_000, OriginatorConversationID="declined")
    await organisation.result()

    found = []
    for question in ({"OriginalConversationID": "made"}, {"TransactionID": paid["TransactionID"]}):
        await organisation.status(**{"receipt": ""} | {"TransactionID": None} | question)
        found.append(parameters(await organisation.result()))
    await organisation.status(OriginalConversationID="declined", TransactionID=None)
    declined = parameters(await organisation.result())

    assert found[0] == found[1]
    assert ("made", paid["TransactionID"], "100", "Completed", "Utility Account", f"{OTHER_PAYER} - ") == tuple(
        found[0][key]
        for key in (
            "OriginatorConversationID",
            "ReceiptNo",
            "Amount",
            "TransactionStatus",
            "DebitAccountType",
            "CreditPartyName",
        )
    )
    assert ("declined", "", "5000", "Declined") == tuple(
        declined[key] for key in ("OriginatorConversationID", "ReceiptNo", "Amount", "TransactionStatus")
    )


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"TransactionID": "UKL0000000"}, 2032),
        ({"TransactionID": "short"}, 25),
        ({"TransactionID": None, "OriginalConversationID": "never"}, 2032),
        ({"PartyA": OTHER_PAYBILL}, 2032),
    ],
)
async def test_what_cannot_be_found_is_told(organisation: Organisation, question: dict[str, Any], code: int) -> None:
    """Unknown, no receipt at all, or a payment that somebody else took part in."""
    receipt = await organisation.earned(1_000)
    await organisation.other_merchants()

    await organisation.status(**{"receipt": receipt} | question)
    result = await organisation.result()

    assert (code, False) == (result["ResultCode"], "ResultParameters" in result)


@pytest.mark.parametrize("shillings", [1_000, 300])
async def test_a_payment_is_given_back_once(organisation: Organisation, shillings: int) -> None:
    """In whole or in part, under a new receipt, told to both by message; a second time is refused."""
    receipt = await organisation.earned(1_000)

    await organisation.reverse(receipt, shillings)
    result = await organisation.result()
    told = parameters(result)
    await organisation.reverse(receipt, 1)
    again = await organisation.result()

    assert (0, True) == (result["ResultCode"], result["TransactionID"] != receipt)
    assert 14 == len(str(told.pop("TransCompletedTime")))
    left = f"{1_000 - shillings}.00"
    assert {
        "DebitAccountBalance": f"Utility Account|KES|{left}|{left}|0.00|0.00",
        "Amount": Decimal(f"{shillings}.00"),
        "OriginalTransactionID": receipt,
        "Charge": Decimal("0.00"),
        "CreditPartyPublicName": f"{PAYER} - ",
        "DebitPartyPublicName": f"{PAYBILL} - PENPAY",
    } == told
    assert ("R000001", "0000000") == (again["ResultCode"], again["TransactionID"][3:])
    messages = await organisation.world.messages(PAYER)
    assert f"{result['TransactionID']} Confirmed. Transaction {receipt} was reversed" in messages[-1]
    await organisation.world.balances_are({PAYER: 1_000 + shillings}, merchant=1_000 - shillings)
    assert (1_000_00 - shillings * 100, 0, 0) == await organisation.accounts()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"TransactionID": "UKL0000000"}, "R000002"),
        ({"ReceiverParty": OTHER_PAYBILL}, "R000002"),
        ({"Amount": 1_001}, 25),
    ],
)
async def test_what_cannot_be_given_back_says_why(
    organisation: Organisation, changes: dict[str, Any], code: object
) -> None:
    """Unknown, somebody else's, or more than was paid."""
    receipt = await organisation.earned(1_000)
    await organisation.other_merchants()

    await organisation.reverse(receipt, 100, **changes)

    assert code == (await organisation.result())["ResultCode"]
    assert (1_000_00, 0, 0) == await organisation.accounts()


async def test_neither_a_payout_nor_what_was_spent_is_given_back(organisation: Organisation) -> None:
    """A payout cannot be taken back by this call, and what the Utility account no longer holds cannot be returned."""
    receipt = await organisation.earned(1_000)
    await organisation.world.subscriber(OTHER_PAYER, shillings=5)
    await organisation.pay(OTHER_PAYER, 800)
    paid = await organisation.result()

    await organisation.reverse(paid["TransactionID"], 800)
    assert "R000002" == (await organisation.result())["ResultCode"]
    await organisation.reverse(receipt, 201)
    assert 1 == (await organisation.result())["ResultCode"]
    await organisation.reverse(receipt, 200)
    assert 0 == (await organisation.result())["ResultCode"]
    assert (0, 0, 0) == await organisation.accounts()


async def test_every_engine_moves_the_same_money(world_on_each_engine: World, results: Results) -> None:
    """To Working, to a supplier, a payout, a reversal and a balance, one after the other."""
    organisation = Organisation(world_on_each_engine, results)
    receipt = await organisation.earned(1_000)
    await organisation.other_merchants()
    await world_on_each_engine.subscriber(OTHER_PAYER, shillings=5)

    codes = []
    for asked in (
        organisation.pay_merchant(TO_WORKING, PAYBILL, 600),
        organisation.pay_merchant("BusinessBuyGoods", TILL, 250),
        organisation.pay(OTHER_PAYER, 100),
        organisation.reverse(receipt, 200),
        organisation.status(receipt),
        organisation.balance(),
    ):
        await asked
        codes.append((await organisation.result())["ResultCode"])

    assert ["0", "0", 0, 0, 0, "0"] == codes
    assert (350_00, 350_00, 0) == await organisation.accounts()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/mpesa/b2c/v1/paymentrequest", 401, "401.002.01"),
        ("/mpesa/b2c/v3/paymentrequest", 401, "401.002.01"),
        ("/mpesa/accountbalance/v1/query", 401, "401.002.01"),
        ("/mpesa/accountbalance/v2/query", 401, "401.002.01"),
        ("/mpesa/b2b/v1/paymentrequest", 400, "400.003.01"),
        ("/mpesa/b2b/v2/paymentrequest", 400, "400.003.01"),
        ("/mpesa/transactionstatus/v1/query", 400, "400.003.01"),
        ("/mpesa/transactionstatus/v2/query", 400, "400.003.01"),
        ("/mpesa/reversal/v1/request", 404, "404.001.03"),
        ("/mpesa/reversal/v2/request", 404, "404.001.03"),
    ],
)
async def test_each_call_refuses_an_old_token_in_its_own_words(
    organisation: Organisation, path: str, status: int, code: str
) -> None:
    """Three statuses for one thing, and some tell the token back; a call without one is another matter."""
    refused = await organisation.ask(path, {}, token="old")
    body = refused.json(parse_float=Decimal)
    words = "Error Occurred - Invalid Access Token - old" if status == 401 else "Invalid Access Token"
    assert (status, code, words) == (refused.status_code, body["errorCode"], body["errorMessage"])

    bare = await organisation.world.client.post(path, json={})
    assert "404.001.04" == bare.json(parse_float=Decimal)["errorCode"]


@pytest.mark.parametrize(
    ("asked", "missed"),
    [
        (("pay_merchant", "BusinessPayBill", OTHER_PAYBILL, 100, {"AccountReference": ""}), "AccountReference"),
        (("pay_merchant", "BusinessTransferFromMMFToUtility", OTHER_PAYBILL, 100, {}), "CommandID"),
        (("pay_merchant", "BusinessPayBill", "0123", 100, {}), "PartyB"),
        (("status", {"TransactionID": ""}), "TransactionID"),
        (("status", "UKL1234567", {"PartyA": PAYER}), "PartyA"),
        (("status", "UKL1234567", {"Remarks": None}), "Remarks"),
        (("balance", {"Initiator": ""}), "Initiator"),
        (("reverse", "UKL1234567", 0, {}), "Amount"),
        (("reverse", "", 100, {}), "TransactionID"),
    ],
)
async def test_the_first_field_that_is_wrong_is_named(
    organisation: Organisation, asked: tuple[Any, ...], missed: str
) -> None:
    """In every one of these calls."""
    name, *arguments, changes = asked
    refused = await getattr(organisation, name)(*arguments, **changes)

    assert f"Bad Request - Invalid {missed}" == refused.json(parse_float=Decimal)["errorMessage"]


async def test_a_form_hides_every_field(organisation: Organisation) -> None:
    """Another content type is told as the first required field missing."""
    world = organisation.world
    bearer = {"Authorization": f"Bearer {world.token}"}
    refused = await world.client.post("/mpesa/b2b/v1/paymentrequest", data={"Initiator": "testapi"}, headers=bearer)

    assert "Bad Request - Invalid InitiatorName" == refused.json(parse_float=Decimal)["errorMessage"]
