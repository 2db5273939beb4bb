"""In whose name a merchant's request is made, and the credential that proves it (daraja.md §4.2).

Wrong passwords are counted in memory: a restart forgives them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

from penpay.application.shared.ports import Aside
from penpay.domain.mobile_money import daraja_request as results
from penpay.domain.mobile_money.daraja_request import RequestResult
from penpay.sandbox.daraja.switches import DarajaCredentials, SwitchBoard
from penpay.sandbox.faults import DarajaCall

_KEY_BITS: Final = 2048
_CREDENTIAL_BYTES: Final = 256
_CREDENTIAL_LETTERS: Final = 344
_FORGIVEN: Final = 3
"""Wrong passwords in a row; after them the credential is locked."""
_LEAST_PADDING: Final = 8
_YEARS: Final = timedelta(days=3650)


class SecurityKey:
    """The sandbox's own key pair: clients encrypt their initiator's password with the public half."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private

    @classmethod
    def draw(cls) -> SecurityKey:
        """A new one of 2048 bits; takes a moment."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS))

    @classmethod
    def parse(cls, pem: bytes) -> SecurityKey:
        """The one that `pem` gave. Raises ValueError for anything else."""
        private = serialization.load_pem_private_key(pem, None)
        if not isinstance(private, rsa.RSAPrivateKey) or private.key_size != _KEY_BITS:
            raise ValueError("The file holds no RSA key of 2048 bits.")
        return cls(private)

    @property
    def pem(self) -> bytes:
        """The private key, to be kept."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def certificate(self, now: datetime) -> bytes:
        """The public key as a certificate in PEM, the form in which clients expect it."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
        public = self._private.public_key()
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(public.public_numbers().n % (1 << 64) + 1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _YEARS)
            .sign(self._private, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)

    def holds(self, sealed: bytes, message: bytes) -> bool:
        """Whether this was encrypted with this key, and was that; a fortieth of the work of opening it."""
        try:
            return hmac.compare_digest(self._private.decrypt(sealed, PKCS1v15()), message)
        except ValueError:
            return False

    def opened(self, sealed: bytes) -> bytes | None:
        """What was encrypted under PKCS #1 v1.5; None for what was not encrypted with this key.

        The library's own decryption gives random bytes for the latter, to tell an attacker nothing; here it is the
        very thing to know, and there is no attacker.
        """
        numbers = self._private.private_numbers()
        sent = int.from_bytes(sealed, "big")
        # By its two primes, a third of the work. Python keeps its lock meanwhile, so a thread would help nobody.
        of_p, of_q = pow(sent, numbers.dmp1, numbers.p), pow(sent, numbers.dmq1, numbers.q)
        block = of_q + numbers.q * (numbers.iqmp * (of_p - of_q) % numbers.p)
        clear = block.to_bytes(_CREDENTIAL_BYTES, "big")
        padding, separator, message = clear[2:].partition(b"\x00")
        if clear[:2] != b"\x00\x02" or not separator or len(padding) < _LEAST_PADDING:
            return None
        return message


class Initiators:
    """Who may act for which merchant."""

    def __init__(
        self,
        *,
        credentials: DarajaCredentials,
        switches: SwitchBoard,
        key: Callable[[], SecurityKey] | None,
        aside: Aside,
    ) -> None:
        """`key`: called `aside` when it is first needed; None for a sandbox without one, which opens no credential."""
        self._aside = aside
        self._credentials = credentials
        self._switches = switches
        self._make_key = key
        self._key: SecurityKey | None = None
        self._wrong: Counter[tuple[str, str]] = Counter()

    async def key(self) -> SecurityKey | None:
        """The same one every time, once it is there."""
        if self._key is None and self._make_key is not None:
            made = await self._aside(self._make_key)
            self._key = self._key or made
        return self._key

    async def refusal(self, call: DarajaCall, short_code: str, name: str, credential: str) -> RequestResult | None:
        """Why this may not be asked in that name; None if it may. A wrong password is counted."""
        known = next(
            (one for one in self._credentials.initiators if one.name == name and one.short_code in (None, short_code)),
            None,
        )
        if known is None:
            return results.UNKNOWN_INITIATOR
        key = await self.key()
        who = (short_code, name)
        if self._wrong[who] >= _FORGIVEN:
            return results.INITIATOR_LOCKED
        if not self._is_right(key, credential, known.password):
            self._wrong[who] += 1
            return results.WRONG_INITIATOR
        self._wrong.pop(who, None)
        return None if known.calls is None or call in known.calls else results.NOT_ALLOWED

    def unlock(self) -> None:
        """Forgive every wrong password."""
        self._wrong.clear()

    def _is_right(self, key: SecurityKey | None, credential: str, password: str) -> bool:
        try:
            sealed = base64.b64decode(credential, validate=True)
        except (binascii.Error, ValueError):
            return False
        if len(credential) != _CREDENTIAL_LETTERS or len(sealed) != _CREDENTIAL_BYTES:
            return False
        if key is not None and key.holds(sealed, password.encode()):
            return True
        if key is not None and key.opened(sealed) is not None:
            return False
        return not self._switches.now.check_security_credentials
