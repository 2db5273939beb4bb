"""B2C, B2B, reversal, status and balance over a real socket: what is sent, and what is made of every kind of answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from penpay.domain.mpesa.gateway import B2bCommand, B2cCommand, CallOutcome
from penpay.infrastructure.mpesa.disbursements import DarajaDisbursements
from penpay.infrastructure.mpesa.session import DarajaSession
from tests.contract.mpesa.calls import (
    B2B,
    B2B_PAYMENT,
    B2C,
    B2C_PAYMENT,
    BALANCE,
    BY_ID,
    EVERY_CALL,
    MONEY_CALLS,
    PASSWORD,
    REVERSAL,
    SENT_ID,
    STATUS,
    TAKEN,
    TOKEN,
    make,
    safaricom,
)
from tests.contract.mpesa.scripted_daraja import (
    OAUTH,
    Received,
    Reply,
    ScriptedDaraja,
    http,
    raw,
    refused,
    reset,
    said,
    silence,
    trickle,
)

ADDRESSES = {
    "QueueTimeOutURL": "https://pay.example.com/timeouts/" + TOKEN,
    "ResultURL": "https://pay.example.com/results/" + TOKEN,
}
BODIES: dict[str, dict[str, object]] = {
    B2C: {
        "OriginatorConversationID": SENT_ID,
        "InitiatorName": "testapi",
        "CommandID": "BusinessPayment",
        "Amount": 10,
        "PartyA": 600997,
        "PartyB": 254705912645,
        "Remarks": "Payout",
        "Occassion": "",
    },
    B2B: {
        "Initiator": "testapi",
        "CommandID": "BusinessPayBill",
        "SenderIdentifierType": "4",
        "RecieverIdentifierType": "4",
        "Amount": "190",
        "PartyA": "600997",
        "PartyB": "600000",
        "AccountReference": "19008",
        "Requester": "254705912645",
        "Remarks": "Rent",
        "Occassion": "",
    },
    REVERSAL: {
        "Initiator": "testapi",
        "CommandID": "TransactionReversal",
        "TransactionID": "PDU91HIVIT",
        "Amount": "200",
        "ReceiverParty": "600997",
        "RecieverIdentifierType": "11",
        "Remarks": "Wrong number",
    },
    STATUS: {
        "Initiator": "testapi",
        "CommandID": "TransactionStatusQuery",
        "TransactionID": "NEF61H8J60",
        "PartyA": "600997",
        "IdentifierType": "4",
        "Remarks": "Status",
        "Occasion": "",
    },
    BALANCE: {
        "Initiator": "testapi",
        "CommandID": "AccountBalance",
        "PartyA": "600997",
        "IdentifierType": "4",
        "Remarks": "Balance",
    },
}


def sent(daraja: ScriptedDaraja, path: str) -> dict[str, object]:
    """The body of the last request to an address."""
    fields = json.loads(daraja.to(path)[-1].body)
    assert isinstance(fields, dict)
    return fields


@pytest.mark.parametrize("path", EVERY_CALL)
async def test_a_call_says_what_daraja_documents(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str
) -> None:
    """Field names with their misspellings, numbers where the samples have numbers, and a credential that opens."""
    daraja.scripts[path] = lambda _: said(200, TAKEN)
    answer = await make(disbursements, path)

    _, request = daraja.received
    fields = sent(daraja, path)
    assert ("POST", path, "token-1", "application/json") == (
        request.method,
        request.target,
        request.bearer,
        request.headers["content-type"],
    )
    credential = fields.pop("SecurityCredential")
    assert {**BODIES[path], **ADDRESSES} == fields
    assert isinstance(credential, str)
    assert (344, PASSWORD) == (len(credential), safaricom().opened(credential))
    assert (CallOutcome.ACCEPTED, False, SENT_ID) == (
        answer.outcome,
        answer.existed,
        answer.originator_conversation_id,
    )


async def test_a_payment_is_asked_about_by_our_own_id(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja
) -> None:
    """Then there is no receipt in the question."""
    daraja.scripts[STATUS] = lambda _: said(200, TAKEN)
    await disbursements.transaction_status(BY_ID)

    assert SENT_ID == sent(daraja, STATUS)["OriginalConversationID"]
    assert "TransactionID" not in sent(daraja, STATUS)


async def test_what_may_vary_is_sent_as_given(session: DarajaSession, daraja: ScriptedDaraja) -> None:
    """The command, the occasion, a till of ours and a till that is paid."""
    daraja.scripts[B2C] = daraja.scripts[B2B] = daraja.scripts[BALANCE] = lambda _: said(200, TAKEN)
    till = DarajaDisbursements(
        session=session,
        initiator=safaricom().initiator(),
        short_code="600997",
        result_base_url="https://pay.example.com/results",
        timeout_base_url="https://pay.example.com/timeouts",
        identifier_type="2",
        till_identifier_type="2",
    )
    await till.pay_customer(replace(B2C_PAYMENT, command=B2cCommand.SALARY, occasion="July 2026"))
    await till.pay_business(replace(B2B_PAYMENT, command=B2bCommand.BUY_GOODS, requester=None))
    await till.account_balance(TOKEN)

    b2c, b2b = sent(daraja, B2C), sent(daraja, B2B)
    assert ("SalaryPayment", "July 2026") == (b2c["CommandID"], b2c["Occassion"])
    assert ("BusinessBuyGoods", "2", "4") == (
        b2b["CommandID"],
        b2b["RecieverIdentifierType"],
        b2b["SenderIdentifierType"],
    )
    assert "Requester" not in b2b
    assert "2" == sent(daraja, BALANCE)["IdentifierType"]


BROKEN: list[tuple[Reply, str]] = [
    (silence, "timed_out"),
    (trickle, "deadline_passed"),
    (reset, "connection_broken"),
    (raw(b""), "connection_broken"),
    (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"), "connection_broken"),
    (http(200, b" " * 70_000), "answer_too_large"),
    (http(200), "unreadable_answer"),
    (http(200, b"<html>ok</html>", "text/html"), "unreadable_answer"),
    (http(403, b"<html>Incapsula</html>", "text/html"), "unreadable_answer"),
    (http(503, b"<html>busy</html>", "text/html"), "unreadable_answer"),
    (http(500, b"<soapenv:Envelope>409</soapenv:Envelope>", "text/xml"), "unreadable_answer"),
    (refused(500, "500.002.1001", "System internal error."), "500.002.1001"),
    (refused(500, "500.003.1001", "Internal Server Error"), "500.003.1001"),
]


@pytest.mark.parametrize("path", EVERY_CALL)
@pytest.mark.parametrize(("reply", "code"), BROKEN)
async def test_a_call_that_may_have_arrived_is_unknown_and_not_sent_again(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str, reply: Reply, code: str
) -> None:
    """The money may be on its way: one request went out, and no second one."""
    daraja.scripts[path] = lambda _: reply
    async with asyncio.timeout(5):  # well above the client's own deadline of one second
        answer = await make(disbursements, path)

    assert (CallOutcome.UNKNOWN, code, None) == (answer.outcome, answer.code, answer.retry_after_ms)
    assert 1 == len(daraja.to(path))


async def test_a_payment_sent_again_with_its_id_is_told_from_a_new_one(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja
) -> None:
    """The answer was lost; the same id goes out again, is refused as seen, and the payment is pending."""
    daraja.scripts[B2C] = lambda _: reset
    first = await disbursements.pay_customer(B2C_PAYMENT)
    daraja.scripts[B2C] = lambda _: refused(500, "500.002.1001", "Duplicate OriginatorConversationID.")
    second = await disbursements.pay_customer(B2C_PAYMENT)

    assert (CallOutcome.UNKNOWN, CallOutcome.ACCEPTED, True) == (first.outcome, second.outcome, second.existed)
    ids = [json.loads(request.body)["OriginatorConversationID"] for request in daraja.to(B2C)]
    assert [SENT_ID] * 2 == ids


@pytest.mark.parametrize("path", EVERY_CALL)
@pytest.mark.parametrize(
    "refusal",
    [
        refused(404, "404.001.03", "Invalid Access Token"),
        refused(400, "400.003.01", "Invalid Access Token"),
        refused(401, "401.002.01", "Error Occurred - Invalid Access Token - token-1"),
    ],
)
async def test_a_dead_token_is_renewed_once_and_the_call_repeated(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str, refusal: Reply
) -> None:
    """The gateway turned the first one away, so nothing was done by it; the body is the same."""
    issued = iter(("token-1", "token-2", "token-3"))
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": next(issued), "expires_in": "3599"})

    def script(request: Received) -> Reply:
        return said(200, TAKEN) if request.bearer == "token-2" else refusal

    daraja.scripts[path] = script
    answer = await make(disbursements, path)

    first, second = daraja.to(path)
    assert (CallOutcome.ACCEPTED, first.body) == (answer.outcome, second.body)
    assert 2 == len(daraja.to(OAUTH))


@pytest.mark.parametrize("path", EVERY_CALL)
async def test_a_token_refused_twice_is_for_people(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str
) -> None:
    """One renewal, one repeat, no third."""
    daraja.scripts[path] = lambda _: refused(404, "404.001.03", "Invalid Access Token")
    answer = await make(disbursements, path)

    assert (CallOutcome.MISCONFIGURED, "daraja_credentials") == (answer.outcome, answer.code)
    assert (2, 2) == (len(daraja.to(OAUTH)), len(daraja.to(path)))


@pytest.mark.parametrize("path", EVERY_CALL)
@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (401, ("401.003.01", "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found")),
        (403, ("403.002.1001", "You are not authorized to initiate this transaction")),
        (404, ("404.002.01", "Resource not found")),
        (404, ("404.001.04", "Invalid Authentication Header")),
        (405, ("405.001", "GET Method Not Allowed")),
    ],
)
async def test_what_only_people_cure_is_not_tried_again(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str, status: int, refusal: tuple[str, str]
) -> None:
    """No new token gives an app a product it lacks, although the message speaks of one."""
    daraja.scripts[path] = lambda _: refused(status, *refusal)
    answer = await make(disbursements, path)

    assert (CallOutcome.MISCONFIGURED, refusal[0], 60_000) == (answer.outcome, answer.code, answer.retry_after_ms)
    assert (1, 1) == (len(daraja.to(OAUTH)), len(daraja.to(path)))


SPIKE = {"fault": {"faultstring": "Spike arrest violation.", "detail": {"errorcode": "policies.ratelimit.Spike"}}}


@pytest.mark.parametrize("path", EVERY_CALL)
@pytest.mark.parametrize(
    "reply",
    [
        said(429, SPIKE),
        http(429, b"<html/>", "text/html"),
        refused(500, "500.003.02", "Error Occurred: Spike Arrest Violation"),
        refused(500, "500.003.02", "System is busy. Please try again in few minutes."),
        refused(500, "500.003.03", "Error Occurred: Quota Violation"),
    ],
)
async def test_a_call_that_came_too_fast_may_come_later(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str, reply: Reply
) -> None:
    """The gateway passed nothing on; the client itself does not try again."""
    daraja.scripts[path] = lambda _: reply
    answer = await make(disbursements, path)

    assert CallOutcome.RETRY_LATER is answer.outcome
    assert answer.retry_after_ms is not None
    assert answer.retry_after_ms >= 12_000
    assert 1 == len(daraja.to(path))


@pytest.mark.parametrize("path", MONEY_CALLS)
async def test_a_listed_refusal_is_final(disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str) -> None:
    """Validation refused it: no money moved or will."""
    daraja.scripts[path] = lambda _: refused(400, "400.002.02", "Bad Request - Invalid InitiatorName")
    answer = await make(disbursements, path)

    assert (CallOutcome.FAILED, "400.002.02", None) == (answer.outcome, answer.code, answer.retry_after_ms)


@pytest.mark.parametrize("path", EVERY_CALL)
async def test_a_server_that_is_not_there_was_sent_nothing(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, path: str
) -> None:
    """Connection refused, with a token in hand and without one: safe to send again."""
    without_token = daraja.url
    daraja.scripts[path] = lambda _: said(200, TAKEN)
    await make(disbursements, path)
    await daraja.close()
    answer = await make(disbursements, path)

    assert (CallOutcome.RETRY_LATER, "not_connected", True) == (
        answer.outcome,
        answer.code,
        answer.retry_after_ms is not None,
    )
    assert without_token not in answer.message


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        (http(400), CallOutcome.MISCONFIGURED, "daraja_credentials"),
        (refused(400, "400.008.01", "Invalid Authentication passed"), CallOutcome.MISCONFIGURED, "daraja_credentials"),
        (refused(400, "400.008.02", "Invalid grant type passed"), CallOutcome.MISCONFIGURED, "daraja_credentials"),
        (http(503, b"<html>busy</html>", "text/html"), CallOutcome.RETRY_LATER, "daraja_token_unavailable"),
        (silence, CallOutcome.RETRY_LATER, "daraja_token_unavailable"),
    ],
)
async def test_without_a_token_nothing_is_sent(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, reply: Reply, outcome: CallOutcome, code: str
) -> None:
    """A wrong secret, which answers 400 with an empty body, is for people; an outage passes."""
    daraja.scripts[OAUTH] = lambda _: reply
    answer = await disbursements.pay_customer(B2C_PAYMENT)

    assert (outcome, code) == (answer.outcome, answer.code)
    assert {OAUTH} == {request.target for request in daraja.received}
