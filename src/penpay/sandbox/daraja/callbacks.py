"""Callbacks: the body of a push's, and the way of each to whoever is to be told (daraja.md §2.2, §6.2)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx

from penpay.application.shared.ports import Clock, Random
from penpay.domain.mobile_money.stk_push import PushResult, PushState, StkPush
from penpay.sandbox.daraja.callback_hosts import led_home, parse_hosts
from penpay.sandbox.daraja.switches import BalanceItem, DarajaSwitches, SwitchBoard
from penpay.sandbox.daraja.wire import decimal_of, digits_of_time, write_json
from penpay.sandbox.faults import AlteredCallback, FaultPlan, LateCallback, LostCallback, RepeatedCallback

_OK = 200

_log = logging.getLogger(__name__)


_CERTAIN = 1000
_USUAL: Final = DarajaSwitches()


def callback_body(push: StkPush, altered: AlteredCallback | None = None, switches: DarajaSwitches = _USUAL) -> str:
    """The JSON text for a push that is over. Raises ValueError for one that is not."""
    if push.result is None or push.ended_at is None:
        raise ValueError("A push that is not over has no callback.")
    callback: dict[str, object] = {
        "MerchantRequestID": push.merchant_request_id,
        "CheckoutRequestID": push.checkout_request_id,
        "ResultCode": _code(push.result),
        "ResultDesc": push.result.text,
    }
    if push.state is PushState.PAID:
        callback["CallbackMetadata"] = {"Item": _metadata(push, push.ended_at, switches, altered)}
    return write_json({"Body": {"stkCallback": callback}})


def _code(result: PushResult) -> int | str:
    return int(result.code) if result.code.isascii() and result.code.isdigit() else result.code


def _metadata(
    push: StkPush, ended_at: datetime, switches: DarajaSwitches, altered: AlteredCallback | None
) -> list[dict[str, object]]:
    cents = push.amount.cents
    msisdn = push.phone.msisdn
    if altered is not None:
        cents = cents if altered.amount_cents is None else altered.amount_cents
        msisdn = msisdn if altered.msisdn is None else altered.msisdn
    if switches.masked_push_phone:
        msisdn = f"{msisdn[:4]}*****{msisdn[-3:]}"
    balance: list[dict[str, object]] = [{"Name": "Balance"}] if switches.balance_item is BalanceItem.VALUELESS else []
    return [
        {"Name": "Amount", "Value": decimal_of(cents)},
        {"Name": "MpesaReceiptNumber", "Value": push.receipt},
        *balance,
        {"Name": "TransactionDate", "Value": int(digits_of_time(ended_at))},
        {"Name": "PhoneNumber", "Value": int(msisdn) if msisdn.isdigit() else msisdn},
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """What is posted to a merchant, and whom it is about: faults strike by phone and amount."""

    url: str
    body: str
    """JSON text."""
    about: str
    """For the log: which kind and which id, nobody's name or number."""
    msisdn: str | None
    amount_cents: int | None


class CallbackSender:
    """Sends each callback over the client it was given, as often as the switches and the fault plan say."""

    def __init__(
        self, *, client: httpx.AsyncClient, faults: FaultPlan, switches: SwitchBoard, clock: Clock, random: Random
    ) -> None:
        self._client = client
        self._faults = faults
        self._switches = switches
        self._clock = clock
        self._random = random

    async def send_push(self, push: StkPush) -> None:
        """Tell the merchant how a push ended."""
        msisdn, cents = push.phone.msisdn, push.amount.cents
        altered = self._faults.take(AlteredCallback, msisdn=msisdn, amount_cents=cents)
        await self.send(
            Callback(
                url=push.callback_url,
                body=callback_body(push, altered, self._switches.now),
                about=f"push {push.id}",
                msisdn=msisdn,
                amount_cents=cents,
            )
        )

    async def send(self, callback: Callback) -> None:
        """Tell a merchant, or not, as the faults have it. One that cannot be reached has lost the callback."""
        msisdn, cents = callback.msisdn, callback.amount_cents
        if self._faults.take(LostCallback, msisdn=msisdn, amount_cents=cents) is not None or self._is_dropped():
            return
        late = self._faults.take(LateCallback, msisdn=msisdn, amount_cents=cents)
        await self._clock.sleep(self._switches.now.callback_delay_ms if late is None else late.milliseconds)
        repeated = self._faults.take(RepeatedCallback, msisdn=msisdn, amount_cents=cents)
        for _ in range(self._switches.now.callback_times if repeated is None else repeated.times):
            await self._deliver(callback)

    async def post(self, url: str, body: str) -> httpx.Response:
        """Post JSON text once, to where the switches say this host is served. Raises httpx.HTTPError, InvalidURL."""
        to, headers = led_home(url, parse_hosts(self._switches.now.callback_hosts))
        return await self._client.post(
            to, content=body.encode(), headers={"Content-Type": "application/json", **headers}
        )

    def _is_dropped(self) -> bool:
        permille = self._switches.now.callback_dropped_permille
        return permille > 0 and self._random.below(_CERTAIN) < permille

    async def _deliver(self, callback: Callback) -> None:
        tries = self._switches.now.callback_tries
        for attempt in range(1, tries + 1):
            if await self._arrives(callback):
                return
            if attempt < tries:
                await self._clock.sleep(self._switches.now.callback_retry_after_ms)

    async def _arrives(self, callback: Callback) -> bool:
        try:
            response = await self.post(callback.url, callback.body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("callback of %s not delivered: %s", callback.about, type(error).__name__)
            return False
        if response.status_code != _OK:
            _log.warning("callback of %s answered with status %d", callback.about, response.status_code)
        return response.status_code == _OK
