"""No token, passkey, password or credential comes out of the client again, however Daraja echoes it."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from penpay.domain.mpesa.gateway import MpesaGateway
from penpay.domain.mpesa.queue_timeout import parse_queue_timeout
from penpay.domain.mpesa.wire import UnreadableMessage
from penpay.infrastructure.mpesa.disbursements import DarajaDisbursements
from penpay.infrastructure.mpesa.security_credential import Initiator
from penpay.infrastructure.mpesa.session import DarajaSession, without_secrets
from tests.contract.mpesa.calls import B2C, EVERY_CALL, PASSWORD, TAKEN, make, safaricom
from tests.contract.mpesa.scripted_daraja import OAUTH, PUSH, Received, Reply, ScriptedDaraja, http, refused, said
from tests.contract.mpesa.steps import PASSKEY, PUSHED

TOKEN = "abcdefghijklmnopqrstuvwxyzab"
"""Letters only: nothing but knowing it tells it from a word."""


def plain(text: str) -> str:
    return text


def in_json(text: str) -> str:
    return text.replace("/", "\\/").replace("=", "\\u003d").replace("+", "\\u002B")


def in_html(text: str) -> str:
    return html.escape(text).replace("+", "&#43;").replace("=", "&#61;").replace("/", "&#x2F;")


def in_address(text: str) -> str:
    return quote(text, safe="")


SPELLINGS = [plain, in_json, in_html, in_address]


@pytest.mark.parametrize("path", EVERY_CALL)
@pytest.mark.parametrize("spell", SPELLINGS)
async def test_an_echoed_secret_goes_no_further(
    disbursements: DarajaDisbursements,
    daraja: ScriptedDaraja,
    caplog: pytest.LogCaptureFixture,
    path: str,
    spell: Callable[[str], str],
) -> None:
    """A page that repeats header and body, in whatever spelling, leaves no secret in the answer or in the log."""
    caplog.set_level(logging.DEBUG)
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": TOKEN, "expires_in": "3599"})

    def script(request: Received) -> Reply:
        credential = json.loads(request.body)["SecurityCredential"]
        echo = f"<p>{spell(request.bearer)} {spell(credential)} {spell('consumer-secret')}</p>"
        return http(500, echo.encode(), "text/html")

    daraja.scripts[path] = script
    answer = await make(disbursements, path)

    assert "HTTP 500: <p>[redacted] [redacted] [redacted]</p>" == answer.message
    credential = json.loads(daraja.to(path)[0].body)["SecurityCredential"]
    shown = repr(answer) + caplog.text + repr(disbursements) + repr(vars(disbursements))
    for secret in (TOKEN, credential, PASSWORD, "consumer-secret"):
        assert secret not in shown


async def test_a_push_echoed_keeps_its_passkey(client: MpesaGateway, daraja: ScriptedDaraja) -> None:
    """The Password field holds the passkey in base64, which anybody can read."""

    def script(request: Received) -> Reply:
        fields = json.loads(request.body)
        return http(503, f"{PASSKEY} {fields['Password']}".encode(), "text/plain")

    daraja.scripts[PUSH] = script

    assert "HTTP 503: [redacted] [redacted]" == (await client.stk_push(PUSHED)).message


async def test_the_token_in_a_refusal_is_cut_out(disbursements: DarajaDisbursements, daraja: ScriptedDaraja) -> None:
    """401.002.01 ends with the token."""
    echo = "Error Occurred - Invalid Access Token - "
    daraja.scripts[OAUTH] = lambda _: said(200, {"access_token": TOKEN, "expires_in": "3599"})
    daraja.scripts[B2C] = lambda request: refused(401, "401.002.01", echo + request.bearer)

    assert echo + "[redacted]" == (await make(disbursements, B2C)).message


async def test_no_exception_or_object_shows_a_secret(
    session: DarajaSession, disbursements: DarajaDisbursements, daraja: ScriptedDaraja
) -> None:
    """Not the initiator, not a session that holds a token, not a time-out that could not be read."""
    daraja.scripts[B2C] = lambda _: said(200, TAKEN)
    await make(disbursements, B2C)
    initiator = safaricom().initiator()
    raw = json.dumps({"SecurityCredential": initiator.credential}).encode()
    with pytest.raises(UnreadableMessage) as refusal:
        parse_queue_timeout(raw)

    held = repr(initiator) + repr(vars(session)["_tokens"].__dict__) + repr(refusal.value) + str(refusal.value)
    assert "Initiator(name='testapi')" in held
    for secret in (PASSWORD, initiator.credential, "'token-1'"):
        assert secret not in held


def test_short_test_values_are_not_cut_out_of_words() -> None:
    """A secret of three letters would turn half an answer into nothing."""
    assert b"the tokens" == without_secrets(b"the tokens", ("tok",))
    assert b"[redacted]s" == without_secrets(b"a+b/c=.*s", ("a+b/c=.*",))


def test_a_credential_opens_to_the_password(tmp_path: Path) -> None:
    """From a certificate that ended, from its bare key, by path or whole; each time another one."""
    path = tmp_path / "apicrypt.pem"
    path.write_bytes(safaricom().certificate)
    initiators = [
        Initiator(name="testapi", password=PASSWORD, certificate=source)
        for source in (path, safaricom().certificate, safaricom().public_key)
    ]
    credentials = {one.credential for one in initiators}

    assert [PASSWORD] * 3 == [safaricom().opened(credential) for credential in credentials]
    assert {344} == {len(credential) for credential in credentials}
    assert initiators[0].credential == initiators[0].credential


def test_what_cannot_encrypt_stops_the_start(tmp_path: Path) -> None:
    """A wrong file, another kind of key, a short one, a password that does not fit; none is quoted."""

    def pem(key: RSAPrivateKey | EllipticCurvePrivateKey) -> bytes:
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    short = generate_private_key(65_537, 1_024)  # noqa: S505 -- it is the one to be refused
    for name, password, source in (
        ("testapi", PASSWORD, b""),
        ("testapi", PASSWORD, b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"),
        ("testapi", PASSWORD, pem(generate_ec_key(SECP256R1()))),
        ("testapi", PASSWORD, pem(short)),
        ("testapi", "", safaricom().public_key),
        ("testapi", PASSWORD * 20, safaricom().public_key),
        ("test api", PASSWORD, safaricom().public_key),
    ):
        with pytest.raises(ValueError, match=r"initiator|PEM") as refusal:
            Initiator(name=name, password=password, certificate=source)
        assert PASSWORD not in repr(refusal.value)
    with pytest.raises(OSError, match="no-such"):
        Initiator(name="testapi", password=PASSWORD, certificate=tmp_path / "no-such.pem")
