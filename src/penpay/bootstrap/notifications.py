"""Who carries messages to users, as the settings say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from penpay.application.payments.notifying import DueNotification, NotificationBooks
from penpay.application.shared.carrying import Carrier
from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Clock
from penpay.bootstrap.workers import MakeWorker
from penpay.config import Settings
from penpay.domain.shared.delivery import Channel
from penpay.domain.shared.email import Email
from penpay.infrastructure.mail.smtp import Encryption, SmtpCarrier, SmtpServer
from penpay.infrastructure.sms.gateway import SmsGateway
from penpay.infrastructure.sql.due import Queue
from penpay.workers.notification import NOTIFICATIONS_WORKER, NotificationWorker
from penpay.workers.runtime import Worker

_ENCRYPTIONS: Final[Mapping[str, tuple[Encryption, int]]] = MappingProxyType(
    {"smtp": (Encryption.STARTTLS, 587), "smtps": (Encryption.TLS, 465), "smtp+plain": (Encryption.NONE, 25)}
)
"""By scheme of PENPAY_SMTP_URL: how it is protected, and the usual port."""


def carriers(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> Mapping[Channel, Carrier]:
    """Who delivers on each channel; a channel without its settings is left out, and its messages are kept."""
    found: dict[Channel, Carrier] = {}
    if settings.sms_url is not None and settings.sms_username is not None and settings.sms_api_key is not None:
        found[Channel.SMS] = SmsGateway(
            http,
            url=settings.sms_url,
            username=settings.sms_username,
            api_key=settings.sms_api_key.get_secret_value(),
            sender=settings.sms_from,
        )
    if settings.smtp_url is not None and settings.mail_from is not None:
        server = smtp_server(settings.smtp_url.get_secret_value())
        found[Channel.MAIL] = SmtpCarrier(server, sender=Email.parse(settings.mail_from), clock=clock)
    return found


def deliveries(
    worker: MakeWorker, executor: Executor, books: NotificationBooks, carried: Mapping[Channel, Carrier], clock: Clock
) -> Sequence[Worker[DueNotification]]:
    """The worker that delivers; nobody where no channel is carried, and all is kept."""
    if not carried:
        return ()
    messages = NotificationWorker(executor=executor, carriers=carried)
    return (
        worker(
            NOTIFICATIONS_WORKER,
            lambda limit: books.due(clock.now(), limit, carried),
            lambda found: found.key,
            messages.handle,
            Queue.NOTIFICATIONS,
        ),
    )


def smtp_server(url: str) -> SmtpServer:
    """The server that an address such as smtp://user:password@host:587 names; the settings have checked its form."""
    parts = urlsplit(url)
    encryption, port = _ENCRYPTIONS[parts.scheme]
    return SmtpServer(
        host=parts.hostname or "",
        port=parts.port or port,
        encryption=encryption,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )
