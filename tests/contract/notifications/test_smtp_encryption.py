"""No mail, address or password is told to a mail server before the connection is protected as the settings say."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penpay.application.shared.carrying import Carried, CarrierAnswer, OutgoingMessage
from penpay.bootstrap.notifications import smtp_server
from penpay.domain.shared.email import Email
from penpay.infrastructure.mail.smtp import Encryption, SmtpCarrier
from tests.contract.notifications.post_office import PostOffice
from tests.contract.notifications.stage import ADDRESS, SENDER
from tests.servers.process import free_port
from tests.support.ports import HandClock

MESSAGE = OutgoingMessage(message_id="1.2.mail", to=ADDRESS.address, title="Title", text="Text")
PRIVATE = {"AUTH", "MAIL", "RCPT", "DATA"}


def identity(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS on 127.0.0.1, and the file of its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "post-office")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    told, kept = folder / "server.crt", folder / "server.key"
    told.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kept.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(told, kept)
    return context, told


async def carried(url: str, tls: ssl.SSLContext | None = None) -> CarrierAnswer:
    return await SmtpCarrier(smtp_server(url), sender=Email(SENDER), clock=HandClock(), tls=tls).carry(MESSAGE)


async def test_a_server_without_starttls_is_told_nothing(post_office: PostOffice) -> None:
    """It might be somebody on the way who has taken the offer out: the message waits."""
    answer = await carried(f"smtp://us:secret@127.0.0.1:{post_office.port}")

    assert Carried.LATER is answer.outcome
    assert not PRIVATE & set(post_office.spoken)


async def test_a_server_with_another_certificate_is_told_nothing(tmp_path: Path) -> None:
    """Nobody we trust has signed it."""
    context, _ = identity(tmp_path)
    async with PostOffice(context) as office:
        answer = await carried(f"smtp://us:secret@127.0.0.1:{office.port}")

    assert Carried.LATER is answer.outcome
    assert not PRIVATE & set(office.spoken)


async def test_behind_starttls_it_is_told_all(tmp_path: Path) -> None:
    """The password goes after the handshake, and then the mail."""
    context, told = identity(tmp_path)
    async with PostOffice(context) as office:
        trusting = ssl.create_default_context(cafile=told)
        answer = await carried(f"smtp://us:secret@127.0.0.1:{office.port}", trusting)

    assert CarrierAnswer(Carried.TAKEN, "taken") == answer
    assert [("us", "secret")] == office.logins
    assert ["<1.2.mail@pay.example>"] == [mail["Message-ID"] for mail in office.mails]
    assert office.spoken.index("STARTTLS") < office.spoken.index("AUTH")


async def test_nobody_listens() -> None:
    """Nothing has left, and it is tried again."""
    assert Carried.LATER is (await carried(f"smtp+plain://127.0.0.1:{free_port()}")).outcome


@pytest.mark.parametrize(
    ("url", "encryption", "port"),
    [
        ("smtp://mail.example", Encryption.STARTTLS, 587),
        ("smtps://mail.example", Encryption.TLS, 465),
        ("smtps://mail.example:2465", Encryption.TLS, 2465),
        ("smtp+plain://mail.example", Encryption.NONE, 25),
    ],
)
def test_the_address_says_how_it_is_protected(url: str, encryption: Encryption, port: int) -> None:
    """By its scheme, with the usual port unless another is named."""
    server = smtp_server(url)

    assert ("mail.example", encryption, port, None) == (server.host, server.encryption, server.port, server.username)
