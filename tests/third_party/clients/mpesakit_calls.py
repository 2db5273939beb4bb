"""The calls of mpesakit, for the environment that has it: the world comes as JSON, one answer goes out."""

import json
import sys
from typing import Any

from mpesakit import MpesaClient
from mpesakit.b2c import B2CCommandIDType

world: dict[str, Any] = json.loads(sys.argv[1], parse_float=str)
client = MpesaClient(consumer_key=world["consumer_key"], consumer_secret=world["consumer_secret"])
client.http_client.base_url = world["url"]
answer: Any
match world["call"]:
    case "push":
        answer = client.express.push(
            business_short_code=int(world["short_code"]),
            transaction_type="CustomerPayBillOnline",
            amount=world["shillings"],
            party_a=world["phone"],
            party_b=world["short_code"],
            phone_number=world["phone"],
            callback_url=world["inbox"],
            account_reference="THIRD",
            transaction_desc="test",
            passkey=world["passkey"],
        )
    case "query":
        answer = client.express.query(
            business_short_code=int(world["short_code"]),
            checkout_request_id=world["checkout_request_id"],
            passkey=world["passkey"],
        )
    case "c2b_register":
        answer = client.c2b.register_url(
            short_code=int(world["pay_bill"]),
            response_type="Completed",
            confirmation_url=world["inbox"],
            validation_url=world["inbox"],
        )
    case "b2c":
        answer = client.b2c.send_payment(
            originator_conversation_id=world["originator"],
            initiator_name=world["initiator"],
            security_credential=world["credential"],
            command_id=B2CCommandIDType.BusinessPayment,
            amount=world["shillings"],
            party_a=world["pay_bill"],
            party_b=world["phone"],
            remarks="test",
            queue_timeout_url=world["inbox"],
            result_url=world["inbox"],
        )
    case "balance":
        answer = client.balance.query(
            initiator=world["initiator"],
            security_credential=world["credential"],
            command_id="AccountBalance",
            party_a=int(world["pay_bill"]),
            identifier_type=4,
            remarks="test",
            result_url=world["inbox"],
            queue_timeout_url=world["inbox"],
        )
    case unknown:
        raise SystemExit(f"no call {unknown}")
sys.stdout.write(answer.model_dump_json() + "\n")
