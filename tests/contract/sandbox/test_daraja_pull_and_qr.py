"""Pulling the payments to a number, and QR codes, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import re
import struct
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from penpay.domain.mobile_money.customer import EAST_AFRICA
from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.operator_tables import operator_transactions
from tests.contract.sandbox.shop import TILL, simulate, till_of_the_paybill
from tests.contract.sandbox.world import OTHER_PAYER, PAYBILL, PAYER, World, WorldMaker, paid

REGISTRATION = {
    "ShortCode": PAYBILL,
    "RequestType": "Pull",
    "NominatedNumber": PAYER,
    "CallBackURL": "https://shop.example/pull",
}
_PNG = b"\x89PNG\r\n\x1a\n"


async def test_a_number_is_registered_once_and_told_so(make_world: WorldMaker) -> None:
    """1000 the first time; 1001 for a repeat, also after a restart."""
    async with make_world() as world:
        first = await world.post("/pulltransactions/v1/register", **REGISTRATION)
        answer = first.json(parse_float=Decimal)
        assert ["ResponseRefID", "ResponseStatus", "ShortCode", "ResponseDescription"] == list(answer)
        assert ("1000", PAYBILL) == (answer["ResponseStatus"], answer["ShortCode"])
        assert "Shortcode Registered Successfully" == answer["ResponseDescription"]
    async with make_world(keep=True) as world:
        again = await world.post("/pulltransactions/v1/register", **REGISTRATION)
        assert "1001" == again.json(parse_float=Decimal)["ResponseStatus"]


async def test_pulled_payments_have_the_real_shape(world: World) -> None:
    """Nested twice, oldest first, in East Africa Time with a Z; what was paid by a push is there as well."""
    await world.subscriber(PAYER, shillings=1_000)
    await world.subscriber(OTHER_PAYER, shillings=1_000)
    await world.post("/pulltransactions/v1/register", **REGISTRATION)
    await simulate(world, PAYER, 168, BillRefNumber="37207636392")
    await world.settled()
    await paid(world, OTHER_PAYER, 300)
    answer = (await _pull(world)).json(parse_float=Decimal)
    assert ["ResponseRefID", "ResponseCode", "ResponseMessage", "Response"] == list(answer)
    assert ("1000", "Success") == (answer["ResponseCode"], answer["ResponseMessage"])
    ((first, second),) = answer["Response"]
    at = datetime.strptime(first["trxDate"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=EAST_AFRICA)
    assert abs(world.clock.now() - at) < timedelta(minutes=1)
    assert re.fullmatch(r"[A-Z0-9]{10}", first["transactionId"])
    assert {
        "transactionId": first["transactionId"],
        "trxDate": first["trxDate"],
        "msisdn": 712345678,
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": "37207636392",
        "amount": "168.00",
        "organizationname": "PENPAY",
    } == first
    assert ("300.00", "ACC-1") == (second["amount"], second["billreference"])


async def test_pages_are_a_hundred_payments_by_offset(world: World) -> None:
    """A hundred and three payments: a full page, three more, then the answer of nothing; by GET as well."""
    await world.subscriber(PAYER, shillings=1_000)
    await world.post("/pulltransactions/v1/register", **REGISTRATION)
    for shillings in range(1, 104):
        await world.post("/sandbox/c2b", phone=PAYER, short_code=PAYBILL, account=f"A{shillings}", amount_cents=100)
    pages = [(await _pull(world, OffSetValue=offset)).json(parse_float=Decimal)["Response"][0] for offset in (0, "100")]
    assert [100, 3] == [len(page) for page in pages]
    assert [f"A{n}" for n in range(1, 104)] == [line["billreference"] for page in pages for line in page]
    last = (await _pull(world, "GET", OffSetValue="103")).json(parse_float=Decimal)
    assert ("1001", [[]]) == (last["ResponseCode"], last["Response"])


async def test_only_the_last_48_hours_and_the_asked_time_are_told(make_world: WorldMaker, tmp_path: Path) -> None:
    """What is older is gone however early one asks from; what happened after the end is not in it."""
    async with make_world() as world:
        (database,) = await asyncio.to_thread(lambda: list(tmp_path.glob("operator-*.sqlite3")))
        await world.subscriber(PAYER, shillings=1_000)
        await world.post("/pulltransactions/v1/register", **REGISTRATION)
        for account, hours in (("OLD", 49), ("YESTERDAY", 24), ("NOW", 0)):
            answer = await world.post(
                "/sandbox/c2b", phone=PAYER, short_code=PAYBILL, account=account, amount_cents=100
            )
            await _made_earlier(database, answer.json(parse_float=Decimal)["receipt"], world, hours)
        assert ["YESTERDAY", "NOW"] == await _references(world)
        hour_ago = world.clock.now() - timedelta(hours=1)
        assert ["YESTERDAY"] == await _references(world, EndDate=_text(hour_ago))
        assert ["NOW"] == await _references(world, StartDate=_text(hour_ago))


async def test_a_till_has_its_own_list(world: World) -> None:
    """Payments to another number of the same merchant are not in it."""
    await world.subscriber(PAYER, shillings=1_000)
    await till_of_the_paybill(world)
    await world.post("/pulltransactions/v1/register", **(REGISTRATION | {"ShortCode": TILL}))
    await simulate(world, PAYER, 5)
    await simulate(world, PAYER, 6, ShortCode=TILL, CommandID="CustomerBuyGoodsOnline", BillRefNumber=None)
    await world.settled()
    ((line,),) = (await _pull(world, ShortCode=TILL)).json(parse_float=Decimal)["Response"]
    assert ("6.00", "", "c2b-buy-goods-debit") == (line["amount"], line["billreference"], line["transactiontype"])


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"ShortCode": "600999"}, "400.001", "Invalid ShortCode"),
        ({"ShortCode": TILL}, "400.001", "Invalid ShortCode"),
        ({"StartDate": "04-08-2020"}, "400.002.02", "Bad Request - Invalid StartDate"),
        ({"EndDate": "2020-13-01 00:00:00"}, "400.002.02", "Bad Request - Invalid EndDate"),
        ({"OffSetValue": "-1"}, "400.002.02", "Bad Request - Invalid OffSetValue"),
    ],
)
async def test_a_wrong_pull_is_refused(world: World, changes: dict[str, Any], code: str, message: str) -> None:
    """A number nobody has, or that never registered, and what cannot be read."""
    await till_of_the_paybill(world)
    await world.post("/pulltransactions/v1/register", **REGISTRATION)
    response = await _pull(world, **changes)
    refusal = response.json(parse_float=Decimal)
    assert (400, code, message) == (response.status_code, refusal["errorCode"], refusal["errorMessage"])


async def test_pull_words_an_invalid_token_in_its_own_way(world: World) -> None:
    """401.001, as nowhere else."""
    world.token = "gone"
    response = await _pull(world)
    assert (401, "401.001") == (response.status_code, response.json(parse_float=Decimal)["errorCode"])


async def test_a_qr_code_is_a_picture_of_the_size_that_was_asked_for(world: World) -> None:
    """The answer's four fields, and a square PNG not wider than asked and not much smaller."""
    response = await world.post("/mpesa/qrcode/v1/generate", **_qr())
    answer = response.json(parse_float=Decimal)
    assert ["ResponseCode", "RequestID", "ResponseDescription", "QRCode"] == list(answer)
    assert ("00", "QR Code Successfully Generated.") == (answer["ResponseCode"], answer["ResponseDescription"])
    picture = base64.b64decode(answer["QRCode"], validate=True)
    width, height = struct.unpack(">II", picture[16:24])
    assert _PNG == picture[:8]
    assert width == height
    assert 250 <= width <= 300


@pytest.mark.parametrize(
    ("field", "value"), [("TrxCode", "XX"), ("Amount", 0), ("CPI", ""), ("RefNo", None), ("Size", "9")]
)
async def test_a_wrong_qr_code_is_refused(world: World, field: str, value: object) -> None:
    """The field is named."""
    response = await world.post("/mpesa/qrcode/v1/generate", **(_qr() | {field: value}))
    assert 400 == response.status_code
    assert f"Bad Request - Invalid {field}" == response.json(parse_float=Decimal)["errorMessage"]


def _qr() -> dict[str, object]:
    return {
        "MerchantName": "PENPAY",
        "RefNo": "Invoice 7",
        "Amount": 1,
        "TrxCode": "PB",
        "CPI": PAYBILL,
        "Size": "300",
    }


async def _pull(world: World, method: str = "POST", **changes: Any) -> httpx.Response:
    now = world.clock.now()
    body = {
        "ShortCode": PAYBILL,
        "StartDate": _text(now - timedelta(days=20)),
        "EndDate": _text(now + timedelta(hours=1)),
        "OffSetValue": "0",
    } | changes
    headers = {"Authorization": f"Bearer {world.token}"}
    return await world.client.request(method, "/pulltransactions/v1/query", json=body, headers=headers)


async def _references(world: World, **changes: Any) -> list[str]:
    (lines,) = (await _pull(world, **changes)).json(parse_float=Decimal)["Response"]
    return [line["billreference"] for line in lines]


def _text(at: datetime) -> str:
    """The hour without a leading zero, as the real samples write it."""
    local = at.astimezone(EAST_AFRICA)
    return f"{local:%Y-%m-%d} {local.hour}:{local:%M:%S}"


async def _made_earlier(database: Path, receipt: str, world: World, hours: int) -> None:
    engine = open_engine(f"sqlite+aiosqlite:///{database}")
    moment = world.clock.now() - timedelta(hours=hours)
    async with engine.begin() as connection:
        table = operator_transactions
        await connection.execute(update(table).where(table.c.receipt == receipt).values(happened_at=moment))
    await engine.dispose()
