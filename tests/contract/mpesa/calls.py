"""The calls other than STK that the tests make, their addresses, and the key pair their initiator encrypts under."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from penpay.domain.mpesa.gateway import (
    B2bCommand,
    B2bPayment,
    B2cPayment,
    CallAnswer,
    MpesaDisbursements,
    Reversal,
    StatusQuestion,
)
from penpay.domain.shared.money import Currency, Money
from penpay.domain.shared.phone import PhoneNumber
from penpay.infrastructure.mpesa.security_credential import Initiator

B2C = "/mpesa/b2c/v3/paymentrequest"
B2B = "/mpesa/b2b/v1/paymentrequest"
STATUS = "/mpesa/transactionstatus/v1/query"
BALANCE = "/mpesa/accountbalance/v1/query"
REVERSAL = "/mpesa/reversal/v1/request"
REGISTER = "/mpesa/c2b/v2/registerurl"
SIMULATE = "/mpesa/c2b/v2/simulate"
PULL_REGISTER = "/pulltransactions/v1/register"
PULL = "/pulltransactions/v1/query"

PASSWORD = "Safaricom999!*!"
TOKEN = "0f" * 32
SENT_ID = "600997-" + "0f" * 16
PHONE = PhoneNumber("+254705912645")
TAKEN = {
    "OriginatorConversationID": SENT_ID,
    "ConversationID": "AG_20240706_20106e9209f64bebd05b",
    "ResponseCode": "0",
    "ResponseDescription": "Accept the service request successfully.",
}


def kes(shillings: int) -> Money:
    return Money(shillings * 100, Currency.KES)


B2C_PAYMENT = B2cPayment(
    originator_conversation_id=SENT_ID, callback_token=TOKEN, phone=PHONE, amount=kes(10), remarks="Payout"
)
B2B_PAYMENT = B2bPayment(
    callback_token=TOKEN,
    command=B2bCommand.PAY_BILL,
    receiver="600000",
    amount=kes(190),
    account_reference="19008",
    remarks="Rent",
    requester=PHONE,
)
REVERSED = Reversal(callback_token=TOKEN, receipt="PDU91HIVIT", amount=kes(200), remarks="Wrong number")
BY_RECEIPT = StatusQuestion(callback_token=TOKEN, receipt="NEF61H8J60")
BY_ID = StatusQuestion(callback_token=TOKEN, originator_conversation_id=SENT_ID)

MONEY_CALLS = (B2C, B2B, REVERSAL)
EVERY_CALL = (*MONEY_CALLS, STATUS, BALANCE)


async def make(client: MpesaDisbursements, path: str) -> CallAnswer:
    """The sample call that goes to this address."""
    if path == B2C:
        return await client.pay_customer(B2C_PAYMENT)
    if path == B2B:
        return await client.pay_business(B2B_PAYMENT)
    if path == REVERSAL:
        return await client.reverse(REVERSED)
    if path == STATUS:
        return await client.transaction_status(BY_RECEIPT)
    return await client.account_balance(TOKEN)


@dataclass(frozen=True, slots=True)
class Safaricom:
    """The other side of the initiator's password: a private key and what is published of it."""

    key: RSAPrivateKey
    certificate: bytes
    public_key: bytes

    def opened(self, credential: str) -> str:
        """The password inside a SecurityCredential."""
        return self.key.decrypt(base64.b64decode(credential, validate=True), PKCS1v15()).decode()

    def initiator(self) -> Initiator:
        """One that encrypts for this key."""
        return Initiator(name="testapi", password=PASSWORD, certificate=self.certificate)


@cache
def safaricom() -> Safaricom:
    """A key of the length Safaricom has, in a certificate that ended years ago, as Safaricom's have."""
    key = generate_private_key(65_537, 2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "apicrypt.example.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2014, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2016, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Safaricom(key, certificate.public_bytes(Encoding.PEM), public_key)
