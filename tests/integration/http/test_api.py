"""The API as its users meet it: deposits asked for once, read by their owner alone, and callbacks made durable."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from penpay.domain.shared.errors import Unauthorized
from penpay.domain.shared.money import Currency
from penpay.domain.wallet.account import wallet_code
from penpay.infrastructure.sql.tables import ledger_accounts, ledger_entries, ledger_journals
from penpay.infrastructure.system import SystemClock, SystemRandom, UuidV7
from penpay.presentation.http.app import bind, create_app
from penpay.presentation.http.routes.shapes import TransactionPageBody, TransactionWithTimelineBody
from tests.integration.http.stage import DEPOSIT, PROXY, SAFARICOM, USER_ONE_KEY, USER_TWO_KEY, Stage, read

URL = "/api/v1/deposits"
CALLBACK = (
    b'{"Body":{"stkCallback":{"MerchantRequestID":"m","CheckoutRequestID":"ws_CO_1",'
    b'"ResultCode":1032,"ResultDesc":"x"}}}'
)


async def ask(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post(URL, json={**DEPOSIT, **changes})


async def test_a_deposit_is_accepted_and_read_with_its_timeline(stage: Stage) -> None:
    """The documented body gives 202 with the transaction, which can then be read with what happened to it."""
    async with stage.client() as client:
        answer = await ask(client)
        created = read(answer)
        found = read(await client.get(f"/api/v1/transactions/{created['id']}"))

    assert answer.status_code == 202
    assert ("PENDING", 10_000, "USD", 10_000) == (
        created["status"], created["amount_cents"], created["currency"], created["usd_cents"],
    )  # fmt: skip
    # 100 USD × 129.50 × 1.015 = 13,144.25, charged as whole shillings
    assert ("131.4425", 1_314_500) == (created["rate"], created["kes_cents"])
    assert [("TransactionCreated", "PENDING", created["created_at"])] == [
        (entry["event"], entry["status"], entry["at"]) for entry in found.pop("timeline")
    ]
    assert created == found


async def test_what_is_answered_is_what_is_documented(stage: Stage) -> None:
    """Every key of an answer stands in the API description, and the other way round."""
    async with stage.client() as client:
        created = read(await ask(client))
        one = read(await client.get(f"/api/v1/transactions/{created['id']}"))
        page = read(await client.get("/api/v1/transactions"))

    assert set(TransactionWithTimelineBody.model_fields) == set(one)
    assert set(TransactionPageBody.model_fields) == set(page)
    TransactionWithTimelineBody.model_validate(one)
    TransactionPageBody.model_validate(page)


async def test_a_repeat_gets_the_first_answer_byte_for_byte(stage: Stage) -> None:
    """The same key and body give the same bytes, also when the login id comes in the other case, and one deposit."""
    async with stage.client() as client:
        first = await ask(client)
        again = await ask(client)
        lower = await ask(client, deriv_login_id="cr123456")

    assert [first.content] * 2 == [again.content, lower.content]
    assert [202] * 3 == [first.status_code, again.status_code, lower.status_code]
    assert len(await stage.rows("transactions")) == 1


async def test_twins_at_once_are_one_deposit(stage: Stage) -> None:
    """Of fifty identical requests at once one does the work and all get its answer."""
    async with stage.client() as client:
        answers = await asyncio.gather(*(ask(client) for _ in range(50)))

    assert len({answer.content for answer in answers}) == 1
    assert len(await stage.rows("transactions")) == 1


async def test_another_body_under_the_key_names_the_fields(stage: Stage) -> None:
    """A key used for something else is a conflict that says what differs, and nothing is done."""
    async with stage.client() as client:
        await ask(client)
        before = await stage.contents()
        answer = await ask(client, amount_cents=20_000, currency="KES")

    assert answer.status_code == 409
    assert ("idempotency_conflict", ["amount_cents", "currency"]) == (read(answer)["code"], read(answer)["fields"])
    assert before == await stage.contents()


async def test_a_refused_request_may_be_corrected_under_its_key(stage: Stage) -> None:
    """A refusal uses no key up."""
    async with stage.client() as client:
        refused = await ask(client, amount_cents=1)
        accepted = await ask(client)

    assert [422, 202] == [refused.status_code, accepted.status_code]


async def test_two_users_may_use_one_key(stage: Stage) -> None:
    """Keys of different callers have nothing to do with each other."""
    async with stage.client() as user_one, stage.client(USER_TWO_KEY) as user_two:
        first = read(await ask(user_one))
        second = read(await ask(user_two, deriv_login_id="CR654321"))

    assert first["id"] != second["id"]


async def test_another_users_transaction_is_as_good_as_unknown(stage: Stage) -> None:
    """A foreign id and one nobody has give the same answer but for the path."""
    async with stage.client() as user_one, stage.client(USER_TWO_KEY) as user_two:
        created = read(await ask(user_one))
        foreign = read(await user_two.get(f"/api/v1/transactions/{created['id']}"))
        unknown = read(await user_two.get("/api/v1/transactions/01900000-0000-7000-8000-000000000000"))
        listed = read(await user_two.get("/api/v1/transactions"))
        beyond = read(await user_two.get(f"/api/v1/transactions?before={created['id']}"))

    assert (404, "not_found") == (foreign["status"], foreign["code"])
    assert {**foreign, "instance": ""} == {**unknown, "instance": ""}
    assert [{"transactions": [], "next": None}] * 2 == [listed, beyond]


async def test_transactions_are_paged_from_the_newest(stage: Stage) -> None:
    """Pages follow each other without a gap or a repeat, and the last one says so."""
    async with stage.client() as client:
        made = [read(await ask(client, idempotency_key=f"request-{number}"))["id"] for number in range(5)]
        seen: list[list[str]] = []
        cursor = ""
        while True:
            page = read(await client.get(f"/api/v1/transactions?limit=2{cursor}"))
            seen.append([one["id"] for one in page["transactions"]])
            if page["next"] is None:
                break
            cursor = f"&before={page['next']}"

    assert [made[:2:-1], made[2:0:-1], made[:1]] == seen


async def test_transactions_of_one_moment_are_paged_too(stage: Stage) -> None:
    """What one commit created shares its moment, and is still told apart."""
    async with stage.client() as client:
        asked = [ask(client, idempotency_key=f"request-{number}") for number in range(4)]
        made = {read(answer)["id"] for answer in await asyncio.gather(*asked)}
        first = read(await client.get("/api/v1/transactions?limit=3"))
        second = read(await client.get(f"/api/v1/transactions?limit=3&before={first['next']}"))

    pages = [one["id"] for page in (first, second) for one in page["transactions"]]
    assert sorted(made, reverse=True) == pages


async def test_balances_are_told_now_and_as_of_a_moment(stage: Stage) -> None:
    """A wallet holds what its last entry left; as of a moment, what the last entry recorded by then left."""
    ids = UuidV7(SystemClock(), SystemRandom())
    first, second = (datetime(2026, 1, day, 12, tzinfo=UTC) for day in (1, 2))
    account = ids.new()
    code = wallet_code(stage.user_one, Currency.KES)
    async with stage.engine.begin() as connection:
        await connection.execute(
            insert(ledger_accounts),
            {"id": account, "code": code, "name": "w", "type": "LIABILITY", "currency": "KES",
             "owner_id": stage.user_one, "may_go_negative": False, "balance_cents": 300,
             "version": 2, "last_recorded_at": second},
        )  # fmt: skip
        for sequence, at in ((1, first), (2, second)):
            journal = ids.new()
            await connection.execute(
                insert(ledger_journals),
                {"id": journal, "kind": "k", "reference": str(sequence), "happened_at": at, "recorded_at": at},
            )
            await connection.execute(
                insert(ledger_entries),
                {"account_id": account, "account_seq": sequence, "journal_id": journal, "side": "CREDIT",
                 "amount_cents": 150, "balance_after_cents": 150 * sequence},
            )  # fmt: skip

    async with stage.client() as client, stage.client(USER_TWO_KEY) as other:

        async def kes(moment: str = "") -> dict[str, int]:
            answer = read(await client.get(f"/api/v1/balances{moment}"))
            return {one["currency"]: one["balance_cents"] for one in answer["balances"]}

        assert await kes() == {"KES": 300, "USD": 0}
        assert await kes("?as_of=2026-01-01T11:59:59Z") == {"KES": 0, "USD": 0}
        assert await kes("?as_of=2026-01-01T12:00:00Z") == {"KES": 150, "USD": 0}
        assert await kes("?as_of=2026-01-02T14:59:59.999999%2B03:00") == {"KES": 150, "USD": 0}
        assert await kes("?as_of=2026-01-02T15:00:00%2B03:00") == {"KES": 300, "USD": 0}
        theirs = read(await other.get("/api/v1/balances"))

    assert [0, 0] == [one["balance_cents"] for one in theirs["balances"]]


async def test_a_callback_is_answered_once_it_is_stored(stage: Stage) -> None:
    """Safaricom gets its 200 for a callback with our token, and the message is in the database."""
    async with stage.client() as client:
        token = await stage.prompted(read(await ask(client))["id"])
    async with stage.client(None, peer=SAFARICOM) as safaricom:
        answer = await safaricom.post(f"/api/v1/callbacks/stk/{token}", content=CALLBACK)

    assert (200, {"ResultCode": 0, "ResultDesc": "Accepted"}) == (answer.status_code, read(answer))
    assert [SAFARICOM] == [row.remote_address for row in await stage.rows("webhook_logs")]


async def test_an_unreadable_callback_is_stored_and_answered_all_the_same(stage: Stage) -> None:
    """Nothing Safaricom sends under our token is lost for being odd."""
    async with stage.client() as client:
        token = await stage.prompted(read(await ask(client))["id"])
    async with stage.client(None, peer=SAFARICOM) as safaricom:
        answer = await safaricom.post(f"/api/v1/callbacks/stk/{token}", content=b"\xff{not json")

    assert answer.status_code == 200
    assert ["UNREADABLE"] == [row.outcome for row in await stage.rows("webhook_logs")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "status", "address"),
    [
        (SAFARICOM, None, 200, SAFARICOM),
        ("203.0.113.7", None, 404, "203.0.113.7"),
        ("203.0.113.7", SAFARICOM, 404, "203.0.113.7"),
        (PROXY, SAFARICOM, 200, SAFARICOM),
        (PROXY, f"{SAFARICOM}, 203.0.113.7", 404, "203.0.113.7"),
        (PROXY, f"203.0.113.7, {SAFARICOM}, {PROXY}", 200, SAFARICOM),
        (f"::ffff:{SAFARICOM}", None, 200, SAFARICOM),
        (PROXY, "nonsense", 404, PROXY),
        (PROXY, None, 404, PROXY),
        ("not-an-address", SAFARICOM, 404, "unknown"),
    ],
)
async def test_the_source_is_the_nearest_address_that_is_not_our_proxy(
    stage: Stage, peer: str, forwarded: str | None, status: int, address: str
) -> None:
    """X-Forwarded-For counts only from our own proxies, and only its right-most foreign entry."""
    async with stage.client() as client:
        token = await stage.prompted(read(await ask(client))["id"])
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    async with stage.client(None, peer=peer) as sender:
        answer = await sender.post(f"/api/v1/callbacks/stk/{token}", content=CALLBACK, headers=headers)

    assert status == answer.status_code
    assert [address] == [row.remote_address for row in await stage.rows("webhook_logs")]


async def test_a_tampered_token_is_refused_and_the_refusal_is_audited(stage: Stage) -> None:
    """A token we did not make is a 404 that says nothing more, and leaves a trace."""
    async with stage.client() as client:
        token = await stage.prompted(read(await ask(client))["id"])
    tampered = token[:-1] + ("0" if token[-1] != "0" else "1")
    async with stage.client(None, peer=SAFARICOM) as sender:
        answers = [await sender.post(f"/api/v1/callbacks/stk/{text}", content=CALLBACK) for text in (tampered, "x")]

    assert [(404, "callback_refused")] * 2 == [(answer.status_code, read(answer)["code"]) for answer in answers]
    assert not any(tampered in answer.text for answer in answers)
    refused = [row for row in await stage.rows("audit_logs") if row.action == "webhook.refused"]
    assert len(refused) == 2


async def test_of_a_message_under_a_made_up_address_only_the_beginning_is_kept(stage: Stage) -> None:
    """Anybody can send such messages, as many as he likes: each may cost no more than what shows that it came."""
    async with stage.client(None, peer=SAFARICOM) as sender:
        answer = await sender.post("/api/v1/callbacks/stk/x", content=b"x" * 60_000)

    (kept,) = await stage.rows("webhook_logs")
    assert (404, "REFUSED_TOKEN") == (answer.status_code, kept.outcome)
    assert len(kept.body_sealed) < 600


async def test_a_callback_too_large_to_be_safaricoms_is_refused(stage: Stage) -> None:
    """The bound on bodies holds without a credential too."""
    async with stage.client(None, peer=SAFARICOM) as sender:
        answer = await sender.post("/api/v1/callbacks/stk/x", content=b"x" * 70_000)

    assert (413, []) == (answer.status_code, await stage.rows("webhook_logs"))


@pytest.mark.parametrize(
    ("current", "status", "body"),
    [
        (True, 200, {"status": "ok", "database": "ok", "schema_current": True, "queued": 0}),
        (False, 503, {"status": "degraded", "database": "ok", "schema_current": False, "queued": 0}),
        (None, 503, {"status": "degraded", "database": "unreachable", "schema_current": False, "queued": 0}),
    ],
)
async def test_health_tells_whether_the_process_can_work(
    stage: Stage,
    current: bool | None,  # noqa: FBT001  (a row of the table)
    status: int,
    body: dict[str, object],
) -> None:
    """Healthy is a database that answers with our schema; anything else is 503 and says which."""
    async with stage.client(None, schema_current=current) as client:
        answer = await client.get("/healthz")

    assert (status, body) == (answer.status_code, read(answer))


async def test_a_load_balancer_may_ask_with_head(stage: Stage) -> None:
    """HEAD /healthz has the status of GET."""
    async with stage.client(None) as client:
        assert 200 == (await client.head("/healthz")).status_code
    async with stage.client(None, schema_current=False) as client:
        assert 503 == (await client.head("/healthz")).status_code


async def test_a_trailing_slash_leads_nowhere(stage: Stage) -> None:
    """A path with a slash too many is not found; no redirect to a host of the caller's choice is made of it."""
    async with stage.client() as client:
        answer = await client.get("/healthz/", headers={"Host": "elsewhere.example"})

    assert (404, None) == (answer.status_code, answer.headers.get("location"))


async def test_a_client_that_hangs_up_in_its_body_is_no_error(stage: Stage) -> None:
    """Half a deposit and then silence: the application ends the request without an exception the server would log."""
    messages = iter([{"type": "http.request", "body": b'{"amo', "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    headers = [(b"authorization", f"Bearer {USER_ONE_KEY}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": URL, "query_string": b"", "headers": headers}
    await bind(create_app(), stage.system)(scope, receive, send)

    assert "http.response.start" in sent


async def test_answers_are_not_kept_or_guessed_at(stage: Stage) -> None:
    """Every answer, refusals before the routes included, carries the headers that keep browsers from being clever."""
    async with stage.client() as client:
        answers = [await client.get("/healthz"), await client.post(URL, content=b"x" * 70_000)]

    for answer in answers:
        assert ("nosniff", "no-store") == (
            answer.headers["x-content-type-options"],
            answer.headers["cache-control"],
        )


async def test_the_api_describes_itself(stage: Stage) -> None:
    """The description names the routes, the deposit's body and problems; providers' callbacks are not advertised."""
    description = create_app().openapi()
    async with stage.client(None) as client:
        assert (await client.get("/docs")).status_code == 200
        assert description == read(await client.get("/openapi.json"))

    paths = set(description["paths"])
    assert {path for path in paths if path.startswith("/api/v1/")} == {
        "/api/v1/deposits",
        "/api/v1/withdrawals",
        "/api/v1/withdrawals/{transaction_id}/confirm",
        "/api/v1/reviews",
        "/api/v1/reviews/{review_id}",
        "/api/v1/reviews/{review_id}/propose",
        "/api/v1/reviews/{review_id}/approve",
        "/api/v1/reviews/{review_id}/reject",
        "/api/v1/transactions",
        "/api/v1/transactions/{transaction_id}",
        "/api/v1/transactions/{transaction_id}/story",
        "/api/v1/balances",
    }
    assert paths > {"/api/customers", "/api/invoices", "/api/pos", "/api/events", "/healthz"}
    assert not [path for path in paths if "webhooks" in path or "callbacks" in path]
    assert set(description["components"]["schemas"]["DepositBody"]["properties"]) == set(DEPOSIT)
    problems = description["paths"]["/api/v1/deposits"]["post"]["responses"]["default"]["content"]
    assert set(problems) == {"application/problem+json"}
    assert "HTTPValidationError" not in description["components"]["schemas"]


async def test_who_calls_together_is_recognised_each_for_herself(stage: Stage) -> None:
    """Forty calls at once under three keys, one of them unknown: none is mistaken for another."""
    unknown = "A" * len(USER_ONE_KEY)
    keys = [USER_ONE_KEY, USER_TWO_KEY, unknown, USER_ONE_KEY] * 10
    found = await asyncio.gather(*(stage.system.authenticate(key) for key in keys), return_exceptions=True)

    assert (20, 10) == (found.count(found[0]), found.count(found[1]))
    assert found[0] != found[1]
    assert 10 == sum(isinstance(one, Unauthorized) for one in found)
