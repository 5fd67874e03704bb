"""The application on a port."""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from nephoscope.core.errors import ServerError
from nephoscope.server.app import create_app
from nephoscope.server.guard import HEADERS
from nephoscope.server.problems import Problem
from nephoscope.server.settings import Limits, Settings

_KEEP_ALIVE = 60  # s between two requests of a connection
_GRACE = 30  # s for requests under way when the server stops
_SOON = 0.5  # s in which a stop needs no explanation
_LINGER = 2  # s in which a sender may still read why it was refused


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Args:
        host: name or number of an address of this machine.
        port: its port; any that is free if 0.

    Raises:
        ServerError: no such address, or another program has it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServerError(f"{host}: {error.strerror or error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        other = "--host" if error.errno == errno.EADDRNOTAVAIL else "--port"
        raise ServerError(f"{host}:{port}: {error.strerror or error}; {other} names another") from error
    return bound


def make_server(settings: Settings) -> uvicorn.Server:
    """A server with everything loaded; `run(sockets=[...])` serves until it is told to stop.

    Raises:
        ModelError: a model cannot be used.
    """

    def protocol(*args: Any, **kwargs: Any) -> "_Punctual":
        return _Punctual(settings.limits, *args, **kwargs)

    config = uvicorn.Config(
        create_app(settings),
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # what a header says of the sender is not believed
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
    )
    return _Server(config)


class _Server(uvicorn.Server):
    """Stops when it is told to, and has then done what it should: an exit code of 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()  # else they would be raised again, and end the process

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            # Whoever stops it twice wants no account of all that this breaks off.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        telling = asyncio.create_task(self._tell())
        await super().shutdown(sockets)
        telling.cancel()

    async def _tell(self) -> None:
        await asyncio.sleep(_SOON)
        if self.server_state.tasks:
            print("finishing what is under way; Ctrl-C again drops it", file=sys.stderr)


class _Punctual(H11Protocol):
    """HTTP/1.1 by h11, which is strict, with times by which headers must come and answers be taken.

    What it refuses by itself is told as the application tells it.
    """

    def __init__(self, limits: Limits, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._header: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self.app = _crowded
        self._watch()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop()
        if self._answer is not None:
            self._answer.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        # Closing would wait for the answer to be taken: this does not.
        self._answer = self.loop.call_later(self._limits.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._answer is not None:
            self._answer.cancel()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem("request", msg))

    def _watch(self) -> None:
        """The time runs while a header is under way; between two requests another one does."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._header is None:
            self._header = self.loop.call_later(self._limits.header_seconds, self._too_slow)

    def _stop(self) -> None:
        if self._header is not None:
            self._header.cancel()
            self._header = None

    def _too_slow(self) -> None:
        self._header = None
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            seconds = self._limits.header_seconds
            self._refuse(Problem("too-slow", f"the request's header had not come after {seconds:g} s"))

    def _refuse(self, problem: Problem) -> None:
        """Answer in place of the application, unless it has begun to, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = _last_answer(problem)
            for event in (
                h11.Response(
                    status_code=answer.status_code,
                    headers=answer.raw_headers,
                    reason=HTTPStatus(answer.status_code).phrase,
                ),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:  # the application's own answer comes too late
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # Closed at once, with more of the request under way, the answer would be lost to a reset.
        self._refused = True
        self._stop()
        self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """The application while there are too many connections."""
    await _last_answer(Problem("full", "too many are connected; come again in 1 s", 1))(scope, receive, send)


def _last_answer(problem: Problem) -> Response:
    return problem.response({**HEADERS, "Cache-Control": "no-store", "Connection": "close"})
