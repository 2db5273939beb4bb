"""Daraja's refusals and the ways its answers break (daraja.md §1.3, §1.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from penpay.application.shared.ports import Random
from penpay.sandbox.daraja.wire import dashed_id, write_json
from penpay.sandbox.faults import DarajaCall, Spoilt

_HTML = "<html><head><title>Request unsuccessful</title></head><body>Incapsula incident ID: {}</body></html>"
_SPIKE = (
    "Spike arrest violation. Allowed rate : "
    "MessageRate{messagesPerPeriod=5, periodInMicroseconds=60000000, maxBurstMessageCount=1.0}"
)


class DarajaRefusal(Exception):
    """The call is refused in the normal error envelope."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid_field(name: str) -> DarajaRefusal:
    """A field that is missing or wrong; the message names it as Daraja does, which is not always its key."""
    return DarajaRefusal(400, "400.002.02", f"Bad Request - Invalid {name}")


def merchant_refusal(message: str) -> DarajaRefusal:
    """The STK family's one code for many things; clients must branch on the message."""
    return DarajaRefusal(500, "500.001.1001", message)


def invalid_token(call: DarajaCall = DarajaCall.PUSH, token: str = "") -> DarajaRefusal:
    """What each call answers to an unknown or old token; some tell the token back (daraja.md §1.3)."""
    if call in {DarajaCall.B2C, DarajaCall.BALANCE}:
        return DarajaRefusal(401, "401.002.01", f"Error Occurred - Invalid Access Token - {token}")
    if call in {DarajaCall.B2B, DarajaCall.STATUS, DarajaCall.C2B_REGISTER, DarajaCall.C2B_SIMULATE}:
        return DarajaRefusal(400, "400.003.01", "Invalid Access Token")
    if call is DarajaCall.PULL:
        return DarajaRefusal(401, "401.001", "Invalid Access Token")
    return DarajaRefusal(404, "404.001.03", "Invalid Access Token")


class RateLimited(Exception):
    """Too many queries: answered in Apigee's envelope, not in Daraja's."""


def json_response(status: int, value: object) -> Response:
    return Response(write_json(value), status_code=status, media_type="application/json")


def refusal(error: DarajaRefusal, random: Random) -> Response:
    """The normal error envelope."""
    body = {"requestId": dashed_id(random), "errorCode": error.code, "errorMessage": error.message}
    return json_response(error.status, body)


def apigee_fault(status: int, text: str, code: str) -> Response:
    return json_response(status, {"fault": {"faultstring": text, "detail": {"errorcode": code}}})


def rate_limited() -> Response:
    return apigee_fault(429, _SPIKE, "policies.ratelimit.SpikeArrestViolation")


class CutResponse(Response):
    """A connection that closes before the body. ASGI has no word for silence, so the promise of a body is broken."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (the ASGI signature)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"160")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


_REFUSALS: Final[Mapping[Spoilt, Callable[[], DarajaRefusal]]] = {
    Spoilt.INVALID_TOKEN: invalid_token,
    Spoilt.SYSTEM_BUSY: lambda: DarajaRefusal(500, "500.003.02", "System is busy. Please try again in few minutes."),
    Spoilt.ERROR_500: lambda: DarajaRefusal(500, "500.003.1001", "Internal Server Error"),
}


def spoilt(reply: Spoilt, random: Random) -> Response:
    """The answer that a fault puts in place of the right one."""
    match reply:
        case Spoilt.CUT:
            return CutResponse()
        case Spoilt.HTML_200 | Spoilt.HTML_503:
            status = 200 if reply is Spoilt.HTML_200 else 503
            return HTMLResponse(_HTML.format(random.below(10**15)), status_code=status)
        case Spoilt.EMPTY_200 | Spoilt.EMPTY_500:
            return Response(status_code=200 if reply is Spoilt.EMPTY_200 else 500)
        case Spoilt.RATE_LIMITED:
            return rate_limited()
        case Spoilt.INVALID_TOKEN | Spoilt.SYSTEM_BUSY | Spoilt.ERROR_500:
            return refusal(_REFUSALS[reply](), random)
