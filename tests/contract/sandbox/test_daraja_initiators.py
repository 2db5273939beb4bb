"""Initiators and their credentials, faults and switches, and a sandbox that stops in between."""

from __future__ import annotations

import asyncio
import base64
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penpay.bootstrap.sandbox import kept_key
from penpay.domain.mobile_money.daraja_request import RequestState
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.system import at_once
from penpay.sandbox.daraja.initiators import Initiators, SecurityKey
from penpay.sandbox.daraja.switches import AfterTimeout, DarajaCredentials, DarajaSwitches, Initiator, SwitchBoard
from penpay.sandbox.faults import (
    CallbackFirst,
    DarajaCall,
    Fault,
    FaultRule,
    ForcedResult,
    LateCallback,
    LostCallback,
    QueuedTooLong,
    RepeatedCallback,
    SlowReply,
    Spoilt,
    SpoiltReply,
)
from tests.contract.sandbox.organisation import PASSWORD, UNREADABLE, Organisation, Results, parameters, sealed
from tests.contract.sandbox.test_sandbox_restart_and_routes import rename_table
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, WorldMaker
from tests.support.ports import MORNING


async def funded(organisation: Organisation) -> Organisation:
    """A merchant with 1,000 and a customer to pay."""
    await organisation.earned(1_000)
    await organisation.world.subscriber(OTHER_PAYER, shillings=5)
    return organisation


def strike(organisation: Organisation, fault: Fault, **whom: Any) -> None:
    organisation.world.sandbox.faults.add(FaultRule(fault=fault, **whom))


async def test_a_credential_made_with_our_certificate_is_checked(organisation: Organisation) -> None:
    """The right password passes; three wrong ones lock it, also for the right one, until it is unlocked."""
    http = organisation.world.client
    certificate = (await http.get("/sandbox/certificate")).content
    right, wrong = sealed(certificate, PASSWORD), sealed(certificate, "wrong")

    codes = []
    for credential in (right, wrong, wrong, right, wrong, wrong, wrong, right):
        await organisation.balance(SecurityCredential=credential)
        codes.append((await organisation.result())["ResultCode"])
    assert ["0", "2001", "2001", "0", "2001", "2001", "2001", "8006"] == codes

    assert 204 == (await http.delete("/sandbox/initiator-locks")).status_code
    await organisation.balance(SecurityCredential=right)
    assert "0" == (await organisation.result())["ResultCode"]


async def test_what_was_encrypted_for_another_passes_unless_it_is_checked(
    make_world: WorldMaker, results: Results
) -> None:
    """Clients of the real sandbox carry another certificate; a switch refuses them."""
    for checked, expected in ((False, "0"), (True, "2001")):
        async with make_world(DarajaSwitches(check_security_credentials=checked)) as world:
            organisation = Organisation(world, results)
            await organisation.balance(SecurityCredential=UNREADABLE)
            assert expected == (await organisation.result())["ResultCode"]


@pytest.mark.parametrize(
    ("call", "short_code", "name", "code"),
    [
        (DarajaCall.B2C, "600100", "payer", None),
        (DarajaCall.B2C, "600200", "payer", "20"),
        (DarajaCall.REVERSAL, "600100", "payer", "21"),
        (DarajaCall.REVERSAL, "600200", "everybody", None),
    ],
)
async def test_an_initiator_is_of_a_merchant_and_may_do_what_it_was_given(
    call: DarajaCall, short_code: str, name: str, code: str | None
) -> None:
    """Unknown to another merchant, and not allowed what is not its own."""
    people = (Initiator("payer", "one", "600100", frozenset({DarajaCall.B2C})), Initiator("everybody", "two"))
    credentials = DarajaCredentials(consumer_key="k", consumer_secret="s", passkeys={}, initiators=people)
    initiators = Initiators(credentials=credentials, switches=SwitchBoard(DarajaSwitches()), key=None, aside=at_once)

    found = await initiators.refusal(call, short_code, name, UNREADABLE)

    assert code == (None if found is None else found.code)


def test_a_key_opens_what_was_sealed_for_it_alone() -> None:
    """Kept and read again it is the same; another's credentials it knows for what they are."""
    key, other = SecurityKey.draw(), SecurityKey.draw()
    certificate = key.certificate(MORNING)
    credential = base64.b64decode(sealed(certificate, "pass ä"))
    kept = SecurityKey.parse(key.pem)
    assert [True, False] == [kept.holds(credential, text.encode()) for text in ("pass ä", "pass a")]
    assert not other.holds(credential, "pass ä".encode())
    assert ("pass ä".encode(), None) == (SecurityKey.parse(key.pem).opened(credential), other.opened(credential))


def test_the_key_is_drawn_once_and_kept_beside_the_database(tmp_path: Path) -> None:
    """For its owner only; a second process reads the same."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'operator.sqlite3'}"
    first, second = kept_key(url), kept_key(url)

    (file,) = tmp_path.iterdir()
    assert (first.pem, 0o600) == (second.pem, file.stat().st_mode & 0o777)


async def test_an_accepted_request_is_carried_out_after_a_restart(make_world: WorldMaker, results: Results) -> None:
    """Accepted and answered, then the sandbox stops before anything moved: it is paid once, and told."""
    async with make_world() as world:
        organisation = await funded(Organisation(world, results))
        strike(organisation, ForcedResult(code="1", text="never", after_ms=60_000))
        assert 200 == (await organisation.pay(OTHER_PAYER, 100, OriginatorConversationID="kept")).status_code
        assert (1_000_00, 0, 0) == await organisation.accounts()
    async with make_world(keep=True) as world:
        organisation = Organisation(world, results)
        result = await organisation.result()
        assert ("kept", 0) == (result["OriginatorConversationID"], result["ResultCode"])
        repeated = await organisation.pay(OTHER_PAYER, 100, OriginatorConversationID="kept")
        assert "500.002.1001" == repeated.json(parse_float=Decimal)["errorCode"]
        await world.balances_are({PAYER: 1_000, OTHER_PAYER: 105}, merchant=900)
        assert [] == await world.operator.requests.open_requests()


async def test_a_request_outlasts_a_database_that_is_away(
    make_world: WorldMaker, results: Results, tmp_path: Path
) -> None:
    """While a table is missing it cannot be carried out; when it is back, it is, and told."""
    async with make_world() as world:
        organisation = await funded(Organisation(world, results))
        strike(organisation, QueuedTooLong(milliseconds=100))
        await organisation.pay(OTHER_PAYER, 100)
        await results.next()
        await asyncio.to_thread(rename_table, tmp_path, "operator_receipts", "away")
        await world.clock.sleep(400)
        assert [] == [path for path, _ in results.posted if path == "/result"]
        await asyncio.to_thread(rename_table, tmp_path, "away", "operator_receipts")

        assert 0 == (await organisation.result())["ResultCode"]
        assert (900_00, 0, 0) == await organisation.accounts()


@pytest.mark.parametrize("after", AfterTimeout)
async def test_a_request_that_waited_too_long_is_sent_back(
    make_world: WorldMaker, results: Results, after: AfterTimeout, caplog: pytest.LogCaptureFixture
) -> None:
    """As it came, credential and all, which no log of ours shows; then it is carried out, or never."""
    caplog.set_level(logging.DEBUG)
    async with make_world(DarajaSwitches(after_timeout=after)) as world:
        organisation = await funded(Organisation(world, results))
        strike(organisation, QueuedTooLong(milliseconds=20), msisdn=OTHER_PAYER)

        await organisation.pay(OTHER_PAYER, 100, OriginatorConversationID="late")
        echo = await results.next()
        await world.settled()

        assert ("/timeout", "late", UNREADABLE, 100) == (
            results.posted[0][0],
            echo["OriginatorConversationID"],
            echo["SecurityCredential"],
            echo["Amount"],
        )
        request = await world.operator.requests.request("late")
        assert request is not None
        if after is AfterTimeout.CARRIED_OUT:
            assert 0 == (await organisation.result())["ResultCode"]
            assert (RequestState.DONE, (900_00, 0, 0)) == (request.state, await organisation.accounts())
        else:
            assert (RequestState.EXPIRED, (1_000_00, 0, 0)) == (request.state, await organisation.accounts())
            await organisation.status(OriginalConversationID="late", TransactionID=None)
            assert "Expired" == parameters(await organisation.result())["TransactionStatus"]
        assert UNREADABLE not in caplog.text


async def test_the_result_may_come_before_the_answer(organisation: Organisation) -> None:
    """The answer waits until the result was taken."""
    await funded(organisation)
    strike(organisation, CallbackFirst(at_most_ms=5_000), msisdn=OTHER_PAYER)

    assert 200 == (await organisation.pay(OTHER_PAYER, 100)).status_code

    assert ["/result"] == [path for path, _ in organisation.results.posted]


async def test_a_result_is_lost_late_or_repeated(organisation: Organisation) -> None:
    """By phone or by amount; the money has moved all the same."""
    await funded(organisation)
    strike(organisation, LostCallback(), msisdn=OTHER_PAYER)
    strike(organisation, LateCallback(milliseconds=2_000), amount_cents=20_00)
    strike(organisation, RepeatedCallback(times=3), amount_cents=30_00)

    await organisation.pay(OTHER_PAYER, 10)
    await organisation.world.settled()  # or the next one, carried out beside it, could be the one that is lost
    for shillings in (20, 30):
        await organisation.pay(OTHER_PAYER, shillings)
    await organisation.world.settled()

    told = [parameters(body["Result"])["TransactionAmount"] for _, body in organisation.results.posted]
    assert [20, 30, 30, 30] == sorted(told)
    assert 20 == told[-1]
    assert (940_00, 0, 0) == await organisation.accounts()


async def test_a_result_can_be_forced(organisation: Organisation) -> None:
    """By amount, with a code that is no number; nothing moves."""
    await funded(organisation)
    strike(organisation, ForcedResult(code="TP40153", text="The operator lacks permission"), amount_cents=77_00)

    await organisation.pay(OTHER_PAYER, 77)
    result = await organisation.result()

    assert ("TP40153", "The operator lacks permission") == (result["ResultCode"], result["ResultDesc"])
    assert (1_000_00, 0, 0) == await organisation.accounts()


@pytest.mark.parametrize(
    ("reply", "status", "done"),
    [
        (Spoilt.EMPTY_500, 500, False),
        (Spoilt.EMPTY_500, 500, True),
        (Spoilt.HTML_200, 200, False),
        (Spoilt.HTML_200, 200, True),
        (Spoilt.INVALID_TOKEN, 401, False),
    ],
)
async def test_an_answer_is_spoilt_before_or_after(
    organisation: Organisation, reply: Spoilt, status: int, *, done: bool
) -> None:
    """What the client reads is the same; whether it was paid only a question tells."""
    await funded(organisation)
    strike(organisation, SpoiltReply(call=DarajaCall.B2C, reply=reply, done=done))

    spoilt = await organisation.pay(OTHER_PAYER, 100, OriginatorConversationID="spoilt")
    await organisation.world.settled()

    assert status == spoilt.status_code
    assert (900_00 if done else 1_000_00, 0, 0) == await organisation.accounts()
    await organisation.world.log_in()
    again = await organisation.pay(OTHER_PAYER, 100, OriginatorConversationID="spoilt")
    assert (500 if done else 200) == again.status_code


async def test_an_answer_is_held_back(organisation: Organisation) -> None:
    """The result overtakes it."""
    await funded(organisation)
    strike(organisation, SlowReply(call=DarajaCall.B2C, milliseconds=300))

    answer = asyncio.create_task(organisation.pay(OTHER_PAYER, 100))
    await organisation.result()

    assert not answer.done()
    assert 200 == (await answer).status_code


async def test_one_parameter_can_be_an_object(make_world: WorldMaker, results: Results) -> None:
    """A failure with a switch tells one, and not in a list; a result with many is a list all the same."""
    async with make_world(DarajaSwitches(result_parameters_as_object=True)) as world:
        organisation = await funded(Organisation(world, results))
        await organisation.pay(OTHER_PAYER, 5_000)
        failed = (await organisation.result())["ResultParameters"]["ResultParameter"]
        await organisation.pay(OTHER_PAYER, 100)
        made = await organisation.result()

        assert ("BOCompletedTime", 100) == (failed["Key"], parameters(made)["TransactionAmount"])


async def test_credentials_and_phones_are_sealed_in_the_database(
    make_world: WorldMaker, results: Results, tmp_path: Path
) -> None:
    """Whoever reads the file learns neither whom was paid nor by what credential nor where results go."""
    async with make_world() as world:
        organisation = Organisation(world, results)
        await organisation.earned(1_000)
        await world.operator.register_subscriber(PhoneNumber("+" + OTHER_PAYER), "1234")  # without seed money
        await organisation.pay(OTHER_PAYER, 100)
        assert 0 == (await organisation.result())["ResultCode"]
    stored = await asyncio.to_thread(_everything, tmp_path)

    assert (True, False, False, False) == tuple(
        text.encode() in stored for text in (PAYBILL, OTHER_PAYER[3:], UNREADABLE, results.url)
    )


def _everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())
