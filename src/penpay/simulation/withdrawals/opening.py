"""What a world needs in which users withdraw: dollars and tokens at Deriv, shillings on our PayBill, an initiator."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from penpay.application.identity.deriv_tokens import BindDerivToken
from penpay.bootstrap import Ports, Sandbox, System
from penpay.bootstrap.sandbox import kept_certificate
from penpay.config import Settings
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.shared.money import Currency, Money
from penpay.simulation.people import Person
from penpay.simulation.template import DATABASES, PAYOUTS, SHORT_CODE

OPERATOR: Final = "operator.db"
CERTIFICATE: Final = f"{OPERATOR}.initiator.crt"
_KEY: Final = f"{OPERATOR}.initiator.pem"
CLIENT_CENTS: Final = 1_500_00
"""What each user has at Deriv."""
FLOAT_CENTS: Final = 60_000_00
"""What our PayBill has when a world begins: too little for the largest payouts."""
MORE_FLOAT_CENTS: Final = 2_000_000_00
"""What it gets then, unless it is to have too little."""
_TOKEN_GOOD_FOR: Final = timedelta(days=3_650)
_INITIATOR: Final = "penpayapi"
_PASSWORD: Final = "of nobody"  # noqa: S105  (as it says)


def settings_of(settings: Settings, folder: Path) -> Settings:
    """The same settings with an initiator, whose certificate is in this folder."""
    given = {
        "mpesa_initiator_name": _INITIATOR,
        "mpesa_initiator_password": SecretStr(_PASSWORD),
        "mpesa_certificate": folder / CERTIFICATE,
    }
    return settings.model_copy(update=given)


def copy_key(template: Path, folder: Path) -> None:
    """Give a seed the initiator's key."""
    for name in (CERTIFICATE, _KEY):
        shutil.copyfile(template / PAYOUTS / name, folder / name)


def prepare(folder: Path, url: str, now: datetime) -> None:
    """Put copies of the sealed databases in a folder of their own, and draw the key that passwords travel under."""
    (folder / PAYOUTS).mkdir()
    for name in DATABASES:
        shutil.copyfile(folder / name, folder / PAYOUTS / name)
    kept_certificate(url, now)


async def fund_everybody(sandbox: Sandbox, system: System, people: Sequence[Person], ports: Ports) -> None:
    """Dollars and a token for each user, which we keep, and shillings for our PayBill."""
    await sandbox.operator.issue_to_merchant(SHORT_CODE, Money(FLOAT_CENTS, Currency.KES), "opening-float")
    for person in people:
        token = ports.random.token_bytes(16).hex()
        await sandbox.deriv_book.set_token(person.login_id, token, "read payments")
        await sandbox.deriv_book.deposit(person.login_id, CLIENT_CENTS, "Cashier deposit")
        login_id = DerivLoginId(person.login_id)
        await system.executor.execute(BindDerivToken(deriv_login_id=login_id, token=token, good_for=_TOKEN_GOOD_FOR))


def seal(folder: Path) -> None:
    """Bring everything into the main files, so that they can be copied alone."""
    for name in DATABASES:
        with closing(sqlite3.connect(folder / PAYOUTS / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
