"""The request log: the whole story of a payment, and none of its secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from penpay.infrastructure.system import SystemClock
from penpay.sandbox.log import RequestLog, cleaned, cleaned_url
from penpay.sandbox.seeds import PASSKEY
from tests.integration.sandbox_cli.pushing import MOMENT, PAYER, push, token
from tests.support.sandbox_program import SandboxProgram

PHONE = PAYER.phone.msisdn


def file_of(sandbox: SandboxProgram) -> str:
    return (sandbox.folder / "var" / "sandbox.db.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_payment_is_told_from_the_token_to_the_callback(sandbox: SandboxProgram) -> None:
    """Four exchanges, each with its direction and what came of it; the file holds what the route tells."""
    after = sandbox.ask("GET", "/sandbox/log")["last"]
    checkout = push(sandbox, 30)["CheckoutRequestID"]
    sandbox.ask("GET", f"/sandbox/phones/{PHONE}")  # looking is no part of the story
    sandbox.ask("POST", f"/sandbox/phones/{PHONE}/pin", {"pin": PAYER.pin})
    sandbox.wait_for(lambda: sandbox.ask("GET", f"/sandbox/log?after={after}")["last"] == after + 4, "callback")
    told = sandbox.ask("GET", f"/sandbox/log?after={after}")["entries"]
    assert [
        ("in", "GET", "/oauth/v1/generate?grant_type=client_credentials", 200),
        ("in", "POST", "/mpesa/stkpush/v1/processrequest", 200),
        ("in", "POST", f"/sandbox/phones/{PHONE}/pin", 200),
        ("out", "POST", f"{sandbox.url}/sandbox/inbox", 200),
    ] == [(one["direction"], one["method"], one["target"], one["status"]) for one in told]
    assert checkout == told[1]["answer"]["CheckoutRequestID"]
    assert checkout == told[3]["request"]["Body"]["stkCallback"]["CheckoutRequestID"]
    assert {"ResultCode": 0, "ResultDesc": "Accepted"} == told[3]["answer"]
    assert told == [json.loads(line, parse_float=Decimal) for line in file_of(sandbox).splitlines()[-4:]]


@pytest.mark.slow
def test_no_secret_is_kept(sandbox: SandboxProgram) -> None:
    """Neither token nor password, PIN, credential or consumer secret is in the route, the file or the terminal."""
    bearer = token(sandbox)
    long_path = "s3cret" * 8
    push(sandbox, 20, bearer=bearer, callback=f"{sandbox.url}/{long_path}")
    sandbox.ask("POST", f"/sandbox/phones/{PHONE}/pin", {"pin": PAYER.pin})
    standing = {"answer": {"habit": "ENTER_PIN", "pin": "8642"}}
    sandbox.ask("PUT", f"/sandbox/phones/{PHONE}/standing-answer", standing)
    sandbox.ask("PUT", f"/sandbox/phones/{PHONE}/standing-answer", {"answer": None})
    httpx.post(
        f"{sandbox.url}/mpesa/b2c/v1/paymentrequest",
        json={"InitiatorName": "testapi", "SecurityCredential": "credential-given"},
        headers={"Authorization": "Bearer token-of-nobody"},
    )
    httpx.post(f"{sandbox.url}/api/login/agent", data={"email": "a@example.org", "password": "password-given"})
    sandbox.wait_for(lambda: any(one["status"] == 404 for one in sandbox.log() if one["direction"] == "out"), "404")
    told = json.dumps(sandbox.log(), default=str) + file_of(sandbox) + sandbox.penpay("log", "--json")
    password = base64.b64encode(f"174379{PASSKEY}{MOMENT}".encode()).decode()
    secrets = {bearer, password, sandbox.told("Consumer secret"), "8642", f'"{PAYER.pin}"', long_path}
    secrets |= {"credential-given", "token-of-nobody", "password-given"}
    assert set() == {secret for secret in secrets if secret in told}
    assert "SecurityCredential" in told
    assert "/api/login/agent" in told


@pytest.mark.slow
def test_the_terminal_tells_what_failed(sandbox: SandboxProgram) -> None:
    """A refusal, a cut connection and a receiver that is not there are each said in words."""
    after = str(sandbox.ask("GET", "/sandbox/log")["last"])
    httpx.get(f"{sandbox.url}/oauth/v1/generate")
    sandbox.penpay("faults", "add", "spoilt-reply", "call=PUSH", "reply=CUT")
    with pytest.raises(httpx.RemoteProtocolError):
        push(sandbox, 10)
    push(sandbox, 10, callback="http://127.0.0.1:1/nobody")
    sandbox.ask("POST", f"/sandbox/phones/{PHONE}/cancel")
    sandbox.wait_for(lambda: any(one["failure"] == "ConnectError" for one in sandbox.log()), "callback")
    for width in (80, 120):
        said = sandbox.penpay("log", "--after", after, width=width)
        assert max(map(len, said.splitlines())) <= width
        flat = " ".join(said.split())
        for words in ("✘ 400 400.008.01 Invalid", "200 cut off before the body", "NO ANSWER (ConnectError)"):
            assert words in flat
        assert "to 174379, account ORDER-1" in flat
        assert f"{PHONE} cancels" in flat


@pytest.mark.slow
def test_without_a_log_nothing_is_kept(tmp_path: Path) -> None:
    """With --no-log there is no file and no route, and payments go on."""
    sandbox = SandboxProgram(tmp_path)
    try:
        sandbox.start("--no-log")
        assert "0" == push(sandbox)["ResponseCode"]
        assert sandbox.penpay("log", status=1).startswith("error: not_offered: ")
        assert [] == list(tmp_path.rglob("*.log"))
    finally:
        sandbox.kill()


# -- without a sandbox


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RequestLog]:
    with RequestLog(tmp_path / "log", SystemClock()) as made:
        yield made


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://sandbox")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = await Request(scope, receive).body()
    kind = Request(scope).headers.get("content-type", "")
    await Response(body, media_type=kind)(scope, receive, send)


@pytest.mark.parametrize(
    ("content", "kind", "kept"),
    [
        (b'{"Amount": 1.10, "PIN": "1"}', "application/json", {"Amount": Decimal("1.10"), "PIN": "***"}),
        (b'[{"Password": ["a", "b"]}]', "application/json; charset=utf-8", [{"Password": "***"}]),
        (b"pin=1&a=2", "application/x-www-form-urlencoded", {"pin": "***", "a": ["2"]}),
        (b'{"pin": "1', "application/json", "10 bytes, unreadable application/json"),
        (b"<pin>1</pin>", "text/xml", "12 bytes, text/xml"),
        (b'{"a": 1e999999999}', "application/json", {"a": "1E+999999999"}),
        (b'{"a": NaN}', "application/json", {"a": "NaN"}),
        (b'{"a": "\\ud800"}', "application/json", {"a": "?"}),
        (b"[" * 100_000, "application/json", "100000 bytes, application/json"),
        (b"[" * 20_000, "application/json", "20000 bytes, unreadable application/json"),
        (b"", "", None),
    ],
)
async def test_any_body_can_be_kept(log: RequestLog, content: bytes, kind: str, kept: object) -> None:
    """What cannot be read is told by its size: nothing breaks, and nothing secret slips through."""
    async with client_of(log.around(echo)) as client:
        answered = await client.post("/mpesa/x", content=content, headers={"Content-Type": kind})
    (entry,) = log.entries(0)
    assert content == answered.content
    assert (kept, kept) == (entry["request"], entry["answer"])


async def test_what_goes_out_is_noted_and_arrives_unchanged(log: RequestLog) -> None:
    """A receiver that answers compressed is read right by the sandbox and by the log."""
    received: list[bytes] = []

    async def receiver(scope: Any, receive: Any, send: Any) -> None:
        received.append(await Request(scope, receive).body())
        await JSONResponse({"ResultCode": 0}, status_code=202)(scope, receive, send)

    async with log.watching(client_of(receiver)) as client:
        answered = await client.post("http://shop.example/secret?token=abc&a=1", json={"Password": "x"})
    (entry,) = log.entries(0)
    assert (202, {"ResultCode": 0}) == (answered.status_code, answered.json())
    assert [b'{"Password":"x"}'] == received
    assert ("http://shop.example/secret?token=***&a=1", {"Password": "***"}) == (entry["target"], entry["request"])


async def test_the_newest_are_kept_and_told_in_pages(log: RequestLog) -> None:
    """Numbers go on when the oldest are forgotten, and nothing is told twice."""
    async with client_of(log.around(echo)) as client:
        for _ in range(5_010):
            await client.post("/mpesa/x")
    seen: list[object] = []
    after = 0
    while page := log.entries(after):
        seen += [entry["number"] for entry in page]
        after = int(str(page[-1]["number"]))
    assert list(range(11, 5_011)) == seen


def test_urls_are_cleaned() -> None:
    """What tells a caller apart in a callback URL is left out; host and route stay."""
    told = {
        "http://u:p@shop.example/cb": "http://shop.example/cb",
        f"https://shop.example/cb/{'x' * 31}": "https://shop.example/cb/***",
        f"https://shop.example/cb/{'x' * 30}": f"https://shop.example/cb/{'x' * 30}",
        f"https://shop.example/?a=1&b={'y' * 40}&pin=1": "https://shop.example/?a=1&b=***&pin=***",
        "http://[": "***",
    }
    assert told == {url: cleaned_url(url) for url in told}


def test_a_known_secret_is_hidden_wherever_it_stands() -> None:
    """A refusal that repeats the caller's token does not bring it into the log."""
    said = {"errorMessage": "Error Occurred - Invalid Access Token - abc", "deep": [{"client_secret": "s"}]}
    hidden = {"errorMessage": "Error Occurred - Invalid Access Token - ***", "deep": [{"client_secret": "***"}]}
    assert hidden == cleaned(said, ["abc"])


async def test_a_full_disk_stops_no_payment(caplog: pytest.LogCaptureFixture) -> None:
    """The exchange is answered and kept in memory; that the file cannot be written is logged."""
    with RequestLog(Path("/dev/full"), SystemClock()) as log:
        async with client_of(log.around(echo)) as client:
            assert 200 == (await client.post("/mpesa/x")).status_code
        assert 1 == len(log.entries(0))
    assert "cannot be written: No space left" in caplog.text
