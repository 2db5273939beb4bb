"""Telling M-Pesa where to post: the intent is kept before the call, and what M-Pesa answered after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NewType
from uuid import UUID

from penpay.application.shared.executor import Executor
from penpay.application.shared.ports import Ids
from penpay.application.shared.unit_of_work import Find, Footprint, Kind, Work
from penpay.domain.mpesa.gateway import C2bAddresses, CallAnswer, CallOutcome, MpesaReceipts
from penpay.domain.shared.errors import NotFound

C2bRegistrationId = NewType("C2bRegistrationId", UUID)


class RegistrationState(StrEnum):
    ASKING = "ASKING"
    """The call is out, or whoever made it has died."""
    REGISTERED = "REGISTERED"
    STANDING = "STANDING"
    """This number had addresses already, and those stay in force; production takes addresses once."""
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"
    """No whole answer came back. Registering again does no harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class C2bRegistration:
    """One attempt to register our addresses, and what came of it."""

    id: C2bRegistrationId
    short_code: str
    addresses: C2bAddresses = field(repr=False)
    """Their paths hold the secret by which messages are told from forged ones."""
    state: RegistrationState = RegistrationState.ASKING
    code: str | None = None
    asked_by: str
    asked_at: datetime
    answered_at: datetime | None = None
    version: int = 1


C2B_REGISTRATIONS: Final[Kind[C2bRegistrationId, C2bRegistration]] = Kind("c2b_registrations")

_STATES: Final[Mapping[CallOutcome, RegistrationState]] = MappingProxyType(
    {
        CallOutcome.ACCEPTED: RegistrationState.REGISTERED,
        CallOutcome.FAILED: RegistrationState.REFUSED,
        CallOutcome.RETRY_LATER: RegistrationState.REFUSED,
        CallOutcome.MISCONFIGURED: RegistrationState.REFUSED,
        CallOutcome.UNKNOWN: RegistrationState.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendRegistration:
    registration_id: C2bRegistrationId
    short_code: str
    addresses: C2bAddresses = field(repr=False)
    by: str


class IntendRegistrationHandler:
    async def footprint(self, commands: Sequence[IntendRegistration], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint()

    def handle(self, command: IntendRegistration, work: Work) -> None:
        """Keep what we are about to ask for."""
        registration = C2bRegistration(
            id=command.registration_id,
            short_code=command.short_code,
            addresses=command.addresses,
            asked_by=command.by,
            asked_at=work.now,
        )
        work.add(C2B_REGISTRATIONS, registration.id, registration)
        work.audit(
            command.by, "c2b.registering", "c2b_registration", registration.id, short_code=registration.short_code
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRegistration:
    registration_id: C2bRegistrationId
    answer: CallAnswer


class RecordRegistrationHandler:
    async def footprint(self, commands: Sequence[RecordRegistration], find: Find) -> Footprint:  # noqa: ARG002  (Handler)
        return Footprint().add(C2B_REGISTRATIONS, *(command.registration_id for command in commands))

    def handle(self, command: RecordRegistration, work: Work) -> C2bRegistration:
        """What became of it; raises NotFound. A repeat changes nothing."""
        asked = work.get(C2B_REGISTRATIONS, command.registration_id)
        if asked is None:
            raise NotFound
        if asked.state is not RegistrationState.ASKING:
            return asked
        answer = command.answer
        state = RegistrationState.STANDING if _had_addresses(answer) else _STATES[answer.outcome]
        told = replace(asked, state=state, code=answer.code, answered_at=work.now, version=asked.version + 1)
        work.put(C2B_REGISTRATIONS, told.id, told)
        work.audit("mpesa", "c2b.registered", "c2b_registration", told.id, state=state.value, code=answer.code)
        return told


def _had_addresses(answer: CallAnswer) -> bool:
    return answer.outcome is CallOutcome.FAILED and answer.existed


class AddressRegistrar:
    """Registers addresses for one short code."""

    def __init__(self, *, executor: Executor, receipts: MpesaReceipts, ids: Ids, short_code: str) -> None:
        self._executor = executor
        self._receipts = receipts
        self._ids = ids
        self._short_code = short_code

    async def register(self, addresses: C2bAddresses, *, by: str) -> tuple[C2bRegistration, CallAnswer]:
        """Ask M-Pesa to post to these addresses, and keep what it answered.

        Raises InvalidRequest, before M-Pesa is asked, for an address that it would not take.
        """
        intent = IntendRegistration(
            registration_id=C2bRegistrationId(self._ids.new()),
            short_code=self._short_code,
            addresses=addresses,
            by=by,
        )
        await self._executor.execute(intent)
        answer = await self._receipts.register_addresses(addresses)
        kept: C2bRegistration = await self._executor.execute(
            RecordRegistration(registration_id=intent.registration_id, answer=answer)
        )
        return kept, answer
