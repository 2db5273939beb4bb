"""Our side of Daraja, as the settings say: one app's session, and the three ports that share it."""

from __future__ import annotations

import httpx

from penpay.application.shared.ports import Clock
from penpay.config import InvalidSettings, Settings
from penpay.infrastructure.mpesa.client import DarajaClient
from penpay.infrastructure.mpesa.disbursements import DarajaDisbursements
from penpay.infrastructure.mpesa.receipts import C2bVersion, DarajaReceipts
from penpay.infrastructure.mpesa.security_credential import Initiator
from penpay.infrastructure.mpesa.session import DarajaSession


def daraja_client(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> DarajaClient:
    """Pushes and their queries; its session serves the other two."""
    return DarajaClient(
        http=http,
        clock=clock,
        base_url=settings.mpesa_base_url,
        consumer_key=settings.mpesa_consumer_key.get_secret_value(),
        consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
        short_code=settings.mpesa_short_code,
        passkey=settings.mpesa_passkey.get_secret_value(),
        callback_base_url=settings.mpesa_callback_url,
    )


def daraja_receipts(settings: Settings, session: DarajaSession) -> DarajaReceipts:
    """Payments that customers make of their own accord to our number."""
    return DarajaReceipts(
        session=session, short_code=settings.mpesa_short_code, version=C2bVersion(settings.mpesa_c2b_version)
    )


def daraja_disbursements(settings: Settings, session: DarajaSession) -> DarajaDisbursements | None:
    """What leaves our accounts, and questions about it; None without an initiator.

    Raises InvalidSettings for a certificate that cannot be read, is none, or is too small for the password.
    """
    name, password, certificate = (
        settings.mpesa_initiator_name,
        settings.mpesa_initiator_password,
        settings.mpesa_certificate,
    )
    if name is None or password is None or certificate is None:
        return None
    try:
        initiator = Initiator(name=name, password=password.get_secret_value(), certificate=certificate)
    except OSError as unreadable:
        raise InvalidSettings((f"MPESA_CERTIFICATE: cannot be read: {unreadable.strerror}",)) from None
    except ValueError as refused:
        raise InvalidSettings((f"MPESA_CERTIFICATE: {refused}",)) from None
    return DarajaDisbursements(
        session=session,
        initiator=initiator,
        short_code=settings.b2c_short_code,
        result_base_url=settings.result_base_url,
        timeout_base_url=settings.timeout_base_url,
    )
