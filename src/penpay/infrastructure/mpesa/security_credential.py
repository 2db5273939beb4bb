"""The initiator who may move our money at M-Pesa: a name, and a password that travels encrypted (daraja.md §4.2)."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

_NAME: Final = re.compile(r"[!-~]{1,64}", re.ASCII)
_SHORTEST_KEY_BITS: Final = 2048
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


class Initiator:
    """Shows neither password nor credential; what a log or an exception says of it is the name."""

    def __init__(self, *, name: str, password: str, certificate: bytes | Path) -> None:
        """Encrypt the password once, for Safaricom's certificate or public key in PEM, given whole or by path.

        The certificate's dates are not checked: those in circulation ended years ago, and only their key counts.
        Raises ValueError, with no secret in it, for what is no such file, key, name or password; OSError for a path
        that cannot be read.
        """
        if not _NAME.fullmatch(name):
            raise ValueError("An initiator's name has 1 to 64 visible ASCII characters.")
        pem = certificate.read_bytes() if isinstance(certificate, Path) else certificate
        self.name = name
        self._credential = security_credential(password, _public_key(pem))
        self._password = password

    def __repr__(self) -> str:
        return f"Initiator(name={self.name!r})"

    @property
    def credential(self) -> str:
        """What goes into SecurityCredential."""
        return self._credential

    @property
    def secrets(self) -> tuple[str, str]:
        """What must go into no log, exception or answer."""
        return self._password, self._credential


def security_credential(password: str, key: RSAPublicKey) -> str:
    """Base64, without line breaks, of the password's UTF-8 bytes under RSA with PKCS #1 v1.5 (daraja.md §4.2).

    The padding is random, so each result differs and all are good. Raises ValueError for a password that is empty or
    longer than the key holds.
    """
    plain = password.encode()
    if not 1 <= len(plain) <= key.key_size // 8 - 11:
        raise ValueError("The initiator's password is empty or longer than the key can hold.")
    return base64.b64encode(key.encrypt(plain, PKCS1v15())).decode("ascii")


def _public_key(pem: bytes) -> RSAPublicKey:
    try:
        key = load_pem_x509_certificate(pem).public_key() if _CERTIFICATE in pem else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("Neither a certificate nor a public key in PEM.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _SHORTEST_KEY_BITS:
        raise ValueError(f"The initiator's password needs an RSA key of {_SHORTEST_KEY_BITS} bits or more.")
    return key
