"""The application on a port."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nephoscope.web.app import create_app
from nephoscope.web.settings import Settings

_KEEP_ALIVE = 5  # s between two requests of a connection
_GRACE = 30  # s for requests under way when the server stops


class AddressTaken(ValueError):
    """A server cannot listen where it should; the message says why."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Args:
        host: name or number of an address of this machine.
        port: its port; any that is free if 0.

    Raises:
        AddressTaken: no such address, or another program has it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressTaken(f"{host}: {error.strerror or error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise AddressTaken(f"{host}:{port}: {error.strerror or error}; --port names another") from error
    return bound


def make_server(settings: Settings) -> uvicorn.Server:
    """A server with everything loaded; `run(sockets=[...])` serves until it is told to stop.

    Raises:
        ModelError: a model cannot be used.
    """

    def protocol(*args: Any, **kwargs: Any) -> "_Punctual":
        return _Punctual(settings.limits.header_seconds, *args, **kwargs)

    config = uvicorn.Config(
        create_app(settings),
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # what a header says of the sender is not believed
        limit_concurrency=settings.limits.connections,
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


class _Punctual(H11Protocol):
    """HTTP/1.1 by h11, which is strict, with a time by which a request's header must be there."""

    def __init__(self, seconds: float, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        """The time runs while a header is under way; between two requests another one does."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._too_slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            return
        text = f"The request's header had not come after {self._seconds:g} s.\n".encode()
        headers = [
            ("content-type", "text/plain"),
            ("content-length", str(len(text))),
            ("connection", "close"),
        ]
        for event in (
            h11.Response(status_code=408, headers=headers, reason="Request Timeout"),
            h11.Data(data=text),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
