"""A merchant's accounts as its own pages show them, and charges that an administrator settles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penpay.application.mobile_money.daraja_requests import AcceptRequest, CarryOut
from penpay.domain.mobile_money.daraja_request import RequestDetails, RequestKind
from penpay.domain.shared.money import Currency, Money
from tests.integration.operator.stage import Stage, Town, email

TARIFF = Path("src/penpay/data/mpesa-2023-07.json").read_text(encoding="utf-8")
SHOP = "600500"


async def carried_out(stage: Stage, command: str, party: str, shillings: int) -> None:
    """What the shop asks for through Daraja, once each command."""
    kind = RequestKind.B2C if command == "BusinessPayment" else RequestKind.B2B
    details = RequestDetails(
        command=command,
        initiator="testapi",
        security_credential="",
        party=party,
        reference="",
        conversation="",
        occasion="",
        result_url="https://example.org/result",
        queue_timeout_url="https://example.org/timeout",
        body="{}",
    )
    operator = stage.process.operator
    request = await operator.do(
        AcceptRequest(
            kind=kind,
            short_code=SHOP,
            originator_conversation_id=f"O-{command}",
            conversation_id=f"C-{command}",
            amount=Money(shillings * 100, Currency.KES),
            details=details,
        )
    )
    outcome = await operator.do(CarryOut(request=request))
    assert outcome.transaction is not None, outcome.request.result


async def paid_shop(stage: Stage) -> Town:
    """A shop with 700, of which 300 are put on Working and 200 paid to a customer."""
    town = await stage.town()
    await town.merchant.post("/merchant/numbers", kind="paybill", name="SHOP", shortCode=SHOP)
    payment = {"accountNo": SHOP, "customerType": "merchant", "billRefNumber": "A1"}
    await town.one.post("/transaction/transfer", amount=700, **payment)
    headers = {"Authorization": f"Bearer {town.boss.token}", "Content-Type": "application/json"}
    await town.boss.client.post("/api/admin/tariffs", content=TARIFF, headers=headers)
    await carried_out(stage, "MerchantTransferFromMerchantToWorking", SHOP, 300)
    await carried_out(stage, "BusinessPayment", "+254712345679", 200)
    return town


def _lines(page: Any) -> list[tuple[str, int, int, int]]:
    """Type, amount, fee and what was left, newest first."""
    return [
        (one["transactionType"], one["amountCents"], one["feeCents"], one["balanceCents"])
        for one in page["transactions"]
    ]


async def test_a_merchant_reads_each_of_its_accounts(stage: Stage) -> None:
    """A payout's cost is on Charges Paid, so its line on Utility is the amount alone, in JSON and in CSV."""
    town = await paid_shop(stage)

    held = await town.merchant.get("/merchant/accounts")
    statements = [
        _lines(await town.merchant.get(f"/account/full-statement?account={account}"))
        for account in ("utility", "working", "charges_paid")
    ]

    assert held == {"utilityCents": 200_00, "workingCents": 300_00, "chargesPaidCents": -5_00}
    assert statements == [
        [
            ("PAYOUT", 200_00, 0, 200_00),
            ("BUSINESS_PAYMENT", 300_00, 0, 400_00),
            ("TRANSFER", 700_00, 0, 700_00),
        ],
        [("BUSINESS_PAYMENT", 300_00, 0, 300_00)],
        [("PAYOUT", 5_00, 0, -5_00)],
    ]
    assert statements[0] == _lines(await town.merchant.get("/account/full-statement"))
    as_csv = (await town.merchant.call("GET", "/account/full-statement?format=csv")).text.splitlines()
    assert ("PAYOUT", "200.00", "200.00") == tuple(as_csv[1].split(",")[index] for index in (2, 6, 7))
    assert await town.one.refused("/merchant/accounts", "GET") == (403, "forbidden")


async def test_an_administrator_settles_a_merchants_charges(stage: Stage) -> None:
    """Five shillings from Utility, 4.35 of them earned; then nothing is owed, and an unknown number is refused."""
    town = await paid_shop(stage)
    before = await town.boss.get("/admin/reconciliation")

    settled = await town.boss.post("/admin/settle-charges", shortCode=SHOP)

    after = await town.boss.get("/admin/reconciliation")
    assert (500, 0) == (settled["amountCents"], settled["notSettledCents"])
    assert (500, -500, 300_00) == tuple(
        before[key] for key in ("unsettledChargesCents", "chargesPaidCents", "workingCents")
    )
    assert (0, 0, 4_35, 65) == (
        after["unsettledChargesCents"],
        after["chargesPaidCents"],
        after["ownFundsCents"] - before["ownFundsCents"],
        after["excisePayableCents"] - before["excisePayableCents"],
    )
    assert (0, 0) == (before["differenceCents"], after["differenceCents"])
    assert 195_00 == await town.merchant.balance()
    assert await town.boss.refused("/admin/settle-charges", shortCode=SHOP) == (422, "invalid_amount")
    assert await town.boss.refused("/admin/settle-charges", shortCode="600999") == (404, "merchant_not_found")
    assert await town.boss.refused("/admin/settle-charges", shortCode=email("shop")) == (422, "invalid_short_code")
