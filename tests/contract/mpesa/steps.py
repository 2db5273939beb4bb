"""The clock, the push and the acceptance that the tests of the Daraja client share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penpay.domain.mpesa.gateway import StkPush
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber

PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
CHECKOUT = "ws_CO_191220191020363925"
ACCEPTED = {
    "MerchantRequestID": "29115-34620561-1",
    "CheckoutRequestID": CHECKOUT,
    "ResponseCode": "0",
    "ResponseDescription": "Success. Request accepted for processing",
}
PUSHED = StkPush(
    callback_token="0f" * 32,
    account_reference="PP7K2M9QX4AB",
    phone=PhoneNumber("+254708374149"),
    amount=Money(150_000, Currency.KES),
    description="Deposit",
)


class SteppedClock:
    """The Clock port; it moves when the test says so."""

    def __init__(self) -> None:
        self.moment = datetime(2021, 6, 28, 6, 24, 8, tzinfo=UTC)
        self._start = self.moment

    def now(self) -> datetime:
        return self.moment

    def monotonic_ms(self) -> int:
        return (self.moment - self._start) // timedelta(milliseconds=1)

    async def sleep(self, milliseconds: int) -> None:
        self.moment += timedelta(milliseconds=milliseconds)
