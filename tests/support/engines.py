"""The engines that a contract is tested on, as the parameters of a fixture."""

from __future__ import annotations

from typing import Final

import pytest

SERVERS: Final = tuple(
    pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgresql", "mariadb", "mysql")
)
"""Those with a server; their addresses are the fixtures `fresh_{name}_url`."""

MYSQL: Final = SERVERS[1:]
"""The two that speak MySQL."""

EVERY: Final = ("sqlite", *SERVERS)
