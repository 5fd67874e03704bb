"""Serve the application on a port: HTTP/1.1 with timeouts, and orderly shutdown."""

import asyncio
import errno
import logging
import math
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
from nephoscope.server.clients import client_of
from nephoscope.server.guard import HEADERS
from nephoscope.server.limits import Limits
from nephoscope.server.memory import return_freed_memory
from nephoscope.server.problems import Problem
from nephoscope.server.settings import Settings

_KEEP_ALIVE = 60  # s between two requests of a connection
_GRACE = 30  # s for requests in progress when the server stops
_QUIET = 0.5  # s in which a stop needs no message
_LINGER = 2  # s in which a refused client can still read the response


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket on an address of this machine; port 0 takes any free port.

    Raises:
        ServerError: no such address, or the port is taken.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = addresses[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServerError(f"{host}: {error.strerror or error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        option = "--host" if error.errno == errno.EADDRNOTAVAIL else "--port"
        reason = error.strerror or error
        raise ServerError(f"{host}:{port}: {reason}; choose another with {option}") from error
    return bound


def make_server(settings: Settings) -> uvicorn.Server:
    """Load the models and make a server; `run(sockets=[...])` serves until it is stopped.

    Raises:
        ModelError: a model cannot be used.
        ServerError: the certificate or its key cannot be used.
    """
    if settings.tls:
        _check_certificate(*settings.tls)
    return_freed_memory()
    config = uvicorn.Config(
        create_app(settings),
        http=partial(_TimedProtocol, settings.limits),  # type: ignore[arg-type]
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),  # of all others: clients could forge them
        forwarded_allow_ips=list(settings.proxies),
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        loop="asyncio",
        log_config=None,  # `logs.configure_logging` does it
        ssl_certfile=settings.tls[0] if settings.tls else None,
        ssl_keyfile=settings.tls[1] if settings.tls else None,
    )
    server = _Server(config)
    server.handshake_seconds = settings.limits.header_seconds
    return server


def _check_certificate(chain: str, key: str) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain, key)
    except OSError as error:  # of which SSLError is one
        raise ServerError(f"{chain}, {key}: no usable certificate and key: {error}") from error


class _Server(uvicorn.Server):
    """A server that ends with exit code 0 when it is told to stop."""

    handshake_seconds = 10.0  # for the start of a TLS connection

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()  # uvicorn would raise them again and end the process

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:  # the second signal: do not report what it breaks off
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        create_server = loop.create_server
        if self.config.is_ssl:  # asyncio would wait a minute for a handshake
            bounded = partial(create_server, ssl_handshake_timeout=self.handshake_seconds)
            loop.create_server = bounded  # type: ignore[method-assign]
        try:
            await super().startup(sockets)
        finally:
            loop.create_server = create_server  # type: ignore[method-assign]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        message = asyncio.create_task(self._announce())
        await super().shutdown(sockets)
        message.cancel()

    async def _announce(self) -> None:
        await asyncio.sleep(_QUIET)
        if self.server_state.tasks:
            print("finishing requests in progress; press Ctrl-C again to drop them", file=sys.stderr)


class _TimedProtocol(H11Protocol):
    """HTTP/1.1 by h11, which is strict, with timeouts for headers and for reading responses.

    What it refuses by itself is answered like a problem of the application.
    """

    def __init__(self, limits: Limits, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._header_timer: asyncio.TimerHandle | None = None
        self._response_timer: asyncio.TimerHandle | None = None
        self._refused = False
        self.owner = ""  # who has connected
        self.idle_since = 0.0  # by the loop's clock

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.owner = client_of({"client": self.client})
        self.idle_since = self.loop.time()
        limit = self._limits.connections
        open_ones = [each for each in self.connections if isinstance(each, _TimedProtocol) and each.is_open]
        own = [each for each in open_ones if each.owner == self.owner]
        if len(own) > math.ceil(limit * self._limits.client_share):
            self._make_room(own)
        elif len(open_ones) > limit:
            self._make_room(open_ones)
        self._time_header()

    @property
    def is_open(self) -> bool:
        """Whether it takes a place: it is not being closed, or holds an answer that nobody reads."""
        return not self.transport.is_closing() or self.transport.get_write_buffer_size() > 0

    @property
    def is_idle(self) -> bool:
        """Whether no request has arrived completely, or the last one is answered."""
        answered: bool = getattr(self.cycle, "response_complete", True)  # there is none before the first
        return answered and self.conn.their_state is h11.IDLE

    def _make_room(self, connections: "list[_TimedProtocol]") -> None:
        """Close the one that has been idle longest; without an idle one, answer that there are too many."""
        others = (each for each in connections if each is not self and not each.transport.is_closing())
        idle = [each for each in others if each.is_idle]
        if idle:
            min(idle, key=lambda each: each.idle_since).transport.close()
        else:
            self.app = _too_many_connections

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.idle_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)
            self._time_header()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_header_timer()
        if self._response_timer is not None:
            self._response_timer.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        # `close` would wait for the client to read the response; `abort` does not.
        self._response_timer = self.loop.call_later(self._limits.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._response_timer is not None:
            self._response_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem("request", msg))

    def _time_header(self) -> None:
        """Run the timer while a header is arriving; between requests, keep-alive has its own."""
        if self.conn.their_state is not h11.IDLE:
            self._stop_header_timer()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(self._limits.header_seconds, self._header_timeout)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_timeout(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            seconds = self._limits.header_seconds
            self._refuse(Problem("too-slow", f"the request's header did not arrive within {seconds:g} s"))

    def _refuse(self, problem: Problem) -> None:
        """Respond in place of the application, unless it has begun to, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = _final_response(problem)
            status, reason = response.status_code, HTTPStatus(response.status_code).phrase
            head = h11.Response(status_code=status, headers=response.raw_headers, reason=reason)
            for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:  # ignore what the application still sends
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # Closing at once, with more of the request on its way, would reset the connection.
        self._refused = True
        self._stop_header_timer()
        if self.transport.can_write_eof():  # not over TLS
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)


async def _too_many_connections(scope: Scope, receive: Receive, send: Send) -> None:
    """The application while there are too many connections."""
    await _final_response(Problem("full", "too many connections; retry in 1 s", 1))(scope, receive, send)


def _final_response(problem: Problem) -> Response:
    return problem.response({**HEADERS, "Cache-Control": "no-store", "Connection": "close"})
