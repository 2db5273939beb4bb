"""The sandbox after a restart, its float, and its own routes for handsets and faults."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penpay.domain.shared.errors import DuplicateJournal
from penpay.sandbox.daraja.switches import DarajaSwitches
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, World, WorldMaker, kes, paid


async def test_a_restart_forgets_no_push(make_world: WorldMaker) -> None:
    """On the same database: a paid push is still told about, and an open one is shown again and can be paid."""
    async with make_world() as world:
        await world.subscriber(PAYER, shillings=2_000)
        await world.subscriber(OTHER_PAYER, shillings=2_000)
        old = await paid(world)
        await world.callback()
        await world.push(OTHER_PAYER, 300)
    async with make_world(keep=True) as world:
        query = (await world.query(old["CheckoutRequestID"])).json(parse_float=Decimal)
        assert "0" == query["ResultCode"]
        phone = world.phone(OTHER_PAYER)
        prompt = await phone.next_prompt()
        assert ("PENPAY", kes(300)) == (prompt.merchant, prompt.amount)
        await phone.give_pin("1234")
        assert 0 == (await world.callback())["ResultCode"]
        await world.balances_are({PAYER: 1_500, OTHER_PAYER: 1_700}, merchant=800)


async def test_what_ran_out_while_the_sandbox_was_down_ends_after_it_is_back(make_world: WorldMaker) -> None:
    """Silence is counted by the database, not by a task in memory."""
    switches = DarajaSwitches(prompt_timeout_ms=100, sweep_every_ms=20)
    async with make_world(DarajaSwitches(prompt_timeout_ms=100, sweep_every_ms=60_000)) as world:
        await world.subscriber(PAYER, shillings=2_000)
        await world.push(PAYER, 500)
        await world.clock.sleep(150)
        assert [] == world.receiver.requests
    async with make_world(switches, keep=True) as world:
        assert 1037 == (await world.callback())["ResultCode"]


async def test_sweeps_go_on_after_the_database_was_out_of_reach(make_world: WorldMaker, tmp_path: Path) -> None:
    """While its table is away every sweep fails; when it is back, the silent prompt is ended all the same."""
    async with make_world(DarajaSwitches(prompt_timeout_ms=100, sweep_every_ms=20)) as world:
        await world.subscriber(PAYER, shillings=2_000)
        await asyncio.to_thread(rename_table, tmp_path, "stk_pushes", "away")
        await world.clock.sleep(200)
        await asyncio.to_thread(rename_table, tmp_path, "away", "stk_pushes")
        await world.push(PAYER, 500)
        assert 1037 == (await world.callback())["ResultCode"]


def rename_table(folder: Path, old: str, new: str) -> None:
    (database,) = folder.glob("operator-*.sqlite3")
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        connection.execute(f"ALTER TABLE {old} RENAME TO {new}")


async def test_float_is_issued_once_per_reference(world: World) -> None:
    """The same reference again changes nothing; the trust account carries what was issued."""
    await world.subscriber(PAYER, shillings=100)
    for _ in range(2):
        await world.issue(PAYER, 50, reference="seed-2")
    await world.balances_are({PAYER: 150}, merchant=0)


async def test_a_float_reference_stands_for_one_amount(world: World) -> None:
    """The same reference with another amount is refused and issues nothing."""
    await world.subscriber(PAYER, shillings=100)
    with pytest.raises(DuplicateJournal):
        await world.issue(PAYER, 101, reference=f"seed-{PAYER}")
    await world.balances_are({PAYER: 100}, merchant=0)


async def test_another_process_can_act_as_the_handset(world: World) -> None:
    """Register, fund, look, pay, read the message and the balances, all over HTTP."""
    http = world.client
    assert 201 == (await http.post("/sandbox/subscribers", json={"phone": "0712345678", "pin": "4321"})).status_code
    again = await http.post("/sandbox/subscribers", json={"phone": "0712345678", "pin": "4321"})
    assert (409, "customer_exists") == (again.status_code, again.json(parse_float=Decimal)["code"])
    funded = await http.post(
        f"/sandbox/subscribers/{PAYER}/float", json={"amount_cents": 2_000_00, "reference": "seed"}
    )
    assert 200 == funded.status_code
    await world.push(PAYER, 500, reference="ACC-9")
    seen = (await http.get(f"/sandbox/phones/{PAYER}")).json(parse_float=Decimal)
    assert ("PENPAY", 500_00, "ACC-9") == tuple(
        seen["prompt"][key] for key in ("merchant", "amount_cents", "account_reference")
    )
    answered = await http.post(f"/sandbox/phones/{PAYER}/pin", json={"pin": "4321"})
    assert "0" == answered.json(parse_float=Decimal)["code"]
    after = (await http.get(f"/sandbox/phones/{PAYER}")).json(parse_float=Decimal)
    assert after["prompt"] is None
    assert 1 == len(after["messages"])
    late = await http.post(f"/sandbox/phones/{PAYER}/cancel")
    assert (409, "no_prompt") == (late.status_code, late.json(parse_float=Decimal)["code"])
    assert {
        "trust_unevidenced_cents": 2_000_00,
        "subscribers": [{"phone": PAYER, "cents": 1_500_00}],
        "merchants": [{"short_code": PAYBILL, "cents": 500_00}],
    } == (await http.get("/sandbox/balances")).json(parse_float=Decimal)


async def test_a_handset_can_answer_by_itself(world: World) -> None:
    """A standing answer pays every prompt, until it is taken back."""
    await world.subscriber(PAYER, shillings=2_000)
    path = f"/sandbox/phones/{PAYER}/standing-answer"
    standing = {"answer": {"habit": "ENTER_PIN", "pin": "1234", "after_ms": 5}}
    assert 204 == (await world.client.put(path, json=standing)).status_code
    await world.push(PAYER, 500)
    assert 0 == (await world.callback())["ResultCode"]
    assert 204 == (await world.client.put(path, json={"answer": {"habit": "CANCEL"}})).status_code
    await world.push(PAYER, 500)
    assert 1032 == (await world.callback())["ResultCode"]
    assert 204 == (await world.client.put(path, json={"answer": None})).status_code
    await world.push(PAYER, 500)
    await world.settled()
    assert world.phone(PAYER).prompt is not None


async def test_faults_are_set_over_http(world: World) -> None:
    """Added, listed, struck and cleared; a rule that names no known fault is refused."""
    await world.subscriber(PAYER, shillings=2_000)
    rule = {
        "fault": {"kind": "forced_result", "code": "1025", "text": "An error occurred while sending a push request."}
    }
    assert 204 == (await world.client.post("/sandbox/faults", json=rule | {"msisdn": PAYER})).status_code
    listed = (await world.client.get("/sandbox/faults")).json(parse_float=Decimal)
    assert [("1025", PAYER, 1)] == [(one["fault"]["code"], one["msisdn"], one["times"]) for one in listed]
    await world.push(PAYER, 500)
    assert 1025 == (await world.callback())["ResultCode"]
    assert [] == (await world.client.get("/sandbox/faults")).json(parse_float=Decimal)
    assert 422 == (await world.client.post("/sandbox/faults", json={"fault": {"kind": "fire"}})).status_code
    denial = {"kind": "spoilt_reply", "call": "PUSH", "reply": "INVALID_TOKEN", "done": True}
    refused = await world.client.post("/sandbox/faults", json={"fault": denial})
    assert (422, "contradictory_fault") == (refused.status_code, refused.json(parse_float=Decimal)["code"])
    await world.client.post("/sandbox/faults", json={"fault": {"kind": "lost_callback"}, "times": None})
    assert 204 == (await world.client.delete("/sandbox/faults")).status_code
    assert () == world.sandbox.faults.rules()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sandbox/subscribers", {"phone": "0712", "pin": "1234"}, 422),
        ("/sandbox/subscribers", {"phone": "0712345679", "pin": "12"}, 422),
        ("/sandbox/subscribers/254712345679/float", {"amount_cents": 100, "reference": "x"}, 404),
        ("/sandbox/subscribers/254712345679/float", {"amount_cents": 0, "reference": "x"}, 422),
        ("/sandbox/subscribers/254712345679/float", {"amount_cents": 10.5, "reference": "x"}, 422),
        ("/sandbox/phones/254712345679/pin", {"pin": "1234"}, 404),
    ],
)
async def test_the_sandbox_routes_refuse_what_makes_no_sense(
    world: World, path: str, body: dict[str, Any], status: int
) -> None:
    """Malformed phones, PINs and amounts, and phones nobody has."""
    response = await world.client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert status == response.status_code
