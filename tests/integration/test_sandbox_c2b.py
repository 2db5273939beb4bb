"""The whole sandbox on its sockets: a bill paid by the operator's own interface is told to a merchant of Daraja."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import httpx

from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from tests.contract.sandbox.shop import open_shop
from tests.contract.sandbox.world import serving
from tests.integration.test_sandbox_seeding import started

PHONE = PhoneNumber("+254712000001")
PASSWORD, PIN = "secret-enough", "1234"


async def test_a_bill_paid_by_the_operators_own_interface_is_told_to_its_merchant(tmp_path: Path) -> None:
    """A subscriber logs in at the operator and pays; the merchant gets receipt, reference, name and hashed number."""
    async with started(tmp_path) as (sandbox, settings), open_shop() as shop, serving(sandbox.create_app()) as url:
        number = settings.mpesa_short_code
        async with httpx.AsyncClient(base_url=url) as http:
            person = {
                "firstName": "User",
                "lastName": "One",
                "email": "user_one@example.org",
                "phoneNumber": PHONE.e164,
                "password": PASSWORD,
            }
            assert (await http.post("/api/user/subscriber", json=person)).is_success
            login = await http.post("/api/login/subscriber", json={"email": person["email"], "password": PASSWORD})
            bearer = {"Authorization": f"Bearer {login.json(parse_float=Decimal)['token']}"}
            assert 200 == (await http.put("/api/account/pin", json={"newPin": PIN}, headers=bearer)).status_code
            await sandbox.operator.issue_float(PHONE, Money(100_00, Currency.KES), "seed")
            key = httpx.BasicAuth("consumer-key", "consumer-secret")
            token = await http.get("/oauth/v1/generate?grant_type=client_credentials", auth=key)
            daraja = {"Authorization": f"Bearer {token.json(parse_float=Decimal)['access_token']}"}
            addresses = {"ConfirmationURL": f"{shop.url}/tell", "ValidationURL": f"{shop.url}/ask"}
            registration = {"ShortCode": number, "ResponseType": "Completed", **addresses}
            registered = await http.post("/mpesa/c2b/v1/registerurl", json=registration, headers=daraja)
            assert 200 == registered.status_code
            bill = {
                "accountNo": number,
                "customerType": "merchant",
                "amount": 40,
                "billRefNumber": "INV-7",
                "pin": PIN,
            }
            paid = (await http.post("/api/transaction/transfer", json=bill, headers=bearer)).json(parse_float=Decimal)
        told = await shop.next()
        assert paid["data"]["receipt"] == told["TransID"]
        assert ("40.00", number, "INV-7", "40.00") == tuple(
            told[key] for key in ("TransAmount", "BusinessShortCode", "BillRefNumber", "OrgAccountBalance")
        )
        assert hashlib.sha256(PHONE.msisdn.encode()).hexdigest() == told["MSISDN"]
        assert ("User", "", "One") == (told["FirstName"], told["MiddleName"], told["LastName"])
