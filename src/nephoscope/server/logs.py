"""The server's log: lines or JSON on standard error, with time, level and the request's identifier."""

import json
import logging
import re
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["lines", "json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Identifier of the request in progress; empty outside of requests."""

HEADER = "X-Request-ID"
"""Header with the identifier, of responses and, where a proxy has given one already, of requests."""

access_log = logging.getLogger("nephoscope.server.access")

_GIVEN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def request_id(given: str | None) -> str:
    """The identifier that a proxy has given, if it is one, else a new one."""
    return given if given and _GIVEN.fullmatch(given) else secrets.token_hex(8)


def configure_logging(level: Level, form: LogFormat, access: bool) -> None:
    """Send the logs of nephoscope and of its web server to standard error.

    Args:
        level: the least that is logged.
        form: a line each for people, or a JSON object each for programs.
        access: whether every request is logged, at level `info`. Who sent it is not.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Lines())
    for name in ("nephoscope", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
    access_log.setLevel(logging.INFO if access else logging.CRITICAL)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        number = f"[{REQUEST_ID.get()}] " if REQUEST_ID.get() else ""
        # A request's path may hold line breaks and codes that a terminal obeys.
        message = "".join(each if each.isprintable() else repr(each)[1:-1] for each in record.getMessage())
        words = f"{_time(record)} {record.levelname:<7} {number}{message}"
        return f"{words}\n{self.formatException(record.exc_info)}" if record.exc_info else words


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entries = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": REQUEST_ID.get() or None,
            "message": record.getMessage(),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in entries.items() if value is not None})


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
