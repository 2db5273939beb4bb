"""C2B and pull over a real socket: addresses registered, payments simulated in sandboxes only, lists read by pages."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from penpay.domain.mpesa.gateway import (
    C2bAddresses,
    CallAnswer,
    CallOutcome,
    PullWindow,
    SimulatedPayment,
    UnansweredValidation,
)
from penpay.domain.mpesa.pulled import PulledTransaction
from penpay.domain.shared.errors import InvalidAmount, InvalidRequest
from penpay.infrastructure.mpesa.rate_limit import RateLimit
from penpay.infrastructure.mpesa.receipts import C2bVersion, DarajaReceipts
from penpay.infrastructure.mpesa.session import DarajaSession
from tests.contract.mpesa.calls import PHONE, PULL, PULL_REGISTER, REGISTER, SIMULATE, kes
from tests.contract.mpesa.scripted_daraja import OAUTH, Received, Reply, ScriptedDaraja, http, refused, reset, said
from tests.contract.mpesa.steps import SteppedClock

ADDRESSES = C2bAddresses(
    confirmation_url="https://pay.example.com/c2b/confirmation/0f0f",
    validation_url="https://pay.example.com/c2b/validation/0f0f",
    unanswered=UnansweredValidation.COMPLETE,
)
PAID = SimulatedPayment(phone=PHONE, amount=kes(1), bill_reference="INV-7")
DONE = {"OriginatorCoversationID": "6e86-45dd", "ResponseCode": "0", "ResponseDescription": "Success"}


def sent(daraja: ScriptedDaraja, path: str) -> object:
    return json.loads(daraja.to(path)[-1].body)


@pytest.mark.parametrize("version", list(C2bVersion))
async def test_addresses_are_registered_as_documented(
    session: DarajaSession, daraja: ScriptedDaraja, version: C2bVersion
) -> None:
    """In either version, which differ in the path only."""
    path = REGISTER.replace("v2", version)
    daraja.scripts[path] = lambda _: said(200, DONE)
    receipts = DarajaReceipts(session=session, short_code="600984", version=version)
    answer = await receipts.register_addresses(replace(ADDRESSES, unanswered=UnansweredValidation.CANCEL))

    assert {
        "ShortCode": "600984",
        "ResponseType": "Cancelled",
        "ConfirmationURL": "https://pay.example.com/c2b/confirmation/0f0f",
        "ValidationURL": "https://pay.example.com/c2b/validation/0f0f",
    } == sent(daraja, path)
    assert (CallOutcome.ACCEPTED, "6e86-45dd") == (answer.outcome, answer.originator_conversation_id)


async def test_addresses_that_were_registered_before_stay(receipts: DarajaReceipts, daraja: ScriptedDaraja) -> None:
    """Production takes them once; whoever wants others must ask people."""
    daraja.scripts[REGISTER] = lambda _: refused(500, "500.003.1001", "Urls are already registered.")
    answer = await receipts.register_addresses(ADDRESSES)

    assert (CallOutcome.FAILED, True, 1) == (answer.outcome, answer.existed, len(daraja.to(REGISTER)))


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (http(500, b"<Envelope>SCO-AddURLVault failed: 409</Envelope>", "text/xml"), CallOutcome.UNKNOWN),
        (reset, CallOutcome.UNKNOWN),
        (refused(401, "401.003.01", "Invalid API call as no apiproduct match found"), CallOutcome.MISCONFIGURED),
        (refused(400, "400.003.02", "Bad Request"), CallOutcome.FAILED),
        (refused(500, "500.003.02", "Error Occurred: Spike Arrest Violation"), CallOutcome.RETRY_LATER),
    ],
)
async def test_a_registration_ends_in_words(
    receipts: DarajaReceipts, daraja: ScriptedDaraja, reply: Reply, outcome: CallOutcome
) -> None:
    """The wrong version among them, and SOAP from behind the gateway."""
    daraja.scripts[REGISTER] = lambda _: reply

    assert outcome is (await receipts.register_addresses(ADDRESSES)).outcome


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "pay.example.com/c2b",
            "ftp://pay.example.com/c2b",
            "https://",
            "https://pay.example.com/a b",
            "https://[/",
        ),
        *(f"https://pay.example.com/{word}/c2b" for word in ("mpesa", "M-PESA", "safaricom", "exe", "exec", "cmd")),
        *("https://sql.example.com/c2b", "https://pay.example.com/c2b?Query=1", "https://pay.example.com/" + "a" * 250),
    ],
)
async def test_an_address_daraja_does_not_take_is_not_sent(
    receipts: DarajaReceipts, daraja: ScriptedDaraja, address: str
) -> None:
    """Either of the two, and the one of the pull API."""
    for bad in (replace(ADDRESSES, confirmation_url=address), replace(ADDRESSES, validation_url=address)):
        with pytest.raises(InvalidRequest):
            await receipts.register_addresses(bad)
    with pytest.raises(InvalidRequest):
        await receipts.register_pull(nominated_phone=PHONE, callback_url=address)

    assert [] == daraja.received


async def test_a_payment_is_simulated_as_documented(receipts: DarajaReceipts, daraja: ScriptedDaraja) -> None:
    """On loopback; a till has no bill reference."""
    daraja.scripts[SIMULATE] = lambda _: said(200, DONE)
    answers = [await receipts.simulate_payment(PAID)]
    assert {
        "ShortCode": 600984,
        "CommandID": "CustomerPayBillOnline",
        "Amount": 1,
        "Msisdn": 254705912645,
        "BillRefNumber": "INV-7",
    } == sent(daraja, SIMULATE)

    answers.append(await receipts.simulate_payment(replace(PAID, bill_reference=None)))
    till = sent(daraja, SIMULATE)
    assert isinstance(till, dict)
    assert ("CustomerBuyGoodsOnline", None) == (till["CommandID"], till["BillRefNumber"])
    assert [CallOutcome.ACCEPTED] * 2 == [answer.outcome for answer in answers]

    with pytest.raises(InvalidRequest):
        await receipts.simulate_payment(replace(PAID, bill_reference="a & b"))
    with pytest.raises(InvalidAmount):
        await receipts.simulate_payment(replace(PAID, amount=kes(0)))


def at(
    base_url: str, clock: SteppedClock, received: list[str], *, sandbox_hosts: tuple[str, ...] = ()
) -> DarajaReceipts:
    """A client of another address, whose requests end in `received` instead of the network."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(scope["path"])
        token = {"access_token": "token-1", "expires_in": "3599"}
        body = json.dumps(token if "oauth" in scope["path"] else DONE).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    session = DarajaSession(
        http=httpx.AsyncClient(transport=httpx.ASGITransport(answer)),
        clock=clock,
        base_url=base_url,
        consumer_key="consumer-key",
        consumer_secret="consumer-secret",
    )
    return DarajaReceipts(session=session, short_code="600984", sandbox_hosts=sandbox_hosts)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.safaricom.co.ke",
        "https://API.safaricom.co.ke/",
        "https://sandbox.safaricom.co.ke.example.com",
        "https://sandbox.safaricom.co.ke@api.safaricom.co.ke",
        "https://pay.example.com/sandbox.safaricom.co.ke",
        "https://127.0.0.1.example.com",
        "https://10.0.0.1",
    ],
)
async def test_nothing_is_simulated_outside_a_sandbox(base_url: str, clock: SteppedClock) -> None:
    """Refused before a byte is sent, however much the address looks like a sandbox; nor are plain addresses taken."""
    received: list[str] = []
    receipts = at(base_url, clock, received, sandbox_hosts=("daraja.test",))
    with pytest.raises(InvalidRequest):
        await receipts.simulate_payment(PAID)
    with pytest.raises(InvalidRequest):
        await receipts.register_addresses(replace(ADDRESSES, validation_url="http://pay.example.com/c2b"))

    assert [] == received


@pytest.mark.parametrize(
    "base_url",
    [
        *("https://sandbox.safaricom.co.ke", "https://SANDBOX.safaricom.co.ke/", "http://localhost:6700"),
        *("http://127.0.0.1:6700", "http://[::1]:6700", "http://daraja.test:6700"),
    ],
)
async def test_a_sandbox_takes_simulated_payments_and_plain_addresses(base_url: str, clock: SteppedClock) -> None:
    """Safaricom's, one on this machine, or one that is named."""
    received: list[str] = []
    receipts = at(base_url, clock, received, sandbox_hosts=("Daraja.Test",))
    plain = replace(ADDRESSES, validation_url="http://pay.example.com/c2b")

    assert CallOutcome.ACCEPTED is (await receipts.simulate_payment(PAID)).outcome
    assert CallOutcome.ACCEPTED is (await receipts.register_addresses(plain)).outcome


def test_production_cannot_be_named_a_sandbox(clock: SteppedClock) -> None:
    """Whatever a setting says."""
    with pytest.raises(ValueError, match="production"):
        at("https://api.safaricom.co.ke", clock, [], sandbox_hosts=("API.safaricom.co.ke",))


async def test_pulling_is_registered_once(receipts: DarajaReceipts, daraja: ScriptedDaraja) -> None:
    """A repeat says so, and does no harm."""
    statuses = iter(("1000", "1001"))
    daraja.scripts[PULL_REGISTER] = lambda _: said(200, {"ResponseRefID": "1", "ResponseStatus": next(statuses)})
    url = "https://pay.example.com/pulled"
    answers = [await receipts.register_pull(nominated_phone=PHONE, callback_url=url) for _ in range(2)]

    assert {
        "ShortCode": "600984",
        "RequestType": "Pull",
        "NominatedNumber": "254705912645",
        "CallBackURL": url,
    } == sent(daraja, PULL_REGISTER)
    assert [(CallOutcome.ACCEPTED, False), (CallOutcome.ACCEPTED, True)] == [
        (answer.outcome, answer.existed) for answer in answers
    ]


def row(number: int) -> dict[str, object]:
    return {
        "transactionId": f"OAI{number:07}",
        "trxDate": "2021-06-28T09:00:00Z",
        "msisdn": 705912645,
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": "INV-7",
        "amount": "168.00",
        "organizationname": "Business",
    }


async def test_a_long_list_is_read_page_by_page(
    receipts: DarajaReceipts, daraja: ScriptedDaraja, clock: SteppedClock
) -> None:
    """Every payment once; moments in Nairobi's time; the offset counts rows."""

    def script(request: Received) -> Reply:
        offset = int(json.loads(request.body)["OffSetValue"])
        rows = [row(number) for number in range(offset + 1, min(offset + 100, 230) + 1)]
        return said(
            200, {"ResponseRefID": "1", "ResponseCode": "1000", "ResponseMessage": "Success", "Response": [rows]}
        )

    daraja.scripts[PULL] = script
    window = PullWindow(since=clock.now() - timedelta(hours=48), until=clock.now())
    pulled: list[PulledTransaction] = []
    offset: int | None = 0
    while offset is not None:
        page = await receipts.pull(replace(window, offset=offset))
        pulled += page.transactions
        offset = page.next_offset

    assert [f"OAI{number:07}" for number in range(1, 231)] == [one.receipt for one in pulled]
    assert {
        "ShortCode": "600984",
        "StartDate": "2021-06-26 09:24:08",
        "EndDate": "2021-06-28 09:24:08",
        "OffSetValue": "200",
    } == sent(daraja, PULL)
    assert "POST" == daraja.to(PULL)[0].method


@pytest.mark.parametrize(
    ("reply", "outcome", "waits"),
    [
        (reset, CallOutcome.UNKNOWN, False),
        (http(503, b"<html/>", "text/html"), CallOutcome.UNKNOWN, False),
        (refused(500, "500", "Failed to retrieve transactions"), CallOutcome.RETRY_LATER, True),
        (refused(400, "400.001", "Invalid ShortCode"), CallOutcome.MISCONFIGURED, True),
        (refused(401, "401.001", "Invalid Access Token"), CallOutcome.MISCONFIGURED, True),
    ],
)
async def test_a_list_that_does_not_come_is_no_empty_list(
    receipts: DarajaReceipts, daraja: ScriptedDaraja, reply: Reply, outcome: CallOutcome, *, waits: bool
) -> None:
    """Its outcome says so; its token code is cured like any other."""
    daraja.scripts[PULL] = lambda _: reply
    clock = SteppedClock()
    page = await receipts.pull(PullWindow(since=clock.now() - timedelta(hours=1), until=clock.now()))

    assert (outcome, (), waits) == (page.outcome, page.transactions, page.retry_after_ms is not None)
    assert (2 if page.code == "daraja_credentials" else 1) == len(daraja.to(OAUTH))


async def test_a_window_daraja_cannot_answer_for_is_not_asked(
    receipts: DarajaReceipts, daraja: ScriptedDaraja, clock: SteppedClock
) -> None:
    """What is older than two days is gone from the list, and an empty answer would look like no payments."""
    now = clock.now()
    for since, until, offset in (
        (now - timedelta(hours=49), now, 0),
        (now, now, 0),
        (now, now - timedelta(hours=1), 0),
        (now - timedelta(hours=1), now, -1),
    ):
        with pytest.raises(InvalidRequest):
            await receipts.pull(PullWindow(since=since, until=until, offset=offset))

    assert [] == daraja.received


async def test_all_calls_of_a_session_share_one_limit(daraja: ScriptedDaraja, clock: SteppedClock) -> None:
    """Two at once, then one every six seconds; what is held back is not sent and says when to come again."""
    daraja.scripts[SIMULATE] = daraja.scripts[REGISTER] = lambda _: said(200, DONE)
    async with httpx.AsyncClient(trust_env=False) as http_client:
        session = DarajaSession(
            http=http_client,
            clock=clock,
            base_url=daraja.url,
            consumer_key="consumer-key",
            consumer_secret="consumer-secret",
            limit=RateLimit(calls=10, period_ms=60_000, burst=2),
        )
        receipts = DarajaReceipts(session=session, short_code="600984")
        first = await asyncio.gather(*(receipts.simulate_payment(PAID) for _ in range(2)))
        held: CallAnswer = await receipts.register_addresses(ADDRESSES)
        assert held.retry_after_ms is not None
        clock.moment += timedelta(milliseconds=held.retry_after_ms)
        then = await receipts.register_addresses(ADDRESSES)

    assert [CallOutcome.ACCEPTED] * 2 == [answer.outcome for answer in first]
    assert (CallOutcome.RETRY_LATER, "held_back", 6_000) == (held.outcome, held.code, held.retry_after_ms)
    assert (CallOutcome.ACCEPTED, 1) == (then.outcome, len(daraja.to(REGISTER)))
