"""Setting the eight flat charges, and loading dated tariffs of amount bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from penpay.application.mobile_money.approving import Actor, administrator, do_or_ask
from penpay.application.mobile_money.rows import ADMINISTRATORS, CHARGES, TARIFFS
from penpay.application.mobile_money.tariff_file import parse_tariff, render_tariff
from penpay.application.shared.idempotency import Answer
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.mobile_money.administrator import AdministratorId, Right
from penpay.domain.mobile_money.approval import Approval, ApprovalKind
from penpay.domain.mobile_money.errors import ChargeNotFound, TariffExists
from penpay.domain.mobile_money.policy import OperatorPolicy
from penpay.domain.mobile_money.tariff import Tariff
from penpay.domain.mobile_money.transaction import ChargeId
from penpay.domain.shared.errors import InvalidAmount
from penpay.domain.shared.events import DomainEvent, Fact
from penpay.domain.shared.money import Currency, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCharge:
    charge_id: ChargeId
    fee: Money
    by: AdministratorId


class SetChargeHandler:
    """Directly, or by approval above the limit."""

    kind = ApprovalKind.CHARGE

    def __init__(self, policy: OperatorPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[SetCharge], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return (
            Footprint()
            .add(CHARGES, *(command.charge_id for command in commands))
            .add(ADMINISTRATORS, *(command.by for command in commands))
        )

    def handle(self, command: SetCharge, work: Work) -> Answer:
        """Zero makes it free again. Raises ChargeNotFound, and InvalidAmount for a fee below zero."""
        administrator(work, command.by, Right.TARIFF)
        if command.fee.cents < 0:
            raise InvalidAmount("A fee is never negative.")
        if work.get(CHARGES, command.charge_id) is None:
            raise ChargeNotFound
        by = Actor.administrator(command.by)
        return do_or_ask(self, command, work, policy=self._policy, amount=command.fee, by=by)

    def facts(self, command: SetCharge) -> Mapping[str, Fact]:
        return {"charge_id": str(command.charge_id)}

    def command(self, approval: Approval) -> SetCharge:
        return SetCharge(
            charge_id=ChargeId(UUID(str(approval.facts["charge_id"]))),
            fee=approval.amount,
            by=AdministratorId(Actor.parse(approval.requested_by).id),
        )

    def perform(self, command: SetCharge, work: Work) -> Answer:
        """See `handle`."""
        charge = work.get(CHARGES, command.charge_id)
        if charge is None:
            raise ChargeNotFound
        after = replace(charge, fee=command.fee, version=charge.version + 1)
        work.put(CHARGES, charge.id, after)
        facts = {"before_cents": charge.fee.cents, "fee_cents": after.fee.cents}
        work.record(DomainEvent("ChargeSet", "Charge", charge.id, after.version, facts))
        work.audit(f"administrator:{command.by}", "charge.set", "charge", charge.id, **facts)
        return {"chargeId": str(charge.id), "feeCents": after.fee.cents}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTariff:
    """A tariff of amount bands; from its first day on it is in force instead of flat charges."""

    tariff: Tariff
    by: str
    """`administrator:<id>`, or `operator` from the command line."""


class LoadTariffHandler:
    """Directly, or by approval when its largest fee is above the limit."""

    kind = ApprovalKind.TARIFF

    def __init__(self, policy: OperatorPolicy) -> None:
        self._policy = policy

    async def footprint(self, commands: Sequence[LoadTariff], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        footprint = Footprint().add(TARIFFS, *(command.tariff.valid_from.isoformat() for command in commands))
        for command in commands:
            if command.by.startswith("administrator:"):
                Actor.parse(command.by).footprint(footprint)
        return footprint

    def handle(self, command: LoadTariff, work: Work) -> Answer:
        """Loading the same once more changes nothing. Raises TariffExists for another one of the same day."""
        if command.by == "operator":
            return self.perform(command, work)
        by = Actor.parse(command.by)
        administrator(work, AdministratorId(by.id), Right.TARIFF)
        largest = max(
            (band.payer_fee + band.payee_fee for bands in command.tariff.bands.values() for band in bands),
            default=Money.zero(Currency.KES),
        )
        return do_or_ask(self, command, work, policy=self._policy, amount=largest, by=by)

    def facts(self, command: LoadTariff) -> Mapping[str, Fact]:
        return {"document": render_tariff(command.tariff)}

    def command(self, approval: Approval) -> LoadTariff:
        return LoadTariff(tariff=parse_tariff(str(approval.facts["document"]).encode()), by=approval.requested_by)

    def perform(self, command: LoadTariff, work: Work) -> Answer:
        """See `handle`."""
        tariff = command.tariff
        day = tariff.valid_from.isoformat()
        known = work.get(TARIFFS, day)
        if known is not None and known != tariff:
            raise TariffExists(valid_from=day)
        if known is None:
            work.put(TARIFFS, day, tariff)
            work.audit(command.by, "tariff.loaded", "tariff", day)
        return {"name": tariff.name, "validFrom": day}
