"""The Deriv simulator's own HTTP routes: what its clients find in their mailboxes.

They exist in the sandbox only and ask for no credential: serve them on loopback.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
from fastapi import FastAPI
from starlette.responses import Response

from penpay.sandbox.deriv.mail import Mail, Mailbox

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def create_app(mailbox: Mailbox) -> FastAPI:
    """The application of one simulator."""
    app = FastAPI(title="Deriv simulator", docs_url=None, redoc_url=None)

    @app.get("/sandbox/deriv/mail")
    async def mail() -> Response:
        """The newest mails of all clients, newest first."""
        found = {"mails": [_view(one) for one in await mailbox.mails()]}
        return Response(orjson.dumps(found), media_type="application/json")

    return app


def _view(mail: Mail) -> dict[str, object]:
    return {
        "login_id": mail.login_id,
        "email": mail.email,
        "type": mail.type,
        "code": mail.code,
        "sent_at": (_EPOCH + timedelta(milliseconds=mail.sent_at_ms)).isoformat(),
        "is_used": mail.is_used,
    }
