"""What customers, agents and merchants do beyond the original interface, with their own accounts."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from penpay.domain.mobile_money.policy import OperatorPolicy
from tests.integration.operator.stage import (
    KENYA,
    OPEN_POLICY,
    Stage,
    Town,
    data,
    email,
    opened,
    refusal,
)
from tests.support.ports import SeededRandom

SEND = {"amount": 100, "accountNo": email("two"), "customerType": "subscriber"}


async def test_the_full_statement_is_read_page_by_page(stage: Stage) -> None:
    """With receipt, running balance, and whoever was on the other side; her phone is masked."""
    town = await _charged(stage)
    sent = await town.one.post("/transaction/transfer", **SEND)
    await town.one.post("/transaction/transfer", amount=20, accountNo=email("shop"), customerType="merchant")

    first = await town.one.get("/account/full-statement?limit=2")
    rest = await town.one.get(f"/account/full-statement?limit=2&before={first['next']}")

    assert [row["transactionType"] for row in first["transactions"] + rest["transactions"]] == [
        "TRANSFER",
        "TRANSFER",
        "DEPOSIT",
    ]
    assert rest["next"] is None
    row = first["transactions"][1]
    assert (row["receipt"], row["transactionId"]) == (sent["receipt"], sent["transactionId"])
    assert (row["counterpartyName"], row["counterpartyPhone"]) == ("Two Tester", "+2547******79")
    assert (row["debitedAmount"], row["amountCents"], row["feeCents"], row["balanceCents"]) == (
        110,
        100_00,
        10_50,
        889_50,
    )


async def test_the_statement_for_a_spreadsheet_has_a_line_for_each_fee(stage: Stage) -> None:
    """Each line's balance follows from the one below it; a name is never a formula."""
    town = await _charged(stage)
    path = f"/admin/customers/{town.two.user_id}"
    await town.boss.call("PATCH", path, {"firstName": "=1+1", "lastName": "Two"})
    sent = await town.one.post("/transaction/transfer", **SEND)

    answer = await town.one.call("GET", "/account/full-statement?format=csv")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [
        (row["receipt"], row["transactionType"], row["credited"], row["debited"], row["balance"]) for row in rows[:2]
    ] == [
        (sent["receipt"], "FEE", "", "10.50", "889.50"),
        (sent["receipt"], "TRANSFER", "", "100.00", "900.00"),
    ]
    assert (rows[2]["transactionType"], rows[2]["credited"], rows[2]["balance"]) == ("DEPOSIT", "1000.00", "1000.00")
    assert (rows[1]["counterpartyName"], rows[1]["counterpartyPhone"]) == ("'=1+1 Two", "2547******79")


async def test_both_sides_get_the_message_that_was_promised(stage: Stage) -> None:
    """Newest first, page by page, each to its own customer alone."""
    town = await stage.town()
    sent = await town.one.post("/transaction/transfer", **SEND)

    first = await town.one.get("/account/messages?limit=1")
    rest = await town.one.get(f"/account/messages?limit=5&before={first['next']}")
    (theirs,) = (await town.two.get("/account/messages"))["messages"]

    assert first["messages"][0]["text"].startswith(f"{sent['receipt']} Confirmed. Ksh100.00 sent to Two Tester")
    assert first["messages"][0]["sentAt"] == "2026-03-01T09:00:00.000+03:00"
    assert "Give Ksh1,000.00 cash to Agent Tester" in rest["messages"][0]["text"]
    assert theirs["text"].startswith(f"{sent['receipt']} Confirmed.You have received Ksh100.00 from One Tester")


async def test_a_quote_tells_name_and_price_and_moves_nothing(stage: Stage) -> None:
    """Of a person the first name alone is told, of a merchant's number its name; the rules are the movement's own."""
    town = await _charged(stage)
    till = await town.merchant.post("/merchant/numbers", kind="till", name="Corner shop")
    before = await town.one.balance()

    assert await town.one.post("/transaction/quote", operation="transfer", **SEND) == {
        "name": "Two T***",
        "amountCents": 100_00,
        "feeCents": 10_50,
        "totalCents": 110_50,
    }
    paid = {"amount": 50, "accountNo": till["shortCode"], "customerType": "merchant"}
    assert (await town.one.post("/transaction/quote", operation="transfer", **paid))["name"] == "Corner shop"
    cash = {"operation": "withdraw", "amount": 50, "agentNumber": "0711000002"}
    assert (await town.one.post("/transaction/quote", **cash))["totalCents"] == 50_00

    for fields, expected in (
        ({**SEND, "amount": 9}, (422, "below_minimum")),
        ({**SEND, "accountNo": email("nobody")}, (404, "customer_not_found")),
        ({**SEND, "accountNo": email("one")}, (422, "same_account")),
        ({**SEND, "amount": 5_000, "operation": "reversal"}, (400, "invalid_request")),
        ({**SEND, "pin": "1234"}, (400, "invalid_request")),
    ):
        assert await town.one.refused("/transaction/quote", **{"operation": "transfer", **fields}) == expected
    assert await town.one.balance() == before


async def test_where_pins_are_required_nothing_moves_without_the_right_one(sqlite_url: str) -> None:
    """Three wrong ones lock it; customer care takes the lock off, and a new PIN is set."""
    async with opened(sqlite_url, policy=_pins_alone()) as stage:
        town = await _with_pins(stage)

        assert await town.one.refused("/transaction/transfer", **SEND) == (401, "pin_required")
        assert await town.one.refused("/transaction/transfer", **SEND, pin="12a4") == (422, "invalid_pin")
        refused = [await town.one.refused("/transaction/transfer", **SEND, pin="9999") for _ in range(3)]
        assert refused == [(401, "wrong_pin")] * 2 + [(403, "pin_locked")]
        assert await town.one.refused("/transaction/transfer", **SEND, pin="1111") == (403, "pin_locked")

        path = f"/admin/customers/{town.one.user_id}"
        assert data(await town.boss.call("PATCH", path, {"unlockPin": True}))["pinLocked"] is False
        await town.one.call("PUT", "/account/pin", {"newPin": "2222"})
        await town.one.post("/transaction/transfer", **SEND, pin="2222")
        assert await town.one.refused("/account/pin", "PUT", newPin="3333") == (401, "wrong_pin")
        data(await town.one.call("PUT", "/account/pin", {"newPin": "3333", "oldPin": "2222"}))


async def test_a_pin_that_is_given_is_checked_although_none_is_required(stage: Stage) -> None:
    """A wrong one is refused, with open rules as well."""
    town = await stage.town()
    await town.one.call("PUT", "/account/pin", {"newPin": "1111"})

    assert await town.one.refused("/transaction/transfer", **SEND, pin="2222") == (401, "wrong_pin")
    await town.one.post("/transaction/transfer", **SEND, pin="1111")


async def test_cash_is_paid_against_a_code_once(stage: Stage) -> None:
    """At any agent, for the amount it was made for, within ten minutes."""
    town = await stage.town()
    made = await town.one.post("/transaction/cash-out-code", amount=100)
    assert made["expiresAt"] == "2026-03-01T09:10:00.000+03:00"
    ask = {"accountNo": email("one"), "amount": 100, "code": made["code"]}

    assert await town.agent.refused("/agent/redeem", **{**ask, "amount": 50}) == (401, "wrong_code")
    assert await town.agent.refused("/agent/redeem", **{**ask, "code": "00000000"}) == (401, "wrong_code")
    assert await town.agent.refused("/agent/redeem", **{**ask, "accountNo": "600100"}) == (404, "customer_not_found")
    assert await town.two.refused("/agent/redeem", **ask) == (403, "not_an_agent")
    paid = await town.agent.post("/agent/redeem", **ask)
    assert (paid["amountCents"], paid["balanceCents"]) == (100_00, await town.agent.balance())
    assert await town.agent.refused("/agent/redeem", **ask) == (401, "wrong_code")
    assert await town.one.balance() == 900_00

    late = await town.one.post("/transaction/cash-out-code", amount=100)
    stage.clock.moment += timedelta(minutes=10)
    assert await town.agent.refused("/agent/redeem", **{**ask, "code": late["code"]}) == (401, "wrong_code")
    assert await town.agent.refused("/transaction/cash-out-code", amount=100) == (403, "operation_not_offered")


async def test_an_agent_buys_float_from_a_super_agent_who_agrees(stage: Stage) -> None:
    """Nothing moves before, and nobody else can agree."""
    town = await stage.town()
    asked = await town.agent.post("/agent/float-purchase", superAgent=email("super"), amount=500)
    path = f"/account/approvals/{asked['approvalId']}"

    (seen,) = await town.super_agent.get("/account/approvals")
    assert (seen["kind"], seen["amountCents"], seen["state"]) == ("FLOAT_PURCHASE", 500_00, "PENDING")
    assert await town.agent.refused(path, decision="approve") == (403, "own_approval")
    assert await town.two.refused(path, decision="approve") == (403, "forbidden")
    assert await town.two.get("/account/approvals") == []
    before = await town.agent.balance()

    sold = await town.super_agent.post(path, decision="approve")

    assert (sold["approvalState"], sold["amountCents"]) == ("APPROVED", 500_00)
    assert await town.agent.balance() == before + 500_00
    assert await town.agent.refused("/agent/float-purchase", superAgent=email("agent"), amount=5) == (
        403,
        "not_a_super_agent",
    )
    assert await town.one.refused("/agent/float-purchase", superAgent=email("super"), amount=5) == (403, "not_an_agent")


async def test_a_payer_gets_back_what_the_receiver_agrees_to_give(stage: Stage) -> None:
    """Only the payer asks, only the receiver agrees; refused, it stays where it is."""
    town = await stage.town()
    paid = await town.one.post("/transaction/transfer", **SEND)
    transaction = {"transactionId": paid["transactionId"]}
    assert await town.agent.refused("/transaction/reversals", **transaction) == (404, "transaction_not_found")

    refused = await town.one.post("/transaction/reversals", **transaction)
    await town.two.post(f"/account/approvals/{refused['approvalId']}", decision="refuse")
    assert await town.two.balance() == 100_00
    asked = await town.one.post("/transaction/reversals", **transaction)
    path = f"/account/approvals/{asked['approvalId']}"
    assert await town.one.refused(path, decision="approve") == (403, "own_approval")
    await town.two.post(path, decision="approve")

    assert (await town.one.balance(), await town.two.balance()) == (1_000_00, 0)


async def test_a_merchant_opens_numbers_and_is_paid_by_them(stage: Stage) -> None:
    """Picked or named; the money lands on the one account, with the bill's reference beside it."""
    town = await stage.town()
    named = await town.merchant.post(
        "/merchant/numbers", kind="paybill", name="Power company", plan="business_pays", shortCode="600100"
    )
    picked = await asyncio.gather(
        *(town.merchant.post("/merchant/numbers", kind="till", name="Corner shop") for _ in range(5))
    )

    assert named == {"shortCode": "600100", "kind": "PAYBILL", "name": "Power company", "plan": "BUSINESS_PAYS"}
    assert len({one["shortCode"] for one in picked}) == 5
    assert len(await town.merchant.get("/merchant/numbers")) == 6
    other = await stage.registered("merchant", "other")
    taken = {"kind": "till", "name": "Other shop", "shortCode": "600100"}
    assert await other.refused("/merchant/numbers", **taken) == (409, "short_code_taken")
    assert await other.refused("/merchant/numbers", **{**taken, "shortCode": "1234"}) == (422, "invalid_short_code")
    assert await town.one.refused("/merchant/numbers", **taken) == (403, "forbidden")

    bill = {"amount": 30, "accountNo": 600100, "customerType": "merchant", "billRefNumber": "INV 7"}
    await town.one.post("/transaction/transfer", **bill)
    town.one.as_json = True
    await town.one.post("/transaction/transfer", **bill)
    await town.one.post("/transaction/transfer", amount=10, accountNo=picked[0]["shortCode"], customerType="merchant")
    assert await town.merchant.balance() == 70_00
    rows = (await town.merchant.get("/account/full-statement"))["transactions"]
    assert [row["billRefNumber"] for row in rows] == [None, "INV 7", "INV 7"]


async def test_a_number_that_is_taken_is_never_picked(stage: Stage) -> None:
    """The same chance each time: a merchant's next number is another one, and so is another merchant's."""
    merchants = [await stage.registered("merchant", name) for name in ("shop", "other")]
    seen = set()
    for merchant in (merchants[0], merchants[0], merchants[1]):
        stage.process.operator._random = SeededRandom(7)
        seen.add((await merchant.post("/merchant/numbers", kind="till", name="Corner shop"))["shortCode"])

    assert len(seen) == 3


async def test_callers_of_two_operators_in_one_program_do_not_meet(stage: Stage, tmp_path: Path) -> None:
    """The routes are the same; what they serve is in the request."""
    one = await stage.registered("subscriber", "one")
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'other.sqlite3'}") as other:
        other.app = stage.app
        login = {"email": email("one"), "password": "hakuna matata"}
        answer = await other.caller().call("POST", "/login/subscriber", login)
        assert refusal(answer) == (401, "wrong_credentials")
        assert await other.caller(one.token).refused("/account/balance", "GET") == (401, "unauthorized")
    assert await one.balance() == 0


def _pins_alone() -> OperatorPolicy:
    """Kenya's PINs without its limits."""
    return replace(OPEN_POLICY, pin_required=KENYA.pin_required, pin_attempts=KENYA.pin_attempts)


async def _charged(stage: Stage) -> Town:
    """A town in which sending to a subscriber costs 10.50."""
    town = await stage.town()
    (charge,) = (
        row["id"]
        for row in await town.boss.get("/admin/get-tariff")
        if (row["txnOperation"], row["srcUserType"], row["destUserType"]) == ("TRANSFER", "subscriber", "subscriber")
    )
    await town.boss.post("/admin/update-charge", chargeId=charge, amount=10_50)
    return town


async def _with_pins(stage: Stage) -> Town:
    """A town in which everybody's PIN is 1111."""
    boss = await stage.registered("administrator", "boss")
    super_agent, agent = await stage.registered("agent", "super"), await stage.registered("agent", "agent")
    one, two = await stage.registered("subscriber", "one"), await stage.registered("subscriber", "two")
    merchant = await stage.registered("merchant", "shop")
    for caller in (super_agent, agent, one, two, merchant):
        await caller.call("PUT", "/account/pin", {"newPin": "1111"})
    await boss.call("PUT", "/admin/super-agent-status", {"email": email("super")})
    await boss.post("/admin/assign-float", accountNo=email("super"), amount=10_000)
    for caller, amount, name, kind in ((super_agent, 5_000, "agent", "agent"), (agent, 1_000, "one", "subscriber")):
        fields = {"amount": amount, "accountNo": email(name), "customerType": kind, "pin": "1111"}
        await caller.post("/transaction/deposit", **fields)
    return Town(boss, super_agent, agent, one, two, merchant)
