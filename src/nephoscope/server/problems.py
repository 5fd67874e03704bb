"""Errors as problem details (RFC 9457), and the exception handler that makes them."""

import logging
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from nephoscope.core.errors import LocationError
from nephoscope.server.logs import REQUEST_ID

log = logging.getLogger("nephoscope.server")

MEDIA_TYPE = "application/problem+json"
ADDRESS = "/api/v1/problems"


class Kind(NamedTuple):
    """A kind of problem: HTTP status, title and advice."""

    status: int
    title: str
    advice: str


KINDS = {
    "request": Kind(400, "Bad request", "Correct the request; /openapi.json describes what is expected."),
    "token": Kind(401, "Token required", "Send Authorization: Bearer TOKEN; `nephoscope serve` prints it."),
    "origin": Kind(403, "Cross-origin request refused", "Only this server's own page may send pictures."),
    "not-found": Kind(404, "Not found", "There is nothing at this address."),
    "method": Kind(405, "Method not allowed", "The header Allow lists the methods of this address."),
    "format": Kind(406, "Not acceptable", "Name a media type in Accept that suits the number of pictures."),
    "too-slow": Kind(408, "Request timeout", "Send the request faster, or send less."),
    "length": Kind(411, "Length required", "Send the header Content-Length."),
    "too-large": Kind(413, "Content too large", "Send less; /api/v1/server lists the limits."),
    "not-a-picture": Kind(415, "Unsupported media type", "Send JPEG, PNG, TIFF or WebP."),
    "host": Kind(421, "Unknown host name", "Use a name that the server knows; --allow-host adds one."),
    "picture": Kind(422, "Unusable picture", "The detail says what is wrong with it."),
    "model": Kind(422, "Unknown model", "Name one of the models that /api/v1/models lists."),
    "value": Kind(422, "Invalid value", "The detail names it and says what is expected."),
    "place": Kind(422, "Bounds or day unknown", "Send bounds=west,south,east,north and day=2020-02-01."),
    "full": Kind(429, "Too many requests", "Retry after the seconds in Retry-After."),
    "failure": Kind(500, "Internal server error", "The server's log has the details."),
    "archive": Kind(502, "Imagery archive failed", "The detail gives the reason; another day may work."),
    "storage": Kind(507, "Labels cannot be stored", "What was saved before is kept; the detail says why."),
    "time": Kind(503, "Timeout", "Retry after the seconds in Retry-After."),
}
"""All kinds, by the last part of their `type`."""


class Problem(Exception):
    """A request that is refused or failed, of one of the `KINDS`.

    The detail says what is wrong, with what, and what to do; a retry may succeed after `retry_after` seconds.
    """

    def __init__(self, kind: str, detail: str, retry_after: int | None = None):
        super().__init__(detail)
        self.detail = detail.encode(errors="replace").decode()  # it may quote lone surrogates
        self.kind, self.retry_after = kind, retry_after

    def as_dict(self) -> dict[str, Any]:
        """The members of the problem's JSON object."""
        status, title, _ = KINDS[self.kind]
        members = {"type": f"{ADDRESS}/{self.kind}", "title": title, "status": status, "detail": self.detail}
        number = REQUEST_ID.get()
        return members | ({"request_id": number} if number else {})

    def response(self, headers: dict[str, str] | None = None) -> JSONResponse:
        """The problem as an HTTP response."""
        headers = dict(headers or {})
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.kind == "token":
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.as_dict(), KINDS[self.kind].status, headers, media_type=MEDIA_TYPE)


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Turn any exception into a problem, and count it; FastAPI's exception handler."""
    problem = _problem_of(request, error)
    request.app.state.metrics.problems.labels(problem.kind).inc()
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return problem.response(headers)


def _problem_of(request: Request, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, LocationError):
        return Problem("value", str(error))
    if isinstance(error, HTTPException):
        kind = {404: "not-found", 405: "method"}.get(error.status_code, "request")
        return Problem(kind, f"{request.method} {request.scope['path']}: {error.detail}")
    if isinstance(error, RequestValidationError):
        invalid = [f"{each['loc'][-1]}={each.get('input')!r:.60}: {each['msg']}" for each in error.errors()]
        return Problem("value", "; ".join(invalid))
    log.error("%s %s", request.method, request.scope["path"], exc_info=error)
    return Problem("failure", f"unexpected {type(error).__name__}")
