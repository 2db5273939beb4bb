"""What administrators do beyond the original interface: customers, charges, the trust account, approvals, reversals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from penpay.domain.shared.money import Currency, Money
from tests.integration.operator.stage import OPEN_POLICY, Stage, data, email, opened, person, read, refusal

TARIFF = Path("src/penpay/data/mpesa-2023-07.json").read_text(encoding="utf-8")


async def test_customers_are_listed_page_by_page(stage: Stage) -> None:
    """By type, oldest first, with what each holds."""
    town = await stage.town()

    first = await town.boss.get("/admin/customers?limit=4")
    rest = await town.boss.get(f"/admin/customers?limit=4&after={first['next']}")
    agents = await town.boss.get("/admin/customers?type=agent")

    assert [row["email"] for row in first["customers"] + rest["customers"]] == [
        email(name) for name in ("super", "agent", "one", "two", "shop")
    ]
    assert rest["next"] is None
    assert [(row["userType"], row["balanceCents"]) for row in agents["customers"]] == [
        ("super_agent", 5_000_00),
        ("agent", 4_000_00),
    ]


async def test_a_customer_gets_other_contacts_and_is_found_by_them_alone(stage: Stage) -> None:
    """First and last name are given together; an address that is taken is refused."""
    town = await stage.town()
    path = f"/admin/customers/{town.one.user_id}"

    edited = data(
        await town.boss.call(
            "PATCH", path, {"email": email("new"), "firstName": "New", "lastName": "Name", "tier": "full"}
        )
    )

    assert (edited["email"], edited["name"], edited["tier"]) == (email("new"), "New Name", "FULL")
    assert edited == await town.boss.get(path)
    transfer = {"amount": 10, "customerType": "subscriber"}
    assert await town.two.refused("/transaction/transfer", accountNo=email("one"), **transfer) == (
        404,
        "customer_not_found",
    )
    await town.agent.post("/transaction/deposit", accountNo=email("new"), **transfer)
    assert await town.boss.refused(path, "PATCH", email=email("two")) == (409, "customer_exists")
    assert await town.boss.refused(path, "PATCH", firstName="Alone") == (400, "invalid_request")
    assert await town.boss.refused("/admin/customers/nobody", "PATCH", tier="full") == (404, "customer_not_found")


async def test_a_customer_is_suspended_woken_and_closed_when_empty(stage: Stage) -> None:
    """Money in the account keeps it from being closed."""
    town = await stage.town()
    path = f"/admin/customers/{town.one.user_id}/status"

    changed = data(await town.boss.call("PUT", path, {"status": "suspended", "reason": "lost phone"}))
    assert changed == {"userID": town.one.user_id, "status": "SUSPENDED"}
    assert (await town.boss.get(f"/admin/customers/{town.one.user_id}"))["statusReason"] == "lost phone"
    assert await town.two.refused(path, "PUT", status="active", reason="mine") == (403, "forbidden")
    await town.boss.call("PUT", path, {"status": "active", "reason": "found"})

    assert await town.boss.refused(path, "PUT", status="closed", reason="by request") == (409, "balance_left")
    await town.one.post("/transaction/withdraw", amount=1_000, agentNumber=email("agent"))
    assert data(await town.boss.call("PUT", path, {"status": "closed", "reason": "by request"}))["status"] == "CLOSED"
    assert await town.boss.refused(path, "PUT", status="active", reason="again") == (409, "illegal_status")


async def test_a_customer_without_history_is_deleted_and_one_with_history_closed(stage: Stage) -> None:
    """The answer says which; the address of the deleted one is free again."""
    town = await stage.town()
    await town.one.post("/transaction/withdraw", amount=1_000, agentNumber=email("agent"))

    closed = data(await town.boss.call("DELETE", f"/admin/customers/{town.one.user_id}"))
    deleted = data(await town.boss.call("DELETE", f"/admin/customers/{town.two.user_id}"))

    assert closed == {"userID": town.one.user_id, "outcome": "closed"}
    assert deleted == {"userID": town.two.user_id, "outcome": "deleted"}
    assert await town.boss.refused(f"/admin/customers/{town.two.user_id}", "GET") == (404, "customer_not_found")
    await stage.registered("subscriber", "two", "0712345679")


async def test_administrators_are_made_and_changed_by_those_who_may(stage: Stage) -> None:
    """IT gives access to IT; it gives no right over money, which it does not have itself."""
    boss = await stage.registered("administrator", "boss")
    it = await stage.administrator(boss, "tech", "it")

    made = await it.post("/admin/administrators", **person("tech2"), role="it")

    assert (made["role"], made["isActive"], made["email"]) == ("IT", True, email("tech2"))
    assert await it.refused("/admin/administrators", **person("money"), role="finance") == (403, "forbidden")
    path = f"/admin/administrators/{made['userID']}"
    assert await it.refused(path, "PATCH", role="super") == (403, "forbidden")
    changed = data(await boss.call("PATCH", path, {"role": "finance"}))
    assert changed == {"userID": made["userID"], "role": "FINANCE", "isActive": True}


async def test_a_charge_is_taken_once_set_and_free_again_at_zero(stage: Stage) -> None:
    """The fee is earned, excise is owed on it, and the operator can take no more than that out."""
    town = await stage.town()
    (charge,) = (
        row["id"]
        for row in await town.boss.get("/admin/get-tariff")
        if (row["txnOperation"], row["srcUserType"], row["destUserType"]) == ("TRANSFER", "subscriber", "subscriber")
    )
    await town.boss.post("/admin/update-charge", chargeId=charge, amount=11_50)
    send = {"amount": 100, "accountNo": email("two"), "customerType": "subscriber"}

    assert (await town.one.post("/transaction/transfer", **send))["feeCents"] == 11_50
    books = await town.boss.get("/admin/reconciliation")
    assert books["ownFundsCents"] + books["excisePayableCents"] == 11_50
    assert books["differenceCents"] == 0
    assert await town.boss.refused("/admin/sweep", amount=11, kind="fees") == (409, "sweep_too_large")

    await town.boss.post("/admin/update-charge", chargeId=charge, amount=0)
    assert (await town.one.post("/transaction/transfer", **send))["feeCents"] == 0


async def test_float_waits_for_the_bank_deposit_that_stands_behind_it(stage: Stage) -> None:
    """Both sides of the trust account agree all along, and a reference counts once."""
    town = await stage.town()
    waiting = await town.boss.get("/admin/reconciliation")
    assert (waiting["unevidencedCents"], waiting["bankCents"]) == (10_000_00, 0)
    assert [one["amountCents"] for one in waiting["waiting"]] == [10_000_00]

    entered = await town.boss.post("/admin/bank-deposits", bankReference="FT-1", amount=10_000)
    assert entered == {"bankReference": "FT-1", "amountCents": 10_000_00, "state": "FLOAT"}
    assert await town.boss.post("/admin/bank-deposits", bankReference="FT-1", amount=10_000) == entered
    assert await town.boss.refused("/admin/bank-deposits", bankReference="FT-1", amount=1) == (
        409,
        "bank_deposit_exists",
    )
    stray = await town.boss.post("/admin/bank-deposits", bankReference="FT-2", amount=77)
    own = await town.boss.post("/admin/bank-deposits", bankReference="FT-3", amount=500, ownFunds=True)
    assert (stray["state"], own["state"]) == ("SUSPENSE", "OWN_FUNDS")
    given = await town.boss.post("/admin/assign-float", accountNo=email("super"), amount=1, bankReference="FT-4")
    assert given["evidenced"] is True
    assert await town.boss.refused("/admin/assign-float", accountNo=email("super"), amount=1, bankReference="FT-4") == (
        409,
        "bank_deposit_exists",
    )

    swept = await town.boss.post("/admin/sweep", amount=500, kind="fees")
    assert swept["amountCents"] == 500_00
    books = await town.boss.get("/admin/reconciliation")
    assert (books["waiting"], books["unevidencedCents"], books["differenceCents"]) == ([], 0, 0)
    assert [one["bankReference"] for one in books["unexplained"]] == ["FT-2"]
    assert books["bankCents"] == 10_000_00 + 77_00 + 500_00 + 1_00 - 500_00


async def test_a_banded_tariff_is_loaded_as_a_file_and_priced_from_its_first_day(stage: Stage) -> None:
    """The same file once more changes nothing; a form is no file."""
    town = await stage.town()
    quote = {"operation": "transfer", "amount": 200, "accountNo": email("two"), "customerType": "subscriber"}
    assert (await town.one.post("/transaction/quote", **quote))["feeCents"] == 0

    headers = {"Authorization": f"Bearer {town.boss.token}", "Content-Type": "application/json"}
    for _ in range(2):
        loaded = data(await town.boss.client.post("/api/admin/tariffs", content=TARIFF, headers=headers))
        assert loaded["validFrom"] == json.loads(TARIFF)["validFrom"]

    (kept,) = await town.boss.get("/admin/tariffs")
    assert kept["fees"] == json.loads(TARIFF)["fees"]
    assert await town.boss.refused("/admin/tariffs", name="x") == (415, "unsupported_media_type")
    told = await town.one.post("/transaction/quote", **quote)
    assert told["feeCents"] == 7_00
    assert (await town.one.post("/transaction/transfer", **{k: v for k, v in quote.items() if k != "operation"}))[
        "feeCents"
    ] == told["feeCents"]


async def test_an_agent_is_paid_the_commission_she_has_earned(stage: Stage) -> None:
    """Once, and only while the operator has the money for it."""
    town = await stage.town()
    headers = {"Authorization": f"Bearer {town.boss.token}", "Content-Type": "application/json"}
    await town.boss.client.post("/api/admin/tariffs", content=TARIFF, headers=headers)
    await town.boss.post("/admin/bank-deposits", bankReference="FT-1", amount=500, ownFunds=True)
    await town.one.post("/transaction/withdraw", amount=500, agentNumber=email("agent"))
    owed = (await town.boss.get("/admin/reconciliation"))["commissionPayableCents"]
    assert owed > 0
    before = await town.agent.balance()

    paid = await town.boss.post("/admin/commission", userID=town.agent.user_id)

    assert paid["amountCents"] == owed
    assert await town.agent.balance() == before + owed
    assert await town.boss.refused("/admin/commission", userID=town.agent.user_id) == (422, "invalid_amount")
    assert (await town.boss.get("/admin/reconciliation"))["differenceCents"] == 0


async def test_above_the_limit_a_second_administrator_decides(sqlite_url: str) -> None:
    """Float is asked for, not assigned, until somebody else than the asker approves; then it is done once."""
    policy = replace(OPEN_POLICY, approval_above=Money(10_000_00, Currency.KES))
    async with opened(sqlite_url, policy=policy) as stage:
        town = await stage.town()
        second = await stage.administrator(town.boss, "second", "finance")
        care = await stage.administrator(town.boss, "care", "customer_care")

        asked = await town.boss.call("POST", "/admin/assign-float", {"accountNo": email("super"), "amount": 20_000})
        assert read(asked)["message"] == "Approval has been requested."
        path = f"/admin/approvals/{read(asked)['data']['approvalId']}"
        assert await town.super_agent.balance() == 5_000_00

        (waiting,) = await second.get("/admin/approvals")
        assert (waiting["kind"], waiting["amountCents"]) == ("FLOAT_ASSIGNMENT", 20_000_00)
        assert waiting["facts"] == {"holder": town.super_agent.user_id, "bankReference": None}
        assert await care.get("/admin/approvals") == []
        assert await care.refused(path, decision="approve") == (403, "forbidden")
        assert await town.boss.refused(path, decision="approve") == (403, "own_approval")
        assert await town.one.refused(path, decision="approve") == (403, "forbidden")
        assert await second.refused(path, decision="perhaps") == (400, "invalid_request")

        done = await second.post(path, decision="approve")
        assert (done["approvalState"], done["balanceCents"]) == ("APPROVED", 25_000_00)
        assert await second.refused(path, decision="approve") == (409, "approval_decided")
        assert await second.refused("/admin/approvals/none", decision="refuse") == (404, "approval_not_found")
        assert await town.super_agent.balance() == 25_000_00


async def test_an_administrator_gives_back_what_the_receiver_still_holds(stage: Stage) -> None:
    """What was spent stays spent; the rest can be given back later."""
    town = await stage.town()
    paid = await town.one.post("/transaction/transfer", amount=100, accountNo=email("two"), customerType="subscriber")
    await town.two.post("/transaction/withdraw", amount=70, agentNumber=email("agent"))

    back = await town.boss.post("/admin/reversals", transactionId=paid["transactionId"])

    assert (back["amountCents"], back["notReversedCents"]) == (30_00, 70_00)
    assert (await town.one.balance(), await town.two.balance()) == (930_00, 0)
    assert await town.boss.refused("/admin/reversals", transactionId=paid["transactionId"]) == (
        409,
        "nothing_to_reverse",
    )
    assert await town.boss.refused("/admin/reversals", transactionId="none") == (404, "transaction_not_found")


async def test_a_super_agent_with_float_stays_one(stage: Stage) -> None:
    """Without `superAgent` the status is turned round, as it always was; naming it twice changes nothing."""
    town = await stage.town()
    path = "/admin/super-agent-status"
    assert refusal(await town.boss.call("PUT", path, {"email": email("super")})) == (409, "balance_left")

    await stage.registered("agent", "third")
    flags = [
        data(await town.boss.call("PUT", path, {"email": email("third"), **more}))["isSuperAgent"]
        for more in ({}, {}, {"superAgent": True}, {"superAgent": True})
    ]

    assert flags == [True, False, True, True]
    assert refusal(await town.boss.call("PUT", path, {"email": email("nobody")})) == (404, "customer_not_found")
