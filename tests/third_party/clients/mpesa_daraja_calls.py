"""The calls of mpesa-daraja, for the environment that has it: the world comes as JSON, one answer goes out.

Its own query cannot be used with any server: it fails while it builds the password.
"""

import json
import sys
from typing import Any

from mpesa.api.b2c import B2C
from mpesa.api.balance import Balance
from mpesa.api.c2b import C2B
from mpesa.api.mpesa_express import MpesaExpress

world: dict[str, Any] = json.loads(sys.argv[1], parse_float=str)
app = {"app_key": world["consumer_key"], "app_secret": world["consumer_secret"], "sandbox_url": world["url"]}
told = {"remarks": "test", "queue_timeout_url": world["inbox"], "result_url": world["inbox"]}
match world["call"]:
    case "push":
        answer = MpesaExpress(**app).stk_push(
            business_shortcode=world["short_code"],
            passcode=world["passkey"],
            amount=world["shillings"],
            callback_url=world["inbox"],
            reference_code="THIRD",
            phone_number=world["phone"],
            description="test",
        )
    case "c2b_register":
        answer = C2B(**app).register(
            shortcode=world["pay_bill"],
            response_type="Completed",
            confirmation_url=world["inbox"],
            validation_url=world["inbox"],
        )
    case "b2c":
        answer = B2C(**app).transact(
            initiator_name=world["initiator"],
            security_credential=world["credential"],
            command_id="BusinessPayment",
            amount=world["shillings"],
            party_a=world["pay_bill"],
            party_b=world["phone"],
            **told,
        )
    case "balance":
        answer = Balance(**app).get_balance(
            initiator=world["initiator"],
            security_credential=world["credential"],
            command_id="AccountBalance",
            party_a=world["pay_bill"],
            identifier_type=4,
            **told,
        )
    case unknown:
        raise SystemExit(f"no call {unknown}")
sys.stdout.write(json.dumps(answer) + "\n")
