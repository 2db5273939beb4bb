"""Reading the Results that M-Pesa posts: its own samples, the shapes they vary in, and bytes that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from penpay.domain.mpesa.b2b_result import parse_b2b_result
from penpay.domain.mpesa.b2c_result import parse_b2c_result
from penpay.domain.mpesa.balance_result import AccountFunds, parse_balance_result, parse_balances
from penpay.domain.mpesa.c2b import parse_c2b_payment
from penpay.domain.mpesa.fields import ABSENT, UNREADABLE, Amount
from penpay.domain.mpesa.gateway import PaymentOutcome
from penpay.domain.mpesa.queue_timeout import parse_queue_timeout
from penpay.domain.mpesa.result import parse_result
from penpay.domain.mpesa.reversal_result import parse_reversal_result
from penpay.domain.mpesa.status_result import parse_status_result
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.domain.mpesa.wire import UnreadableMessage
from penpay.domain.shared.money import Currency, Money

B2C = b"""{"Result": {"ResultType": 0, "ResultCode": 0, "ResultDesc": "The service request is processed successfully.",
 "OriginatorConversationID": "600997-0f0f", "ConversationID": "AG_20240706_2010364430d9bbdaf872",
 "TransactionID": "SG632NMUAB",
 "ResultParameters": {"ResultParameter": [
   {"Key": "TransactionAmount", "Value": 10},
   {"Key": "TransactionReceipt", "Value": "SG632NMUAB"},
   {"Key": "ReceiverPartyPublicName", "Value": "254705912645 - SUBSCRIBER TWO"},
   {"Key": "TransactionCompletedDateTime", "Value": "06.07.2024 22:48:52"},
   {"Key": "B2CUtilityAccountAvailableFunds", "Value": 8959269.60},
   {"Key": "B2CWorkingAccountAvailableFunds", "Value": 1199371.00},
   {"Key": "B2CChargesPaidAccountAvailableFunds", "Value": -1980.00},
   {"Key": "B2CRecipientIsRegisteredCustomer", "Value": "Y"}]},
 "ReferenceData": {"ReferenceItem": {"Key": "QueueTimeoutURL", "Value": "https://pay.example.com/timeout"}}}}"""


def kes(cents: int) -> Money:
    return Money(cents, Currency.KES)


def result(code: object, parameters: object = None, **more: object) -> bytes:
    """A Result with these parameters, by name or exactly as given."""
    if isinstance(parameters, dict) and "ResultParameter" not in parameters:
        parameters = {"ResultParameter": [{"Key": key, "Value": value} for key, value in parameters.items()]}
    fields = {"ResultCode": code, "ResultDesc": "Said.", "OriginatorConversationID": "1-2", "ConversationID": "AG_1"}
    return json.dumps({"Result": {**fields, "ResultParameters": parameters, **more}}).encode()


def test_a_paid_b2c_result_is_read_exactly() -> None:
    """Amount, receipt, funds to the cent, the moment in UTC."""
    paid = parse_b2c_result(B2C)

    assert (ResultOutcome.SUCCEEDED, "600997-0f0f") == (paid.outcome, paid.result.originator_conversation_id)
    assert (Amount(kes(1_000), readable=True), "SG632NMUAB") == (paid.amount, paid.receipt)
    assert datetime(2024, 7, 6, 19, 48, 52, tzinfo=UTC) == paid.completed_at
    assert (kes(895_926_960), kes(119_937_100), kes(-198_000)) == (
        paid.utility_funds,
        paid.working_funds,
        paid.charges_paid,
    )
    assert (True, "254705912645 - SUBSCRIBER TWO") == (paid.receiver_registered, paid.receiver)
    assert ("https://pay.example.com/timeout",) == paid.result.references.all("QueueTimeoutURL")
    assert "SUBSCRIBER" not in repr(paid)
    assert "254705912645" not in repr(paid)


@pytest.mark.parametrize(
    "raw",
    [
        B2C.replace(b'"ResultCode": 0', b'"ResultCode": "0"'),
        B2C.replace(b'"Value": 10}', b'"Value": "10.00"}'),
        B2C.replace(
            b'[\n   {"Key": "TransactionAmount"',
            b'[{"Key": "New"}, {"Key": "N", "Value": [1]},{"Key": "TransactionAmount"',
        ),
        B2C.replace(b'"ReferenceItem": {', b'"ReferenceItem": [{"Key": "Occassion"}, {').replace(b"}}}}", b"}]}}}"),
        b"\xef\xbb\xbf" + B2C,
    ],
)
def test_the_same_payment_in_other_shapes(raw: bytes) -> None:
    """Codes as text, values missing, unknown values, arrays of one."""
    paid, sample = parse_b2c_result(raw), parse_b2c_result(B2C)

    assert (sample.outcome, sample.amount, sample.receipt) == (paid.outcome, paid.amount, paid.receipt)
    assert sample.completed_at == paid.completed_at
    assert sample.result.references.all("QueueTimeoutURL") == paid.result.references.all("QueueTimeoutURL")


def test_a_failed_b2c_result_has_no_parameters() -> None:
    """The dummy receipt is none."""
    failed = parse_b2c_result(result(2040, TransactionID="SG70000000"))

    assert (ResultOutcome.FAILED, None, ABSENT) == (failed.outcome, failed.receipt, failed.amount)
    assert (None, None, "") == (failed.receiver_registered, failed.completed_at, failed.receiver)


def test_values_that_contradict_each_other_are_no_values() -> None:
    """Two readers could take two amounts, or two receipts."""
    twice = {"ResultParameter": [{"Key": "TransactionAmount", "Value": value} for value in (10, 11)]}
    read = parse_b2c_result(result(0, twice, TransactionID="SG632NMUAB"))
    two = parse_b2c_result(result(0, {"TransactionReceipt": "SG632NMUAC"}, TransactionID="SG632NMUAB"))
    same = {"ResultParameter": [{"Key": "TransactionAmount", "Value": 10}] * 2}

    assert (UNREADABLE, "SG632NMUAB") == (read.amount, read.receipt)
    assert two.receipt is None
    assert Amount(kes(1_000), readable=True) == parse_b2c_result(result(0, same)).amount


def test_one_parameter_may_be_an_object_instead_of_an_array() -> None:
    """As in failures of balance and B2B."""
    one = parse_result(result("17", {"ResultParameter": {"Key": "BOCompletedTime", "Value": 20200109125710}}))

    assert ("17", "20200109125710") == (one.result_code, one.parameters.one("BOCompletedTime"))


def test_a_value_of_another_kind_is_not_taken_for_absent() -> None:
    """Something was said about the amount; nobody knows what."""
    for value in ([10], {"KES": 10}, True):
        assert UNREADABLE == parse_b2c_result(result(0, {"TransactionAmount": value})).amount


@pytest.mark.parametrize(
    ("ids", "read"),
    [
        ({"OriginatorConversationID": None}, (None, "AG_1")),
        ({"ConversationID": ""}, ("1-2", None)),
    ],
)
def test_one_of_the_two_ids_is_enough(ids: dict[str, object], read: tuple[str | None, str | None]) -> None:
    """Old answers left one of them blank."""
    found = parse_result(result(0, **ids))

    assert read == (found.originator_conversation_id, found.conversation_id)


STATUS = {
    "DebitPartyName": "600310 - Business",
    "CreditPartyName": "254705912645 - SUBSCRIBER TWO",
    "OriginatorConversationID": "600997-0f0f",
    "InitiatedTime": "20180223054112",
    "DebitPartyCharges": "Fee For B2C Payment|KES|22.40",
    "TransactionReason": None,
    "ReasonType": "Business Payment to Customer via API",
    "TransactionStatus": "Completed",
    "FinalisedTime": "20180223054113",
    "Amount": "300",
    "ConversationID": "AG_20180223_0000493344ae97d86f75",
    "ReceiptNo": "MBN31H462N",
}


def test_a_status_names_the_payment_and_not_itself() -> None:
    """The envelope's ids are the question's; the receipt is ReceiptNo."""
    read = parse_status_result(result(0, STATUS, TransactionID="MBN0000000"))

    assert (ResultOutcome.SUCCEEDED, PaymentOutcome.PAID, "Completed") == (read.outcome, read.payment, read.status)
    assert ("MBN31H462N", None) == (read.receipt, read.result.receipt)
    assert ("600997-0f0f", "1-2") == (read.originator_conversation_id, read.result.originator_conversation_id)
    assert (kes(30_000), ("Fee For B2C Payment|KES|22.40",)) == (read.amount.money, read.charges)
    assert datetime(2018, 2, 23, 2, 41, 12, tzinfo=UTC) == read.initiated_at
    assert datetime(2018, 2, 23, 2, 41, 13, tzinfo=UTC) == read.finalised_at
    assert "SUBSCRIBER" not in repr(read)


@pytest.mark.parametrize(
    ("code", "word", "payment"),
    [
        (0, "Declined", PaymentOutcome.FAILED),
        (0, "Authorized", PaymentOutcome.PENDING),
        (0, None, PaymentOutcome.UNKNOWN),
        (2032, "Completed", PaymentOutcome.UNKNOWN),
        (2001, "Cancelled", PaymentOutcome.UNKNOWN),
    ],
)
def test_a_status_counts_only_if_the_question_went_well(code: int, word: str | None, payment: PaymentOutcome) -> None:
    """A failed question is no failed payment."""
    assert payment is parse_status_result(result(code, {**STATUS, "TransactionStatus": word})).payment


def test_a_name_may_stand_twice_in_a_status() -> None:
    """The portal's own sample names the debit party twice."""
    pairs = [("DebitPartyName", "600310 - Business"), ("DebitPartyName", "254705912645 - SUBSCRIBER TWO")]
    items = [{"Key": key, "Value": value} for key, value in pairs]
    read = parse_status_result(result("0", {"ResultParameter": items}))

    assert ("600310 - Business", "254705912645 - SUBSCRIBER TWO") == read.debit_parties


def test_two_words_for_one_payment_say_nothing() -> None:
    """Completed and Declined in one Result: neither is believed, in either order."""
    for words in (("Completed", "Declined"), ("Declined", "Completed")):
        items = [{"Key": "TransactionStatus", "Value": word} for word in words]
        read = parse_status_result(result(0, {"ResultParameter": items}))

        assert (PaymentOutcome.UNKNOWN, "") == (read.payment, read.status)


BALANCES = (
    "Working Account|KES|700000.00|700000.00|0.00|0.00&Utility Account|KES|346568.83|6186.83|340382.00|0.00"
    "&Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00"
)


def test_balances_are_read_by_account() -> None:
    """To the cent, below zero too; available and reserved make up the current one."""
    values = {"AccountBalance": BALANCES, "BOCompletedTime": "20200109125710"}
    read = parse_balance_result(result("0", values, TransactionID="OA90000000"))

    assert ["Working Account", "Utility Account", "Charges Paid Account"] == list(read.accounts)
    assert (
        AccountFunds(current=kes(34_656_883), available=kes(618_683), reserved=kes(34_038_200), uncleared=kes(0))
        == read.accounts["Utility Account"]
    )
    assert kes(-154_000) == read.accounts["Charges Paid Account"].current
    assert datetime(2020, 1, 9, 9, 57, 10, tzinfo=UTC) == read.completed_at


@pytest.mark.parametrize(
    "text",
    [
        *("", "&", BALANCES + "&", "Working Account|KES|700000.00|700000.00|0.00", BALANCES + "&" + BALANCES),
        *("A|KES|1|1|0|0|0", "A|EUR|1|1|0|0", "|KES|1|1|0|0", "A|KES|1.005|1|0|0", "A|KES|1e2|1|0|0", "A|KES||1|0|0"),
    ],
)
def test_balances_with_a_gap_are_no_balances(text: str) -> None:
    """A list that lacks an account would pass for all there is; its bytes are kept."""
    raw = result(0, {"AccountBalance": text})
    with pytest.raises(UnreadableMessage) as refused:
        parse_balance_result(raw)

    assert raw == refused.value.raw
    assert parse_balances(text) is None


def test_a_refused_balance_query_has_none() -> None:
    """And needs none."""
    read = parse_balance_result(result(8006, {"ResultParameter": {"Key": "BOCompletedTime", "Value": "2020"}}))

    assert (ResultOutcome.MISCONFIGURED, [], None) == (read.outcome, list(read.accounts), read.completed_at)


def test_a_reversal_names_both_payments() -> None:
    """Its own receipt stands in the envelope, the reversed one's in the parameters."""
    values = {
        "DebitAccountBalance": "Utility Account|KES|7722179.62|7722179.62|0.00|0.00",
        "Amount": 1,
        "TransCompletedTime": 20211114132711,
        "OriginalTransactionID": "SKC82PACB8",
        "Charge": "0.00",
        "CreditPartyPublicName": "254705912645 - SUBSCRIBER TWO",
    }
    read = parse_reversal_result(result(0, values, TransactionID="SKE52PAWR9"))

    assert (ResultOutcome.SUCCEEDED, False) == (read.outcome, read.already_reversed)
    assert ("SKE52PAWR9", "SKC82PACB8") == (read.receipt, read.original_receipt)
    assert (kes(100), kes(0)) == (read.amount.money, read.charge)
    assert datetime(2021, 11, 14, 10, 27, 11, tzinfo=UTC) == read.completed_at
    assert "SUBSCRIBER" not in repr(read)


def test_a_payment_reversed_before_is_told_apart() -> None:
    """Not a success of ours, not a failure either: the customer may have all or some of it back."""
    read = parse_reversal_result(result("R000001"))

    assert (ResultOutcome.UNKNOWN, True) == (read.outcome, read.already_reversed)


def test_a_b2b_result_reads_its_curious_amounts() -> None:
    """The balance is a printed record whose two figures must agree."""
    values = {
        "DebitAccountBalance": "{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.83}}",
        "Amount": "190.00",
        "TransCompletedTime": "20221110110717",
        "ReceiverPartyPublicName": "000000 - Receiving Business",
    }
    references = {"ReferenceItem": [{"Key": "BillReferenceNumber", "Value": "19008"}, {"Key": "Occassion"}]}
    read = parse_b2b_result(result("0", values, TransactionID="QKA81LK5CY", ReferenceData=references))

    assert (ResultOutcome.SUCCEEDED, "QKA81LK5CY", "19008") == (read.outcome, read.receipt, read.account_reference)
    assert (kes(19_000), kes(618_683)) == (read.amount.money, read.debit_balance)
    assert datetime(2022, 11, 10, 8, 7, 17, tzinfo=UTC) == read.completed_at


NO_RESULTS = [
    b"",
    b"<html>",
    b"[]",
    b"{}",
    b'{"Result": []}',
    result(None),
    result(True),
    result(0, OriginatorConversationID=None, ConversationID=""),
    result(0, []),
    result(0, {"ResultParameter": "x"}),
    result(0, {"ResultParameter": [{"Value": 1}]}),
    result(0, {"ResultParameter": [["Key"]]}),
    B2C.replace(b'"ResultCode": 0', b'"ResultCode": 0, "ResultCode": 1'),
]
READERS: list[Callable[[bytes], object]] = [
    parse_result,
    parse_b2c_result,
    parse_b2b_result,
    parse_status_result,
    parse_balance_result,
    parse_reversal_result,
    parse_c2b_payment,
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("raw", NO_RESULTS)
def test_bytes_that_are_no_message_come_back_whole(read: Callable[[bytes], object], raw: bytes) -> None:
    """One error, which holds what came and says nothing of it."""
    with pytest.raises(UnreadableMessage) as refused:
        read(raw)

    assert raw == refused.value.raw
    assert "600997" not in repr(refused.value) + str(refused.value)


def test_a_time_out_that_is_a_result_is_read_as_one() -> None:
    """Nobody knows which of the two shapes comes."""
    read = parse_queue_timeout(B2C)

    assert "600997-0f0f" == read.originator_conversation_id
    assert read.result is not None
    assert "0" == read.result.result_code
    with pytest.raises(UnreadableMessage):
        parse_queue_timeout(b'{"Result": 5}')
