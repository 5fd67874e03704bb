"""The server's log: lines or JSON on standard error, with time, level and the request's identifier."""

import faulthandler
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Thread
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["lines", "json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Identifier of the request in progress; empty outside of requests."""

HEADER = "X-Request-ID"
"""Header with the identifier, of responses and, where a proxy has given one already, of requests."""

native_log = logging.getLogger("nephoscope.server.native")
_REPEATS = 5.0  # s
_LONGEST = 500  # letters

access_log = logging.getLogger("nephoscope.server.access")

_GIVEN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def request_id(given: str | None) -> str:
    """The identifier that a proxy has given, if it is one, else a new one."""
    return given if given and _GIVEN.fullmatch(given) else secrets.token_hex(8)


def configure_logging(level: Level | None, form: LogFormat, access: bool) -> None:
    """Send the logs of nephoscope and of its web server to standard error.

    Args:
        level: the least that is logged; None leaves it as it is.
        form: a line each for people, or a JSON object each for programs.
        access: whether every request is logged, at level `info`. Who sent it is not.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Lines())
    for name in ("nephoscope", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        if level:
            logger.setLevel(level.upper())
    access_log.setLevel(logging.INFO if access else logging.CRITICAL)


def announce(words: str, form: LogFormat) -> None:
    """Write a line to standard error whatever the level of the log, in the log's format."""
    entries = {"time": _time(time.time()), "level": "info", "message": words}
    print(json.dumps(entries) if form == "json" else words, file=sys.stderr, flush=True)


@contextmanager
def native_messages_in_log() -> Iterator[None]:
    """Log what libraries such as libtiff write to standard error by themselves, in place of its raw lines.

    A message that comes again within seconds, as a damaged file's do, is logged once. The log itself and the
    report of a crash still go to standard error.
    """
    kept = os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    before, sys.stderr = sys.stderr, os.fdopen(os.dup(kept), "w", buffering=1, errors="backslashreplace")
    faulthandler.enable(sys.stderr)
    thread = Thread(target=_forward, args=(reader,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(kept, 2)  # the last writer of the pipe is closed, and the thread ends
        os.close(kept)
        thread.join(1)
        faulthandler.disable()
        sys.stderr.close()
        sys.stderr = before


def _forward(reader: int) -> None:
    logged: dict[str, float] = {}
    with os.fdopen(reader, errors="backslashreplace") as lines:
        for line in lines:
            text, now = line.strip(), time.monotonic()
            if text and now - logged.get(text, -_REPEATS) >= _REPEATS:
                native_log.warning("decoder: %s", text[:_LONGEST])
            logged = {each: at for each, at in logged.items() if now - at < _REPEATS} | {text: now}


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        number = f"[{REQUEST_ID.get()}] " if REQUEST_ID.get() else ""
        # A request's path may hold line breaks and codes that a terminal obeys.
        message = "".join(each if each.isprintable() else repr(each)[1:-1] for each in record.getMessage())
        words = f"{_time(record.created)} {record.levelname:<7} {number}{message}"
        return f"{words}\n{self.formatException(record.exc_info)}" if record.exc_info else words


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entries = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": REQUEST_ID.get() or None,
            "message": record.getMessage(),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in entries.items() if value is not None})


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
