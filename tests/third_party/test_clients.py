"""Other people's clients of Daraja against `penpay sandbox`: what they send is taken, what we answer they can read."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from penpay.sandbox.log import INBOX_PATH
from penpay.sandbox.seeds import INITIATOR, NUMBERS, PASSKEY, SHORT_CODE, SUBSCRIBERS
from tests.servers.process import Unavailable
from tests.support.not_run import skip_not_run
from tests.support.sandbox_program import SandboxProgram
from tests.third_party import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * environment.PATIENCE_S)]

CLIENTS = ("mpesa_connect", "mpesa_daraja", "mpesakit")
CAN_QUERY = ("mpesa_connect", "mpesakit")
B2C_PATHS = {"mpesakit": "/mpesa/b2c/v3/paymentrequest"}
LATER = {
    "c2b_register": "/mpesa/c2b/v1/registerurl",
    "b2c": "/mpesa/b2c/v1/paymentrequest",
    "balance": "/mpesa/accountbalance/v1/query",
}
PAYER = SUBSCRIBERS[0]
SHILLINGS = 25


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the clients' environment."""
    try:
        return environment.python()
    except Unavailable as reason:
        skip_not_run("other people's clients", reason)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProgram]:
    """One sandbox for all clients."""
    made = SandboxProgram(tmp_path_factory.mktemp("third-party"))
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.kill()


def call(python: Path, sandbox: SandboxProgram, client: str, name: str, **more: object) -> dict[str, Any]:
    """What a client makes of one call."""
    world = {
        "call": name,
        "url": sandbox.url,
        "inbox": sandbox.url + INBOX_PATH,
        "consumer_key": sandbox.told("Consumer key"),
        "consumer_secret": sandbox.told("Consumer secret"),
        "short_code": SHORT_CODE,
        "passkey": PASSKEY,
        "pay_bill": NUMBERS[0].short_code,
        "phone": PAYER.phone.msisdn,
        "shillings": SHILLINGS,
        "initiator": INITIATOR,
        "credential": base64.b64encode(bytes(256)).decode(),  # as long as one that is encrypted
        "originator": f"third-party-{client}",
        **more,
    }
    script = Path(__file__).parent / "clients" / f"{client}_calls.py"
    ended = subprocess.run(  # noqa: S603  (the environment's interpreter, no shell)
        [python, script, json.dumps(world)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=sandbox.folder,
        env={"NO_PROXY": "127.0.0.1"},
    )
    assert 0 == ended.returncode, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout, parse_float=Decimal)
    return answer


def callback_of(sandbox: SandboxProgram, checkout_request_id: str) -> dict[str, Any]:
    """What the sandbox posted about a push."""

    def found() -> list[dict[str, Any]]:
        bodies = [entry["request"] for entry in sandbox.log() if entry["direction"] == "out"]
        callbacks = [body["Body"]["stkCallback"] for body in bodies if "Body" in body]
        return [one for one in callbacks if one["CheckoutRequestID"] == checkout_request_id]

    sandbox.wait_for(found, "callback")
    (callback,) = found()
    return callback


@pytest.mark.parametrize("client", CLIENTS)
def test_a_push_is_paid(python: Path, sandbox: SandboxProgram, client: str) -> None:
    """The client gets a token and pushes; she types her PIN; the callback tells the amount that was asked for."""
    pushed = call(python, sandbox, client, "push")
    assert "0" == str(pushed["ResponseCode"])
    paid = sandbox.ask("POST", f"/sandbox/phones/{PAYER.phone.msisdn}/pin", {"pin": PAYER.pin})
    assert "0" == paid["code"]
    callback = callback_of(sandbox, pushed["CheckoutRequestID"])
    items = {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}
    assert (0, Decimal(SHILLINGS)) == (callback["ResultCode"], items["Amount"])


@pytest.mark.parametrize("client", CAN_QUERY)
def test_a_push_is_asked_about(python: Path, sandbox: SandboxProgram, client: str) -> None:
    """The client's query learns that she cancelled."""
    pushed = call(python, sandbox, client, "push")
    sandbox.ask("POST", f"/sandbox/phones/{PAYER.phone.msisdn}/cancel")
    asked = call(python, sandbox, client, "query", checkout_request_id=pushed["CheckoutRequestID"])
    assert ("0", "1032") == (str(asked["ResponseCode"]), str(asked["ResultCode"]))


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_other_calls_are_accepted(python: Path, sandbox: SandboxProgram, client: str, name: str) -> None:
    """Registering URLs, paying out and asking for a balance are answered with ResponseCode 0."""
    path = B2C_PATHS.get(client, LATER[name]) if name == "b2c" else LATER[name]
    known = httpx.post(sandbox.url + path, json={})
    if "Resource not found" in known.text:
        skip_not_run(f"{name} of other people's clients", f"this sandbox does not offer {path}")
    assert "0" == str(call(python, sandbox, client, name)["ResponseCode"])
