"""Connecting a user's Deriv account: her token there is kept, sealed, until a moment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from penpay.application.identity.rows import DERIV_ACCOUNTS
from penpay.application.shared.kept_secrets import SECRETS, KeptSecret, SecretPurpose
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.identity.user import DerivAccount
from penpay.domain.shared.errors import InvalidRequest, NotFound

_TOKEN: Final = re.compile(r"[\w-]{1,128}", re.ASCII)
"""As Deriv's own schema has it (deriv.md §2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindDerivToken:
    """The token, with the scope `payments`, of the user whose account this is; it replaces the one before."""

    deriv_login_id: DerivLoginId
    token: str = field(repr=False)
    good_for: timedelta


class BindDerivTokenHandler:
    async def footprint(self, commands: Sequence[BindDerivToken], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(DERIV_ACCOUNTS, *(command.deriv_login_id.value for command in commands))

    def handle(self, command: BindDerivToken, work: Work) -> DerivAccount:
        """Keep it. Raises NotFound for an account nobody has, InvalidRequest for what is no token or lasts no time."""
        if not _TOKEN.fullmatch(command.token):
            raise InvalidRequest("A Deriv token has 1 to 128 letters, digits, underscores or hyphens.")
        if command.good_for <= timedelta(0):
            raise InvalidRequest("A token is kept for some time.")
        account = work.get(DERIV_ACCOUNTS, command.deriv_login_id.value)
        if account is None:
            raise NotFound("Nobody has this Deriv account here.")
        key = (SecretPurpose.DERIV_TOKEN, account.id)
        secret = KeptSecret(
            purpose=SecretPurpose.DERIV_TOKEN,
            subject_id=account.id,
            value=command.token,
            created_at=work.now,
            expires_at=work.now + command.good_for,
        )
        work.get(SECRETS, key)  # outside the footprint at first: only the account tells whose it is
        work.put(SECRETS, key, secret)
        work.audit("operator", "deriv_account.connected", "deriv_account", account.id)
        return account
