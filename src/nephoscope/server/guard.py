"""At the door: who may come in, how much a request may bring, and what every answer carries."""

import asyncio
import hmac
import time
from contextlib import suppress
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nephoscope.server import uploads
from nephoscope.server.metrics import Metrics
from nephoscope.server.problems import ADDRESS, Problem
from nephoscope.server.settings import Settings

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer: a page can load nothing from elsewhere, nor be put into another."""

_OPEN = ("/api/v1/server", "/api/server")  # tells that a token is needed
_DRAINED = 5.0  # s in which a refused request's body may still come


class Guard:
    """Stands before the application.

    Args:
        app: the application.
        settings: names, token and limits.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics):
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # is GET; the protocol leaves the body away
            scope = dict(scope, method="GET")
        body = _Body(scope, receive)
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                headers.update(HEADERS)
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
                if not await body.drained():
                    headers["Connection"] = "close"
            await send(message)

        try:
            self._check(Request(scope))
            await self.app(scope, body.receive, answer)
        except Problem as problem:  # the application answers its own
            await problem.response()(scope, body.receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "none").removeprefix("/api/v1").removeprefix("/api")
            self.metrics.requests.labels(route, status).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _check(self, request: Request) -> None:
        headers, path = request.headers, request.scope["path"]
        version = request.scope["http_version"]
        if version not in ("1.0", "1.1"):
            raise Problem("request", f"HTTP/{version}: this server speaks HTTP/1.1")
        name = _host_name(headers)
        if self.settings.hosts and name not in self.settings.hosts:
            raise Problem("host", f"{name!r} is no name of this server; --allow-host tells it one")
        if request.method not in ("GET", "OPTIONS"):
            self._check_origin(headers)
        if request.method == "POST":
            uploads.length(request, self.settings.limits)
        asks = path.startswith("/api") and path not in _OPEN and not path.startswith(ADDRESS)
        if (asks or path == "/metrics") and not self._knows_token(headers):
            raise Problem("token", "this server asks for the token that it printed when it started")

    def _check_origin(self, headers: Headers) -> None:
        """A browser says whose page is asking; programs do not."""
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        foreign = origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")
        if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Problem("origin", f"a page of {origin or 'another site'} may not send pictures here")

    def _knows_token(self, headers: Headers) -> bool:
        if self.settings.token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(token.strip().encode(), self.settings.token.encode())
        return known and scheme.lower() == "bearer"


class _Body:
    """A request's body on its way in."""

    def __init__(self, scope: Scope, receive: Receive):
        self._headers, self._receive = Headers(scope=scope), receive
        self._complete = "content-length" not in self._headers and "transfer-encoding" not in self._headers

    async def receive(self) -> Message:
        """The next message, as ASGI has it."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._complete = True
        return message

    async def drained(self) -> bool:
        """Let the rest of a refused body come, so that its sender reads the answer instead of an error.

        Not for ever, and not of a sender that waits for leave to send it; the connection must then be closed.

        Returns:
            Whether all of it has come.
        """
        if not self._complete and "expect" not in self._headers:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAINED):
                    while not self._complete:
                        await self.receive()
        return self._complete


def _host_name(headers: Headers) -> str:
    """The name by which the server was called, without the port."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
