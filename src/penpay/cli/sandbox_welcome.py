"""What `penpay sandbox` says when it is ready: whom it knows, what to type first, and how to answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from penpay.cli.output import show_table
from penpay.config import SandboxSettings
from penpay.demo.world import LOGIN_ID
from penpay.domain.mobile_money.merchant import NumberKind
from penpay.sandbox.daraja.wire import digits_of_time
from penpay.sandbox.log import INBOX_PATH
from penpay.sandbox.seeds import INITIATOR, INITIATOR_PASSWORD, NUMBERS, SUBSCRIBERS

_PUSHED_SHILLINGS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """A sandbox that listens."""

    settings: SandboxSettings
    given: Collection[str]
    """The settings somebody gave: their secrets are not repeated."""
    url: str
    deriv_url: str
    at: datetime
    log_file: Path | None


def show_welcome(welcome: Welcome) -> None:
    """Print everything needed for a first payment."""
    # Lines to copy are not folded: a terminal does that by itself, and the copy stays whole.
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(f"M-Pesa sandbox on {welcome.url}\nDeriv simulator on {welcome.deriv_url}\n")
    for name, text in _credentials(welcome):
        console.print(f"{name:<16}{text}")
    console.print()
    show_table(
        ("Test number", "PIN", "at first", "good for"),
        [(one.phone.msisdn, one.pin, str(one.opening), one.good_for) for one in SUBSCRIBERS],
    )
    show_table(
        ("Short code", "kind", "name", "at first"),
        [
            (welcome.settings.mpesa_short_code, "PayBill", "PENPAY", "KES 0.00"),
            *(
                (one.short_code, "till" if one.kind is NumberKind.TILL else "PayBill", one.name, str(one.opening))
                for one in NUMBERS
            ),
        ],
    )
    console.print("A first payment: type these two lines in another terminal.\n")
    for line in first_payment(welcome):
        console.print(line)
    phone, port = SUBSCRIBERS[0].phone.msisdn, _port(welcome.url)
    console.print("\nHer handset, which shows the prompt and takes her PIN; and what has happened:\n")
    console.print(f"penpay sandbox sim --phone {phone}{port}")
    console.print(f"penpay sandbox log --follow{port}\n")
    if welcome.log_file is not None:
        console.print(f"The log is also in {welcome.log_file}.")
    console.print("docs/sandbox.md tells more. Ctrl-C stops the sandbox; its books stay.")


def first_payment(welcome: Welcome) -> tuple[str, str]:
    """Two lines for a POSIX shell: a token, and a push to the first test number."""
    settings = welcome.settings
    own = "MPESA_CONSUMER_KEY" not in welcome.given and "MPESA_CONSUMER_SECRET" not in welcome.given
    key = settings.mpesa_consumer_key.get_secret_value() if own else "$MPESA_CONSUMER_KEY"
    secret = settings.mpesa_consumer_secret.get_secret_value() if own else "$MPESA_CONSUMER_SECRET"
    code, moment, phone = settings.mpesa_short_code, digits_of_time(welcome.at), SUBSCRIBERS[0].phone.msisdn
    if "MPESA_PASSKEY" in welcome.given:
        password = f"'\"$(printf %s \"{code}${{MPESA_PASSKEY}}{moment}\" | base64 | tr -d '\\n')\"'"
    else:
        passkey = settings.mpesa_passkey.get_secret_value()
        password = base64.b64encode(f"{code}{passkey}{moment}".encode()).decode()
    body = {
        "BusinessShortCode": code,
        "Password": "PASSWORD",
        "Timestamp": moment,
        "TransactionType": "CustomerPayBillOnline",
        "Amount": _PUSHED_SHILLINGS,
        "PartyA": phone,
        "PartyB": code,
        "PhoneNumber": phone,
        "CallBackURL": f"{welcome.url}{INBOX_PATH}",
        "AccountReference": "FIRST",
        "TransactionDesc": "first",
    }
    written = json.dumps(body, separators=(",", ":")).replace('"PASSWORD"', f'"{password}"')
    take = r"""sed 's/.*"access_token":"\([^"]*\)".*/\1/'"""
    token = f"{welcome.url}/oauth/v1/generate?grant_type=client_credentials"
    headers = """-H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json'"""
    return (
        f"""TOKEN=$(curl -s -u "{key}:{secret}" '{token}' | {take})""",
        f"""curl -s {welcome.url}/mpesa/stkpush/v1/processrequest {headers} -d '{written}'""",
    )


def _credentials(welcome: Welcome) -> Sequence[tuple[str, str]]:
    settings = welcome.settings

    def told(name: str, value: str) -> str:
        return f"as set in {name}" if name in welcome.given else value

    ours = "" if settings.mpesa_initiator_name is None else f"{settings.mpesa_initiator_name} as set, and "
    return (
        ("Consumer key", told("MPESA_CONSUMER_KEY", settings.mpesa_consumer_key.get_secret_value())),
        ("Consumer secret", told("MPESA_CONSUMER_SECRET", settings.mpesa_consumer_secret.get_secret_value())),
        ("Passkey", told("MPESA_PASSKEY", settings.mpesa_passkey.get_secret_value())),
        ("Initiator", f"{ours}{INITIATOR}, password {INITIATOR_PASSWORD}"),
        ("Deriv agent", f"{settings.deriv_login_id}, client {LOGIN_ID}"),
        ("Deriv token", told("DERIV_TOKEN", settings.deriv_token.get_secret_value())),
    )


def _port(url: str) -> str:
    """What a command needs to find a sandbox that is not where it looks first."""
    port = url.rpartition(":")[2]
    return "" if port == "6700" else f" --port {port}"
