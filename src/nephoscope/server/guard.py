"""Access control in front of the application: host names, origins, token, size; and security headers."""

import asyncio
import hmac
import time
from contextlib import suppress
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nephoscope.server import uploads
from nephoscope.server.logs import HEADER, REQUEST_ID, access_log, request_id
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
"""On every response: a page loads nothing from other hosts and cannot be framed."""

_OPEN = ("/api/v1/server", "/api/server")  # they say that a token is needed
_FETCHING = ("/api/v1/worldview", "/api/worldview")  # they make the server send requests itself
_DRAIN_SECONDS = 5.0  # for the rest of a refused request's body


class Guard:
    """ASGI middleware that checks each request, sets security headers and counts."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics):
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Routed by the same path that is checked: a root path in the scope would be stripped once more.
        scope = dict(scope, path=self._below_root(scope["path"]), root_path="")
        method = scope["method"]
        if method == "HEAD":  # as GET; the protocol drops the body
            scope["method"] = "GET"
        number = request_id(Headers(scope=scope).get(HEADER))
        REQUEST_ID.set(number)
        body = _Body(scope, receive)
        started, status = time.perf_counter(), 500

        async def respond(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                headers.update(HEADERS)
                headers[HEADER] = number
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
                if not await body.drained():
                    headers["Connection"] = "close"
            await send(message)

        try:
            self._check(Request(scope))
            await self.app(scope, body.receive, respond)
        except Problem as problem:  # the application handles its own
            self.metrics.problems.labels(problem.kind).inc()
            await problem.response()(scope, body.receive, respond)
        finally:
            route = getattr(scope.get("route"), "path", "none").removeprefix("/api/v1").removeprefix("/api")
            seconds = time.perf_counter() - started
            self.metrics.requests.labels(route, status).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            access_log.info("%s %s %d in %.3f s", method, scope["path"], status, seconds)

    def _below_root(self, path: str) -> str:
        """A path without the root path, which some proxies strip and others do not."""
        root = self.settings.root_path
        return path.removeprefix(root) if root and path.startswith(f"{root}/") else path

    def _check(self, request: Request) -> None:
        headers, path = request.headers, request.scope["path"]
        version = request.scope["http_version"]
        if version not in ("1.0", "1.1"):
            raise Problem("request", f"HTTP/{version} is not supported; use HTTP/1.1")
        name = _host_name(headers)
        if self.settings.hosts and name not in self.settings.hosts:
            raise Problem("host", f"unknown host name {name!r}; start the server with --allow-host to add it")
        if request.method not in ("GET", "OPTIONS") or path.startswith(_FETCHING):
            self._check_origin(headers)
        if request.method == "POST":
            uploads.content_length(request, self.settings.limits)
        protected = path.startswith("/api/") and path not in _OPEN and not path.startswith(ADDRESS)
        if (protected or path == "/metrics") and not self._has_token(headers):
            raise Problem("token", "send the token that the server printed when it started")

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what a browser sends for another site's page; programs send no origin."""
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        foreign = origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")
        if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            site = origin or "another site"
            raise Problem("origin", f"pages of {site} may not make this server work")

    def _has_token(self, headers: Headers) -> bool:
        if self.settings.token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        equal = hmac.compare_digest(token.strip().encode(), self.settings.token.encode())
        return equal and scheme.lower() == "bearer"


class _Body:
    """A request's body, and whether all of it has arrived."""

    def __init__(self, scope: Scope, receive: Receive):
        self._headers, self._receive = Headers(scope=scope), receive
        self._complete = "content-length" not in self._headers and "transfer-encoding" not in self._headers

    async def receive(self) -> Message:
        """The next ASGI message."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._complete = True
        return message

    async def drained(self) -> bool:
        """Read the rest of a refused body, so that the client reads the response instead of a reset.

        Reading has a timeout, and a client that waits for `100 Continue` is not read from. Returns whether
        all of it has arrived; otherwise the connection must be closed.
        """
        if not self._complete and "expect" not in self._headers:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    while not self._complete:
                        await self.receive()
        return self._complete


def _host_name(headers: Headers) -> str:
    """The host name of a request, without the port."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
