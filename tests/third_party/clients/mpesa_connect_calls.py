"""The calls of mpesa-connect, for the environment that has it: the world comes as JSON, one answer goes out."""

import json
import sys
from types import SimpleNamespace
from typing import Any

from mpesa_connect import B2C, C2B, AccountBalance, App, Authorization, STKPush

world: dict[str, Any] = json.loads(sys.argv[1], parse_float=str)
app = App(
    domain=SimpleNamespace(value=world["url"]),
    consumer_key=world["consumer_key"],
    consumer_secret=world["consumer_secret"],
)
token = Authorization(app).generate_token().access_token
told = {"remarks": "test", "queue_time_out_url": world["inbox"], "result_url": world["inbox"]}
result: Any
match world["call"]:
    case "push":
        result = STKPush(app, access_token=token).process_request(
            business_short_code=int(world["short_code"]),
            amount=world["shillings"],
            phone_number=int(world["phone"]),
            call_back_url=world["inbox"],
            account_reference="THIRD",
            transaction_desc="test",
            pass_key=world["passkey"],
        )
    case "query":
        result = STKPush(app, access_token=token).query(
            business_short_code=int(world["short_code"]),
            checkout_request_id=world["checkout_request_id"],
            pass_key=world["passkey"],
        )
    case "c2b_register":
        result = C2B(app, access_token=token).register_url(
            short_code=int(world["pay_bill"]),
            validation_url=world["inbox"],
            confirmation_url=world["inbox"],
            response_type="Completed",
        )
    case "b2c":
        result = B2C(app, access_token=token).payment_request(
            initiator_name=world["initiator"],
            security_credential=world["credential"],
            command_id="BusinessPayment",
            amount=world["shillings"],
            party_a=int(world["pay_bill"]),
            party_b=int(world["phone"]),
            **told,
        )
    case "balance":
        result = AccountBalance(app, access_token=token).query(
            initiator=world["initiator"],
            security_credential=world["credential"],
            identifier_type=4,
            party_a=int(world["pay_bill"]),
            **told,
        )
    case unknown:
        raise SystemExit(f"no call {unknown}")
sys.stdout.write(result.response.text + "\n")
