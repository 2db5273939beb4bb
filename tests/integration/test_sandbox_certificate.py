"""The sandbox as it is put together: its certificate is offered beside the operator's own routes, and stays."""

from __future__ import annotations

from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.test_sandbox_seeding import started


async def _public_key(folder: Path) -> bytes:
    """As a client reads it from the sandbox on this folder's database."""
    async with started(folder) as (sandbox, _):
        transport = httpx.ASGITransport(sandbox.create_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            answer = await client.get("/sandbox/certificate")
    public = x509.load_pem_x509_certificate(answer.content).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


async def test_the_certificate_outlives_a_restart(tmp_path: Path) -> None:
    """Clients keep what they encrypted with it; another database has another key."""
    first = tmp_path / "first"
    second = tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()

    keys = [await _public_key(folder) for folder in (first, first, second)]

    assert (True, False) == (keys[0] == keys[1], keys[1] == keys[2])
