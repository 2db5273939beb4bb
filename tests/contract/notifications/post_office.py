"""A tiny SMTP server on loopback that keeps what it takes and refuses what it is told to (RFC 5321)."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import ssl
from email.message import EmailMessage
from types import TracebackType
from typing import Self


class PostOffice:
    """Takes mail; use as an async context manager. `refuses` answers a command with this line instead."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: it offers STARTTLS, and takes nothing before."""
        self.refuses: dict[str, str] = {}
        self.vanishes_after_data = False
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.spoken: list[str] = []
        self.port = 0
        self._is_secret = True
        self._tls = tls
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            self._open.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 post-office ESMTP\r\n")
        self._is_secret = self._tls is None
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            self.spoken.append(verb.upper())
            writer.write(self._answer(verb.upper(), rest).encode() + b"\r\n")
            await writer.drain()
            if verb.upper() == "QUIT":
                return
            if verb.upper() == "STARTTLS" and self._tls is not None:
                await writer.start_tls(self._tls)
                self._is_secret = True
            if verb.upper() == "DATA":
                self._take(await reader.readuntil(b"\r\n.\r\n"))
                if self.vanishes_after_data:
                    return
                writer.write(self.refuses.get("END", "250 taken").encode() + b"\r\n")

    def _answer(self, verb: str, rest: str) -> str:
        if verb in self.refuses:
            return self.refuses[verb]
        if verb == "AUTH":
            _, name, password = base64.b64decode(rest.split(" ")[1]).split(b"\0")
            self.logins.append((name.decode(), password.decode()))
        elif verb == "RCPT":
            self.recipients.append(rest.partition("<")[2].partition(">")[0])
        offered = "AUTH PLAIN LOGIN" if self._is_secret else "STARTTLS"
        answers = {"EHLO": f"250-post-office\r\n250 {offered}", "AUTH": "235 welcome", "DATA": "354 go on"}
        return answers.get(verb, {"STARTTLS": "220 go on", "QUIT": "221 bye"}.get(verb, "250 yes"))

    def _take(self, data: bytes) -> None:
        message = email.message_from_bytes(data.removesuffix(b".\r\n"), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
