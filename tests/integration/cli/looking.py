"""Looking into the database behind a terminal, and two people it is told of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from penpay.infrastructure.sql.engine import open_engine
from penpay.infrastructure.sql.identity import SqlUsers
from tests.integration.cli.conftest import Terminal

USER_ONE = ("--email", "User_One@Example.com", "--phone", "0712 345 678", "--deriv-login-id", "cr900001")
USER_TWO = ("--email", "user_two@example.com", "--phone", "0722000000", "--deriv-login-id", "CR900002")


def in_database(terminal: Terminal, work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
    """Look into the terminal's database."""

    async def look() -> Any:
        engine = open_engine(terminal.env["DATABASE_URL"])
        try:
            async with engine.begin() as connection:
                return await work(connection)
        finally:
            await engine.dispose()

    return asyncio.run(look())


def authenticate(terminal: Terminal, api_key: str) -> UUID:
    """Who the system takes the holder of this key for."""

    async def ask() -> UUID:
        engine = open_engine(terminal.env["DATABASE_URL"])
        try:
            return await SqlUsers(engine).authenticate(api_key)
        finally:
            await engine.dispose()

    return asyncio.run(ask())
