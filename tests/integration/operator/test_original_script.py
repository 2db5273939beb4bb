"""The calls of the original interface in their order, as a client script makes them, by form and by JSON."""

from __future__ import annotations

import pytest

from tests.integration.operator.stage import MOVED, email, opened, person, read


@pytest.mark.parametrize("as_json", [False, True], ids=["form", "json"])
async def test_the_client_script_runs_from_the_first_administrator_to_the_statement(
    sqlite_url: str, *, as_json: bool
) -> None:
    """Float is assigned, handed down, deposited, sent and taken out; every answer has its promised shape."""
    async with opened(sqlite_url, as_json=as_json) as stage:
        nobody = stage.caller()
        for user_type, name in (
            ("administrator", "boss"),
            ("agent", "super"),
            ("agent", "agent"),
            ("merchant", "shop"),
            ("subscriber", "one"),
        ):
            made = await nobody.call("POST", f"/user/{user_type}", person(name))
            answer = read(made)
            assert made.status_code == 200
            assert answer == {
                "status": "success",
                "message": "user created",
                "data": {"userID": answer["data"]["userID"], "userType": user_type},
            }
        boss = await stage.logged_in("administrator", "boss")

        promoted = await boss.call("PUT", "/admin/super-agent-status", {"email": email("super")})
        assert read(promoted)["message"] == "Super Agent Status updated"
        login = await nobody.call("POST", "/login/agent", {"email": email("super"), "password": person("")["password"]})
        assert read(login).keys() == {"userId", "userType", "token"}
        assert read(login)["userType"] == "super_agent"

        assigned = read(await boss.call("POST", "/admin/assign-float", {"accountNo": email("super"), "amount": 1000}))
        assert (assigned["message"], assigned["data"]["balance"]) == ("Float has been assigned.", 1000)

        tariff = read(await boss.call("GET", "/admin/get-tariff"))
        assert (tariff["message"], len(tariff["data"])) == ("Tariff retrieved", 8)
        assert all(row.keys() == {"id", "txnOperation", "srcUserType", "destUserType", "fee"} for row in tariff["data"])
        assert {row["fee"] for row in tariff["data"]} == {0}
        (charge,) = (
            row["id"]
            for row in tariff["data"]
            if (row["txnOperation"], row["srcUserType"]) == ("WITHDRAW", "subscriber")
        )
        charged = await boss.call("POST", "/admin/update-charge", {"amount": 1050, "chargeId": charge})
        assert read(charged) == {"status": "success", "message": "charge configured"}

        super_agent = await stage.logged_in("agent", "super")
        agent, one = await stage.logged_in("agent", "agent"), await stage.logged_in("subscriber", "one")
        moved = await super_agent.call(
            "POST", "/transaction/deposit", {"amount": 900, "accountNo": email("agent"), "customerType": "agent"}
        )
        answer = read(moved)
        assert (answer["status"], answer["message"]) == ("success", "Success")
        assert answer["data"] == {
            **MOVED,
            "transactionId": answer["data"]["transactionId"],
            "receipt": answer["data"]["receipt"],
            "amountCents": 900_00,
            "feeCents": 0,
            "balanceCents": 100_00,
        }
        await agent.post("/transaction/deposit", amount=700, accountNo=email("one"), customerType="subscriber")
        await one.post("/transaction/withdraw", amount=100, agentNumber=email("agent"))
        await one.post("/transaction/transfer", amount=10, accountNo=email("shop"), customerType="merchant")

        balance = read(await one.call("GET", "/account/balance"))
        assert balance == {
            "status": "success",
            "message": "Your current balance is 579",
            "data": {"userID": one.user_id, "balance": 579, "balanceCents": 579_50},
        }
        for method in ("GET", "POST"):
            statement = read(await one.call(method, "/account/statement"))
            message = "mini statement retrieved for the past 5 transactions"
            assert (statement["message"], statement["data"]["message"]) == (message, message)
            assert [
                (row["transactionType"], row["creditedAmount"], row["debitedAmount"], row["feeCents"])
                for row in statement["data"]["transactions"]
            ] == [("TRANSFER", 0, 10, 0), ("WITHDRAW", 0, 110, 10_50), ("DEPOSIT", 700, 0, 0)]
            assert statement["data"]["transactions"][0]["createdAt"] == "2026-03-01T09:00:00.000+03:00"
            assert {row["userId"] for row in statement["data"]["transactions"]} == {one.user_id}


async def test_the_mini_statement_shows_the_newest_five(sqlite_url: str) -> None:
    """A sixth transaction pushes the first one out."""
    async with opened(sqlite_url) as stage:
        town = await stage.town()
        for amount in range(11, 17):
            await town.one.post(
                "/transaction/transfer", amount=amount, accountNo="0712345679", customerType="subscriber"
            )

        rows = (await town.one.get("/account/statement"))["transactions"]

        assert [row["debitedAmount"] for row in rows] == [16, 15, 14, 13, 12]
