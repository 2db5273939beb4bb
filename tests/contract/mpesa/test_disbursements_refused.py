"""What is no disbursement is refused before a byte is sent, and settings that cannot work stop the start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penpay.domain.mpesa.gateway import StatusQuestion
from penpay.domain.shared.errors import CurrencyMismatch, InvalidAmount, InvalidRequest
from penpay.domain.shared.money import Currency, Money
from penpay.infrastructure.mpesa.disbursements import DarajaDisbursements
from penpay.infrastructure.mpesa.session import DarajaSession
from tests.contract.mpesa.calls import B2B_PAYMENT, B2C_PAYMENT, REVERSED, SENT_ID, TOKEN, kes, safaricom
from tests.contract.mpesa.scripted_daraja import ScriptedDaraja


async def test_what_is_no_payment_is_refused_before_anything_is_sent(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja
) -> None:
    """A fault on our side never becomes an answer about money."""
    for bad in (
        replace(B2C_PAYMENT, originator_conversation_id=""),
        replace(B2C_PAYMENT, originator_conversation_id="a b"),
        replace(B2C_PAYMENT, originator_conversation_id="a" * 65),
        replace(B2C_PAYMENT, callback_token="a/b"),
        replace(B2C_PAYMENT, remarks="x"),
        replace(B2C_PAYMENT, remarks="50 % & more"),
        replace(B2C_PAYMENT, occasion="<b>"),
    ):
        with pytest.raises(InvalidRequest):
            await disbursements.pay_customer(bad)
    for amount in (Money(1_050, Currency.KES), kes(0), kes(-10)):
        with pytest.raises(InvalidAmount):
            await disbursements.pay_customer(replace(B2C_PAYMENT, amount=amount))
        with pytest.raises(InvalidAmount):
            await disbursements.pay_business(replace(B2B_PAYMENT, amount=amount))
        with pytest.raises(InvalidAmount):
            await disbursements.reverse(replace(REVERSED, amount=amount))
    with pytest.raises(CurrencyMismatch):
        await disbursements.pay_customer(replace(B2C_PAYMENT, amount=Money(1_000, Currency.USD)))
    for receiver, reference in (("6000", "19008"), ("060000", "19008"), ("600000", "x" * 14), ("600000", "")):
        with pytest.raises(InvalidRequest):
            await disbursements.pay_business(replace(B2B_PAYMENT, receiver=receiver, account_reference=reference))
    with pytest.raises(InvalidRequest):
        await disbursements.reverse(replace(REVERSED, receipt="pdu91hivit"))

    assert [] == daraja.received


@pytest.mark.parametrize(
    "question",
    [
        StatusQuestion(callback_token=TOKEN),
        StatusQuestion(callback_token=TOKEN, receipt="NEF61H8J60", originator_conversation_id=SENT_ID),
        StatusQuestion(callback_token=TOKEN, receipt="NEF61H8J6"),
        StatusQuestion(callback_token=TOKEN, originator_conversation_id=""),
        StatusQuestion(callback_token="", receipt="NEF61H8J60"),
    ],
)
async def test_a_question_names_one_payment_in_one_way(
    disbursements: DarajaDisbursements, daraja: ScriptedDaraja, question: StatusQuestion
) -> None:
    """Two names could be two payments."""
    with pytest.raises(InvalidRequest):
        await disbursements.transaction_status(question)

    assert [] == daraja.received


@pytest.mark.parametrize("setting", [{"short_code": "0600997"}, {"identifier_type": "1"}, {"till_identifier_type": ""}])
def test_a_setting_that_cannot_work_stops_the_start(session: DarajaSession, setting: dict[str, str]) -> None:
    """Better than a refusal of every payment."""
    settings = {
        "short_code": "600997",
        "result_base_url": "https://pay.example.com/r",
        "timeout_base_url": "https://pay.example.com/t",
        **setting,
    }
    with pytest.raises(ValueError, match=r"short code|identifier type"):
        DarajaDisbursements(session=session, initiator=safaricom().initiator(), **settings)
