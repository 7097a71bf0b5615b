"""Structured logs: one JSON line per happening on standard error. Ids only: never payloads, e-mails or secrets."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog


def configure_logs(level: str) -> None:
    """Set structlog, and the standard library's loggers, to write JSON lines of `level` (info, ...) and above."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")


def _to_json(event: object, **_options: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)
