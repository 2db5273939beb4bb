"""Administrators of the operator, and what each role may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from penpay.domain.mobile_money.customer import Login
from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import Forbidden
from penpay.domain.shared.phone import PhoneNumber

AdministratorId = NewType("AdministratorId", UUID)


class Right(StrEnum):
    """One thing an administrator may be allowed to do."""

    ADMINISTRATORS = "ADMINISTRATORS"
    """Create, suspend and re-activate administrators, and give them roles."""
    VIEW_CUSTOMERS = "VIEW_CUSTOMERS"
    EDIT_CUSTOMERS = "EDIT_CUSTOMERS"
    """Contacts, names, tier, status, PIN locks."""
    SUPER_AGENTS = "SUPER_AGENTS"
    FLOAT = "FLOAT"
    """Issue float, enter bank deposits, sweep, pay commission, see the reconciliation."""
    TARIFF = "TARIFF"
    REVERSALS = "REVERSALS"
    APPROVALS = "APPROVALS"
    """Decide what somebody else has asked for."""


class AdministratorRole(StrEnum):
    SUPER = "SUPER"
    CUSTOMER_CARE = "CUSTOMER_CARE"
    FINANCE = "FINANCE"
    IT = "IT"

    @property
    def rights(self) -> frozenset[Right]:
        return _RIGHTS[self]


_RIGHTS: Final[Mapping[AdministratorRole, frozenset[Right]]] = {
    AdministratorRole.SUPER: frozenset(Right),
    AdministratorRole.CUSTOMER_CARE: frozenset({Right.VIEW_CUSTOMERS, Right.EDIT_CUSTOMERS, Right.REVERSALS}),
    AdministratorRole.FINANCE: frozenset(
        {Right.VIEW_CUSTOMERS, Right.FLOAT, Right.TARIFF, Right.REVERSALS, Right.SUPER_AGENTS, Right.APPROVALS}
    ),
    # Keeps the installation running and gives access to it; touches neither customers nor money.
    AdministratorRole.IT: frozenset({Right.ADMINISTRATORS}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    id: AdministratorId
    name: str
    email: Email
    phone: PhoneNumber | None
    login: Login
    role: AdministratorRole
    is_active: bool
    created_at: datetime
    version: int = 0

    def require(self, right: Right) -> None:
        """Raises Forbidden unless the administrator is active and the role has this right."""
        if not self.is_active or right not in self.role.rights:
            raise Forbidden("This administrator may not do that.", right=right.value)

    def changed(self, **facts: object) -> Administrator:
        """The administrator with other facts, one version on."""
        return replace(self, **facts, version=self.version + 1)  # type: ignore[arg-type]  # names are checked by replace
