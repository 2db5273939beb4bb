"""Reading requests from a connection: httptools for those that come whole, h11 for all others.

httptools reads in a third of h11's time, but bounds neither heads nor trailers, and takes the body of a request that
offers to upgrade, as each of Java's does, for another protocol's. So it is given only what it cannot misread. The first
other request gives its connection to h11 for good. A short body that comes after its head, as most clients send it,
is waited for.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_END: Final = b"\r\n\r\n"
_LONGEST_HEAD: Final = 16 * 1024
_DOUBTFUL: Final = (b"\n ", b"\n\t", b"\ntransfer-encoding", b"\nupgrade", b"\nexpect")
"""Folded lines, and headers that say something else about the end of a request, or about what follows it."""
_SHORT_BODY: Final = 16 * 1024
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,8}")
_LENGTHS: Final = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([^\r\n]*)")


class Read(Enum):
    """What the bytes of a connection are."""

    WHOLE = "whole"
    """Exactly one request, and no two readers can differ over it."""
    PART = "part"
    """The beginning of one, whose head is whole and whose short body is not."""
    OTHER = "other"


def read(data: bytes) -> Read:
    """What has come so far."""
    end = data.find(_END, 0, _LONGEST_HEAD)
    if end < 0:
        return Read.OTHER
    head = data[: end + 2].lower()
    if (
        head.count(b"\n") != head.count(b"\r\n")
        or head.startswith(b"connect ")
        or any(map(head.__contains__, _DOUBTFUL))
    ):
        return Read.OTHER
    lengths = _LENGTHS.findall(head)
    come = len(data) - end - len(_END)
    if not lengths:
        return Read.OTHER if come else Read.WHOLE
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        return Read.OTHER
    left = int(lengths[0]) - come
    if not left:
        return Read.WHOLE
    return Read.PART if 0 < left <= _SHORT_BODY - come else Read.OTHER


class HttpProtocol(HttpToolsProtocol):
    """A connection from its first byte until a request comes that is not for httptools."""

    _part: bytes = b""
    """What has come of a request that is not whole yet."""
    _early: bytes = b""
    """What came before the request before it was answered."""

    def data_received(self, data: bytes) -> None:
        """Read a request; one that comes before the last is answered waits, and nothing is read after it till then."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._early += data
            self.flow.pause_reading()
            return
        data, self._part = self._part + data, b""
        match read(data):
            case Read.WHOLE:
                super().data_received(data)
            case Read.PART:
                self._part = data
                self._unset_keepalive_if_required()
            case Read.OTHER:
                self._hand_over(data)

    def on_response_complete(self) -> None:
        """Go on with what came early."""
        super().on_response_complete()
        if self._early and not self.transport.is_closing():
            early, self._early = self._early, b""
            self.data_received(early)

    def shutdown(self) -> None:
        """The server stops: half a request is begun, so that its caller is told, and has the time of grace."""
        if self._part:
            self._hand_over(self._part).shutdown()
        else:
            super().shutdown()

    def _hand_over(self, data: bytes) -> H11Protocol:
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        other = H11Protocol(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        other.data_received(data)
        return other
