"""Reports and statements as the staff ask for them over HTTP."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from penpay.application.collections.customers import CreateCustomer
from penpay.application.collections.invoicing import CreateInvoice
from penpay.application.collections.receiving import ReceivePayment
from penpay.domain.collections.customer import Contact
from penpay.domain.collections.line import LineItem
from penpay.domain.collections.payment import PaymentSource
from penpay.domain.identity.staff import StaffRole
from penpay.domain.shared.money import Currency, Money
from penpay.presentation.http.routes.report_shapes import BalanceSheetReportBody
from tests.contract.office.stage import ACCOUNTANT, CASHIER, OWNER, Office

STAFF = "staff:owner"
TODAY = "2026-03-01"
REPORTS = ("ledger", "balance", "verify", "trial-balance", "balance-sheet", "aging", "daily", "pnl")


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


async def trade(office: Office) -> None:
    """One customer, billed 5,000 with an invoice that begins like a formula, and 3,000 of it paid."""
    do = office.system.executor.execute
    await do(CreateCustomer(contact=Contact(name="Wanjikũ & Sons"), number="CUST-001", by=STAFF))
    item = LineItem(description="Goods", unit_price=kes(5_000))
    await do(CreateInvoice(customer_number="CUST-001", items=(item,), number="INV-20260301-0001", by=STAFF))
    await do(
        ReceivePayment(
            receipt="QGK12XYZ9", source=PaymentSource.C2B, amount=kes(3_000), bill_reference="INV-20260301-0001"
        )
    )


async def asked(client: httpx.AsyncClient, path: str, **query: str) -> Any:
    answer = await client.get(path, params=query)
    assert 200 == answer.status_code, answer.text
    return json.loads(answer.content, parse_float=str)


@pytest.fixture
async def accountant(office: Office) -> httpx.AsyncClient:
    """Somebody who keeps the books of a business that has traded."""
    await trade(office)
    return office.client(await office.token(OWNER))


async def test_every_report_is_answered(accountant: httpx.AsyncClient) -> None:
    """Each with what the trade has left: 5,000 billed, 3,000 paid, 2,000 owed."""
    found = {report: await asked(accountant, "/api/reports", type=report) for report in REPORTS}

    assert {"isValid": True, "errors": []} == found["verify"]
    held = {row["account_code"]: row["balance_cents"] for row in found["balance"]["accounts"]}
    assert {"1010": 300_000, "1200": 200_000, "4000": 500_000} == held
    assert [{"currency": "KES", "debit_cents": 500_000, "credit_cents": 500_000}] == found["trial-balance"]["totals"]
    assert found["trial-balance"]["balanced"]
    assert [("1010", 300_000, 0), ("1200", 0, 300_000), ("1200", 500_000, 0), ("4000", 0, 500_000)] == [
        (row["account_code"], row["debit_cents"], row["credit_cents"]) for row in found["ledger"]["entries"]
    ]
    assert [("CUST-001", 200_000)] == [
        (row["customer_id"], row["current_cents"]) for row in found["aging"]["customers"]
    ]
    (day,) = found["daily"]["days"]
    assert (TODAY, 1, 300_000, [{"source": "C2B", "amount_cents": 300_000}]) == (
        day["day"],
        day["count"],
        day["total_cents"],
        day["sources"],
    )
    assert ("2026-03-01", 500_000, 0, 500_000) == tuple(
        found["pnl"][key] for key in ("from", "revenue_cents", "expense_cents", "profit_cents")
    )


async def test_a_balance_sheet_is_read_and_opened_in_a_spreadsheet(accountant: httpx.AsyncClient) -> None:
    """3,000 of cash and 2,000 owed to us are 5,000 that remain to the owner; on the day before there was nothing."""
    sheet = await asked(accountant, "/api/reports", type="balance-sheet")
    (kes_,) = sheet["currencies"]
    csv = await accountant.get("/api/reports", params={"type": "balance-sheet"}, headers={"Accept": "text/csv"})
    before = await asked(accountant, "/api/reports", type="balance-sheet", asOf="2026-02-28")

    BalanceSheetReportBody.model_validate(sheet)
    assert ("2026-01-01", TODAY, True) == (sheet["from"], sheet["as_of"], sheet["balanced"])
    assert (500_000, 0, 0, 500_000, 500_000) == tuple(
        kes_[f"{name}_cents"] for name in ("asset", "liability", "earlier_result", "result", "equity")
    )
    assert [("1010", 300_000), ("1200", 200_000)] == [
        (row["account_code"], row["balance_cents"]) for row in kes_["assets"]
    ]
    assert "text/csv; charset=utf-8" == csv.headers["content-type"]
    assert [
        "currency,section,code,account,amount",
        "KES,Assets,1010,M-Pesa Cash,3000.00",
        "KES,Assets,1200,Accounts Receivable,2000.00",
        "KES,Assets,,Assets,5000.00",
        "KES,Liabilities,,Liabilities,0.00",
        "KES,Equity,,Result of earlier periods,0.00",
        "KES,Equity,,Result of the period,5000.00",
        "KES,Equity,,Equity,5000.00",
        "KES,,,Liabilities and equity,5000.00",
    ] == csv.text.splitlines()
    assert [] == before["currencies"]


async def test_one_account_is_asked_for_by_its_code(accountant: httpx.AsyncClient) -> None:
    """Its balance, its entries page by page, and a refusal for a code that is nowhere."""
    (row,) = (await asked(accountant, "/api/reports", type="balance", accountCode="1010"))["accounts"]
    assert ("M-Pesa Cash", 300_000) == (row["name"], row["balance_cents"])
    (unused,) = (await asked(accountant, "/api/reports", type="balance", accountCode="5000"))["accounts"]
    assert 0 == unused["balance_cents"]

    first = await asked(accountant, "/api/reports", type="ledger", accountCode="1200", limit="1")
    rest = await asked(accountant, "/api/reports", type="ledger", accountCode="1200", before=first["next"])
    assert [200_000, 500_000] == [row["balance_cents"] for row in (*first["entries"], *rest["entries"])]
    assert rest["next"] is None

    refused = await accountant.get("/api/reports", params={"type": "balance", "accountCode": "9999"})
    assert (404, "account_not_found") == (refused.status_code, json.loads(refused.content)["code"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"type": "statement-of-changes"}, "type"),
        ({"type": "balance-sheet", "to": TODAY}, "to"),
        ({"type": "balance-sheet", "asOf": "2026-02-01", "from": TODAY}, "from"),
        ({}, "type"),
        ({"type": "verify", "accountCode": "1010"}, "accountCode"),
        ({"type": "aging", "asOf": TODAY}, "asOf"),
        ({"type": "daily", "form": TODAY}, "form"),
        ({"type": "trial-balance", "asOf": "2026-02-30"}, "asOf"),
        ({"type": "trial-balance", "asOf": "0"}, "asOf"),
        ({"type": "pnl", "from": "1 March"}, "from"),
        ({"type": "pnl", "from": TODAY, "to": "2026-02-01"}, "to"),
        ({"type": "daily", "from": "2020-01-01", "to": TODAY}, "to"),
        ({"type": "ledger", "before": "yesterday"}, "before"),
        ({"type": "ledger", "limit": "0"}, "limit"),
    ],
)
async def test_what_cannot_be_reported_is_refused(
    accountant: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    """The parameter is named, a misspelt one too."""
    refused = await accountant.get("/api/reports", params=query)

    problem = json.loads(refused.content)
    assert (400, "invalid_request") == (refused.status_code, problem["code"])
    assert field in problem["fields"]


async def test_a_statement_is_read_sent_and_opened_in_a_spreadsheet(
    office: Office, accountant: httpx.AsyncClient
) -> None:
    """JSON, CSV and PDF tell the same story, by path or by what is accepted; the PDF is the same every time."""
    path = "/api/customers/CUST-001/statement"
    told = await asked(accountant, path)
    assert (0, 200_000, 200_000) == (told["opening_cents"], told["closing_cents"], told["ageing"]["current_cents"])
    assert [("INVOICE", 500_000, 500_000), ("PAYMENT", -300_000, 200_000)] == [
        (line["kind"], line["amount_cents"], line["balance_cents"]) for line in told["lines"]
    ]
    assert ("2025-12-02", TODAY, "Wanjikũ & Sons") == (told["from"], told["to"], told["name"])

    sheet = await accountant.get(f"{path}.csv", params={"from": TODAY, "to": TODAY})
    assert ("text/csv; charset=utf-8", 200) == (sheet.headers["content-type"], sheet.status_code)
    assert 'filename="statement-CUST-001-2026-03-01-2026-03-01.csv"' in sheet.headers["content-disposition"]
    assert [
        ["date", "what", "reference", "about", "charged", "paid", "balance"],
        ["2026-03-01", "Opening balance", "", "", "", "", "0.00"],
        ["2026-03-01 09:00", "Invoice", "INV-20260301-0001", "", "5000.00", "", "5000.00"],
        ["2026-03-01 09:00", "Payment", "QGK12XYZ9", "INV-20260301-0001", "", "3000.00", "2000.00"],
        ["2026-03-01", "Closing balance", "", "", "", "", "2000.00"],
    ] == list(csv.reader(io.StringIO(sheet.text)))
    accepted = await accountant.get(path, params={"from": TODAY, "to": TODAY}, headers={"Accept": "text/csv"})
    assert sheet.content == accepted.content

    paper = await accountant.get(f"{path}.pdf")
    again = await accountant.get(path, headers={"Accept": "application/pdf"})
    assert (paper.content, "application/pdf") == (again.content, paper.headers["content-type"])
    (page,) = PdfReader(io.BytesIO(paper.content)).pages
    shown = page.extract_text()
    for expected in (
        office.system.reports.business_name,
        "Wanjiku & Sons",
        "CUST-001",
        "QGK12XYZ9",
        "3,000.00",
        "KES 2,000.00",
    ):
        assert expected in shown


async def test_a_statement_goes_on_page_by_page(accountant: httpx.AsyncClient) -> None:
    """The second page begins with the balance that the first one left."""
    path = "/api/customers/CUST-001/statement"
    first = await asked(accountant, path, limit="1")
    second = await asked(accountant, path, limit="1", after=first["next"])

    assert (0, 500_000, None) == (first["opening_cents"], second["opening_cents"], second["next"])
    assert ["INVOICE", "PAYMENT"] == [page["lines"][0]["kind"] for page in (first, second)]


async def test_a_balance_is_what_is_owed_less_credit(accountant: httpx.AsyncClient) -> None:
    """Of a customer who exists; of nobody else there is one, nor a statement."""
    assert {
        "customer_id": "CUST-001",
        "currency": "KES",
        "receivable_cents": 200_000,
        "credit_cents": 0,
        "balance_cents": 200_000,
    } == await asked(accountant, "/api/customers/CUST-001/balance")
    for path in ("balance", "statement", "statement.csv", "statement.pdf"):
        refused = await accountant.get(f"/api/customers/CUST-999/{path}")
        assert (404, "customer_not_found") == (refused.status_code, json.loads(refused.content)["code"])


async def test_only_those_who_keep_the_books_see_them(office: Office, accountant: httpx.AsyncClient) -> None:
    """Strangers see nothing, a cashier sees what a customer owes, an accountant everything."""
    await office.hire(CASHIER, StaffRole.CASHIER)
    await office.hire(ACCOUNTANT, StaffRole.ACCOUNTANT)
    paths = ("/api/reports?type=verify", "/api/customers/CUST-001/statement", "/api/customers/CUST-001/balance")
    expected = {None: [401, 401, 401], CASHIER: [403, 403, 200], ACCOUNTANT: [200, 200, 200]}
    for who, statuses in expected.items():
        client = office.client(None if who is None else await office.token(who))
        assert statuses == [(await client.get(path)).status_code for path in paths], who
