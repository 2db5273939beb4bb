"""Mail by SMTP, which is also how the large mail services take it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from enum import Enum
from typing import Final

import aiosmtplib

from penpay.application.shared.carrying import Carried, CarrierAnswer, OutgoingMessage
from penpay.application.shared.ports import Clock
from penpay.domain.shared.email import Email

_PERMANENT: Final = range(500, 600)
_DEADLINE_SECONDS: Final = 30


class Encryption(Enum):
    """How the connection to the server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    """Asked for before anything else is said; a server that does not offer it gets nothing."""
    TLS = "tls"
    """From the first byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Who takes our mail."""

    host: str
    port: int
    encryption: Encryption
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class SmtpCarrier:
    """`application.payments.notifying.Carrier` over one SMTP server, a connection a message.

    The Message-ID is that of the message, the same in every attempt, and mailboxes show one message for it. A server
    that refuses the address or the message for good (RFC 5321 §4.2.1: 5yz) is believed; a refusal of ourselves is for
    operators to mend, so it is tried again.
    """

    def __init__(self, server: SmtpServer, *, sender: Email, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        """`tls` None: certificates are checked against the authorities of this machine."""
        self._server = server
        self._sender = sender
        self._clock = clock
        self._tls = tls

    async def carry(self, message: OutgoingMessage) -> CarrierAnswer:
        """Hand it over, once; silence, and whatever else is no answer about this message, is LATER."""
        server = self._server
        try:
            await aiosmtplib.send(
                self._mail(message),
                hostname=server.host,
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.encryption is Encryption.TLS,
                start_tls=server.encryption is Encryption.STARTTLS,
                tls_context=self._tls,
                timeout=_DEADLINE_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            return _refused(max(one.code for one in refusal.recipients))
        except aiosmtplib.SMTPDataError as refusal:
            return _refused(refusal.code)
        except aiosmtplib.SMTPResponseException as refusal:
            return CarrierAnswer(Carried.LATER, f"smtp_{refusal.code}")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Of the kind alone: the words may quote the address.
            return CarrierAnswer(Carried.LATER, type(error).__name__)
        return CarrierAnswer(Carried.TAKEN, "taken")

    def _mail(self, message: OutgoingMessage) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._sender.address
        mail["To"] = message.to
        mail["Subject"] = message.title
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = f"<{message.message_id}@{self._sender.address.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence notice answers it
        mail.set_content(message.text)
        return mail


def _refused(code: int) -> CarrierAnswer:
    outcome = Carried.REFUSED if code in _PERMANENT else Carried.LATER
    return CarrierAnswer(outcome, f"smtp_{code}")
