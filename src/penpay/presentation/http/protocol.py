"""Reading requests from a connection: httptools for those that come whole and in one piece, h11 for all others.

httptools reads in a third of h11's time, but bounds neither heads nor trailers, and takes the body of a request that
offers to upgrade, as each of Java's does, for another protocol's. So it is given only what it cannot misread. The first
other request gives its connection to h11 for good.
"""

from __future__ import annotations

import re
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_END: Final = b"\r\n\r\n"
_LONGEST_HEAD: Final = 16 * 1024
_DOUBTFUL: Final = (b"\n ", b"\n\t", b"\ntransfer-encoding", b"\nupgrade", b"\nexpect")
"""Folded lines, and headers that say something else about the end of a request, or about what follows it."""
_LENGTHS: Final = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([^\r\n]*)")


def is_whole(data: bytes) -> bool:
    """Whether the bytes are exactly one request, and no two readers can differ over it."""
    end = data.find(_END, 0, _LONGEST_HEAD)
    if end < 0:
        return False
    head = data[: end + 2].lower()
    if (
        head.count(b"\n") != head.count(b"\r\n")
        or head.startswith(b"connect ")
        or any(map(head.__contains__, _DOUBTFUL))
    ):
        return False
    lengths = _LENGTHS.findall(head)
    if not lengths:
        return len(data) == end + len(_END)
    return len(lengths) == 1 and lengths[0].isdigit() and lengths[0] == b"%d" % (len(data) - end - len(_END))


class HttpProtocol(HttpToolsProtocol):
    """A connection from its first byte until a request comes that is not for httptools."""

    _early: bytes = b""
    """What came before the request before it was answered."""

    def data_received(self, data: bytes) -> None:
        """Read a request; one that comes before the last is answered waits, and nothing is read after it till then."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._early += data
            self.flow.pause_reading()
        elif is_whole(data):
            super().data_received(data)
        else:
            self._hand_over(data)

    def on_response_complete(self) -> None:
        """Go on with what came early."""
        super().on_response_complete()
        if self._early and not self.transport.is_closing():
            early, self._early = self._early, b""
            self.data_received(early)

    def _hand_over(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        other = H11Protocol(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        other.data_received(data)
