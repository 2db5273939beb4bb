"""The command line on a database of each engine."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from penpay.cli import build_app
from tests.support.engines import EVERY

KEY = base64.b64encode(bytes(range(32))).decode()
SETTINGS: Mapping[str, str] = {
    "APP_ENV": "testing",
    "MPESA_CONSUMER_KEY": "consumer-key",
    "MPESA_CONSUMER_SECRET": "consumer-secret",
    "MPESA_SHORT_CODE": "600996",
    "MPESA_PASSKEY": "passkey",
    "MPESA_CALLBACK_URL": "http://127.0.0.1:1/api/v1/callbacks/stk",
    "MPESA_BASE_URL": "http://127.0.0.1:1",
    "DERIV_ENDPOINT": "ws://127.0.0.1:1",
    "DERIV_APP_ID": "1089",
    "DERIV_TOKEN": "token",
    "DERIV_LOGIN_ID": "CR900000",
    "PENPAY_FIELD_KEYS": f"k1:{KEY}",
    "PENPAY_MASTER_KEY": KEY,
}
"""Everything required, with providers nobody listens for: the command line must not need them."""


@dataclass(frozen=True)
class Terminal:
    """Runs `penpay` with an environment of its own."""

    env: Mapping[str, str]

    def run(self, *arguments: str, status: int = 0, **env: str) -> Result:
        """Run one command and insist on its exit status."""
        result = CliRunner().invoke(build_app(), arguments, env={**self.env, **env})
        assert (status, []) == (result.exit_code, _traceback(result)), result.output
        return result

    def json(self, *arguments: str, status: int = 0) -> Any:
        """The answer as JSON, from the one line of standard output."""
        (line,) = self.run(*arguments, "--json", status=status).stdout.splitlines()
        return json.loads(line, parse_float=str)

    def refused(self, *arguments: str, **env: str) -> str:
        """The code of a refusal, which is all that a script needs."""
        marker, code, _ = self.run(*arguments, status=1, **env).stderr.split(": ", 2)
        assert "error" == marker
        return code


def _traceback(result: Result) -> list[object]:
    return [] if result.exception is None or isinstance(result.exception, SystemExit) else [result.exception]


@pytest.fixture(params=EVERY)
def empty(request: pytest.FixtureRequest) -> Terminal:
    """A terminal on an empty database."""
    url = request.getfixturevalue(f"fresh_{request.param}_url")
    return Terminal({**SETTINGS, "DATABASE_URL": url})


@pytest.fixture(params=EVERY)
def terminal(request: pytest.FixtureRequest) -> Terminal:
    """A terminal on a migrated database."""
    return Terminal({**SETTINGS, "DATABASE_URL": request.getfixturevalue(f"{request.param}_url")})
