"""No secret of the client is in its log or in the sandbox's, whatever goes wrong between them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from penpay.domain.mpesa.queue_timeout import parse_queue_timeout
from penpay.infrastructure.system import SystemClock
from penpay.sandbox.daraja.switches import DarajaSwitches
from penpay.sandbox.faults import DarajaCall, QueuedTooLong, Spoilt, SpoiltReply
from penpay.sandbox.log import RequestLog
from tests.contract.daraja.conftest import BothMaker
from tests.contract.daraja.every_call import SEND, answered_prompt, prepared
from tests.contract.sandbox.organisation import PASSWORD
from tests.contract.sandbox.world import PASSKEY, SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_no_log_holds_a_secret(make_both: BothMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every call once, with an echoed token, a queue time-out and a message; and the logs do hold the calls."""
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "requests.jsonl"
    with RequestLog(file, SystemClock()) as log:
        async with make_both(DarajaSwitches(), log) as both:
            both.goes_wrong(SpoiltReply(call=DarajaCall.B2C, reply=Spoilt.INVALID_TOKEN))
            sent = []
            for call, send in SEND.items():
                sent.append(await send(both, both.client, await prepared(both, call)))
                await answered_prompt(both)
            await both.world.settled()
            both.goes_wrong(QueuedTooLong())
            payment = both.payout()
            await both.client.pay.pay_customer(payment)
            echo = parse_queue_timeout(await both.inbox.next("timeout", payment.callback_token))
            await both.world.settled()
            token = both.client.stk.session._tokens._usable()
            credential = both.client.pay._initiator.credential
    lines = file.read_text().splitlines()
    assert payment.originator_conversation_id == echo.originator_conversation_id
    assert {"in", "out"} == {json.loads(line, parse_float=str)["direction"] for line in lines}
    assert token is not None
    tokens_of_calls = [one.token for one in sent if one.token]
    for written in (file.read_text(), caplog.text):
        assert {} == {
            name: secret
            for name, secret in {
                "token": token,
                "credential": credential,
                "password": PASSWORD,
                "passkey": PASSKEY,
                "consumer secret": SECRET,
            }.items()
            if secret in written
        }
    assert [] == [one for one in tokens_of_calls if f"/result/{one}" in file.read_text()]
