"""Logs: one JSON object a line, whoever writes them."""

from __future__ import annotations

import logging
from typing import TextIO

import structlog


def log_as_json(stream: TextIO | None = None) -> None:
    """Send every log record of this process to this stream, or else to standard error, as JSON, from INFO up.

    The HTTP client's own lines are left out below WARNING: they hold URLs, and callback URLs hold secrets.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
