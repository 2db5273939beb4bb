"""Every way in which our sandbox spoils an answer, and what our client concludes from it: one table for all calls."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest

from penpay.domain.mpesa.gateway import PaymentOutcome
from penpay.domain.mpesa.verdicts_results import ResultOutcome
from penpay.sandbox.faults import ContradictoryFault, DarajaCall, SlowReply, Spoilt, SpoiltReply
from tests.contract.daraja.both import START, Both
from tests.contract.daraja.every_call import (
    ASKING,
    MOVING,
    SEND,
    Prepared,
    answered_prompt,
    prepared,
    times_moved,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONCLUSIONS: Mapping[Spoilt, tuple[str, str, str]] = {
    # what comes back    a push            a query           every other call
    Spoilt.CUT: ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
    Spoilt.ERROR_500: ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
    Spoilt.HTML_200: ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
    Spoilt.HTML_503: ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
    Spoilt.EMPTY_200: ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
    Spoilt.EMPTY_500: ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
    Spoilt.SYSTEM_BUSY: ("NOT_SENT 60 s", "UNKNOWN 60 s", "RETRY_LATER 60 s"),
    Spoilt.RATE_LIMITED: ("NOT_SENT 12 s", "UNKNOWN 12 s", "RETRY_LATER 12 s"),
    Spoilt.INVALID_TOKEN: ("ACCEPTED", "PAID", "ACCEPTED"),
}
"""The last one is cured by the client: a new token, and the call once more."""
HONEST = tuple(reply for reply in Spoilt if reply in CONCLUSIONS and "UNKNOWN" == CONCLUSIONS[reply][2])
"""Answers that leave it open whether the call was done."""
NOTHING_DONE = (Spoilt.SYSTEM_BUSY, Spoilt.RATE_LIMITED, Spoilt.INVALID_TOKEN)
"""Answers that say it was not."""


def expected(call: DarajaCall, reply: Spoilt) -> str:
    column = {DarajaCall.PUSH: 0, DarajaCall.QUERY: 1}.get(call, 2)
    return CONCLUSIONS[reply][column]


async def test_the_table_has_every_reply_and_every_call() -> None:
    """One that is added to the sandbox must be added here. QR codes are no call of our client."""
    assert set(Spoilt) == set(CONCLUSIONS)
    assert set(DarajaCall) - {DarajaCall.TOKEN, DarajaCall.QR} == set(SEND) == {*MOVING, *ASKING}


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("reply", HONEST)
@pytest.mark.parametrize("call", MOVING)
async def test_money_whose_answer_is_spoilt_moves_once_or_not_at_all(
    both: Both, call: DarajaCall, reply: Spoilt, *, done: bool
) -> None:
    """The client cannot tell; the message that comes, or the question it asks, can."""
    ready = await prepared(both, call)
    both.goes_wrong(SpoiltReply(call=call, reply=reply, done=done))

    sent = await SEND[call](both, both.client, ready)

    assert expected(call, reply) == sent.conclusion
    if call is DarajaCall.PUSH:
        assert done == await answered_prompt(both)
    assert int(done) == await times_moved(both, call)
    await truth_is_told(both, call, sent.token, done=done)


async def truth_is_told(both: Both, call: DarajaCall, token: str, *, done: bool) -> None:
    """A message under the call's token if it was done; of B2C also the status under our own id."""
    kind = "stk" if call is DarajaCall.PUSH else "result"
    if call is not DarajaCall.C2B_SIMULATE:
        assert int(done) == len(both.inbox.bodies(kind, token))
    if call is DarajaCall.B2C:
        status = await both.status(id_=token)
        paid = (ResultOutcome.SUCCEEDED, PaymentOutcome.PAID)
        assert (paid if done else (ResultOutcome.FAILED, PaymentOutcome.UNKNOWN)) == (status.outcome, status.payment)


@pytest.mark.parametrize("reply", NOTHING_DONE)
@pytest.mark.parametrize("call", MOVING)
async def test_an_answer_that_says_nothing_was_done_is_believed(both: Both, call: DarajaCall, reply: Spoilt) -> None:
    """Later, or at once with a new token, the same is sent again: it moves once."""
    ready = await prepared(both, call)
    both.goes_wrong(SpoiltReply(call=call, reply=reply))

    sent = await SEND[call](both, both.client, ready)

    assert expected(call, reply) == sent.conclusion
    if reply is not Spoilt.INVALID_TOKEN:
        assert not await answered_prompt(both)
        assert 0 == await times_moved(both, call)
        sent = await SEND[call](both, both.client, ready)
    assert "ACCEPTED" == sent.conclusion
    await answered_prompt(both)
    assert 1 == await times_moved(both, call)


@pytest.mark.parametrize("reply", Spoilt)
async def test_a_question_whose_answer_is_spoilt_is_asked_again(both: Both, reply: Spoilt) -> None:
    """It moves nothing, and the second time it is answered."""
    ready = await prepared(both, DarajaCall.STATUS)
    await both.pulled()
    for call in ASKING:
        both.goes_wrong(SpoiltReply(call=call, reply=reply, done=reply not in NOTHING_DONE))

        sent, again = [await SEND[call](both, both.client, ready) for _ in range(2)]

        assert (call, expected(call, reply)) == (call, sent.conclusion)
        assert ("PAID" if call is DarajaCall.QUERY else "ACCEPTED") == again.conclusion
    assert START == await both.books()


@pytest.mark.parametrize("reply", Spoilt)
async def test_without_a_token_nothing_is_sent(both: Both, reply: Spoilt) -> None:
    """Whatever comes instead of it; nothing was done, and twelve seconds later everything may be tried again."""
    fresh = both.make_client()
    both.goes_wrong(SpoiltReply(call=DarajaCall.TOKEN, reply=reply), times=2)

    pushed = await SEND[DarajaCall.PUSH](both, fresh, Prepared())
    paid = await SEND[DarajaCall.B2C](both, fresh, Prepared())

    assert ("NOT_SENT 12 s", "RETRY_LATER 12 s") == (pushed.conclusion, paid.conclusion)
    assert not await answered_prompt(both)
    assert 0 == await times_moved(both, DarajaCall.B2C)
    assert "ACCEPTED" == (await SEND[DarajaCall.B2C](both, fresh, Prepared())).conclusion
    assert 1 == await times_moved(both, DarajaCall.B2C)


@pytest.mark.parametrize("call", [*MOVING, *ASKING])
async def test_an_answer_that_is_too_slow_is_unknown(both: Both, call: DarajaCall) -> None:
    """Everything was done; the message about it comes all the same."""
    if call is DarajaCall.PULL:
        await both.pulled()
    ready = await prepared(both, call)
    both.goes_wrong(SlowReply(call=call, milliseconds=700))
    async with httpx.AsyncClient(timeout=httpx.Timeout(5, read=0.5), trust_env=False) as hurried:
        client = both.make_client(http=hurried)

        sent = await SEND[call](both, client, ready)

    assert "UNKNOWN" == sent.conclusion
    if call is DarajaCall.PUSH:
        assert await answered_prompt(both)
    if call in MOVING:
        assert 1 == await times_moved(both, call)
        await truth_is_told(both, call, sent.token, done=True)


@pytest.mark.parametrize("reply", NOTHING_DONE)
@pytest.mark.parametrize("call", [*MOVING, *ASKING, DarajaCall.TOKEN])
async def test_an_answer_that_denies_what_was_done_is_no_fault(call: DarajaCall, reply: Spoilt) -> None:
    """It would be believed and paid again; the sandbox has no such fault."""
    with pytest.raises(ContradictoryFault):
        SpoiltReply(call=call, reply=reply, done=True)
