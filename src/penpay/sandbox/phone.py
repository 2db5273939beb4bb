"""A simulated handset: it shows the operator's prompt and takes the PIN. Messages are in the operator's outbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from penpay.domain.mobile_money.stk_push import PushResult
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.money import Money
from penpay.domain.shared.phone import PhoneNumber


class NoPrompt(DomainError):
    code = "no_prompt"
    title = "The phone shows no prompt."


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the subscriber sees before she enters her PIN."""

    checkout_request_id: str
    merchant: str
    amount: Money
    account_reference: str
    expires_at: datetime


class Habit(StrEnum):
    """What a handset does by itself with every prompt."""

    ENTER_PIN = "ENTER_PIN"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAnswer:
    """An owner who always does the same, this long after the prompt appears. `pin` belongs to ENTER_PIN."""

    habit: Habit
    pin: str = ""
    after_ms: int = 0


class PromptAnswers(Protocol):
    """Where a handset sends what its owner does with a prompt; both return how the payment ended."""

    async def enter_pin(self, checkout_request_id: str, pin: str) -> PushResult:
        """Raises PushEnded if the prompt is over, InvalidPin if it is no PIN at all."""
        ...

    async def cancel(self, checkout_request_id: str) -> PushResult:
        """Raises PushEnded if the prompt is over."""
        ...


class SimulatedPhone:
    """One SIM in one handset. Prompts are on the handset only and are gone when the sandbox stops."""

    def __init__(self, number: PhoneNumber, operator: PromptAnswers) -> None:
        self.number = number
        self.standing_answer: StandingAnswer | None = None
        self._operator = operator
        self._shown: Prompt | None = None
        self._unseen = False
        self._changed = asyncio.Condition()

    @property
    def prompt(self) -> Prompt | None:
        """The prompt on the screen now."""
        return self._shown

    async def next_prompt(self) -> Prompt:
        """Wait for a prompt that this method has not returned before."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._unseen and self._shown is not None)
            self._unseen = False
            if self._shown is None:  # pragma: no cover  (excluded by the condition above; told to the type checker)
                raise NoPrompt
            return self._shown

    async def give_pin(self, pin: str) -> PushResult:
        """Answer the prompt on the screen and return how the payment ended. Raises NoPrompt, InvalidPin, PushEnded."""
        return await self._operator.enter_pin(self._on_screen().checkout_request_id, pin)

    async def cancel(self) -> PushResult:
        """Dismiss the prompt on the screen. Raises NoPrompt, PushEnded."""
        return await self._operator.cancel(self._on_screen().checkout_request_id)

    async def show(self, prompt: Prompt) -> None:
        """The network puts a prompt on the screen."""
        async with self._changed:
            self._shown = prompt
            self._unseen = True
            self._changed.notify_all()

    async def dismiss(self, checkout_request_id: str) -> None:
        """The network takes this prompt off the screen; another prompt stays."""
        async with self._changed:
            if self._shown is not None and self._shown.checkout_request_id == checkout_request_id:
                self._shown = None
                self._unseen = False

    def _on_screen(self) -> Prompt:
        if self._shown is None:
            raise NoPrompt
        return self._shown
