"""Refusals and failures, as the server tells them.

Source: RFC 9457, problem details for HTTP APIs.
"""

from typing import Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
ADDRESS = "/api/v1/problems"


class Kind(NamedTuple):
    """A kind of problem: its status, its name for people, and what can be done."""

    status: int
    title: str
    advice: str


KINDS = {
    "request": Kind(400, "Not a request", "Mend the request: /openapi.json says what is expected."),
    "token": Kind(401, "Token needed", "Send Authorization: Bearer TOKEN, as the server printed it."),
    "origin": Kind(403, "Another site's page", "Only pages that this server itself gave may send pictures."),
    "not-found": Kind(404, "Not here", "There is nothing at this address."),
    "method": Kind(405, "No such method", "This address is asked in another way; see the header Allow."),
    "format": Kind(406, "No such form", "By Accept, ask for a form that there is for so many pictures."),
    "too-slow": Kind(408, "Too slow", "Send the request in less time, or less of it."),
    "length": Kind(411, "Length needed", "Say the body's length in the header Content-Length."),
    "too-large": Kind(413, "Too large", "Send fewer or smaller pictures: /api/v1/server tells the limits."),
    "not-a-picture": Kind(415, "Not a picture", "Send JPEG, PNG, TIFF or WebP."),
    "host": Kind(421, "Unknown name", "Call the server by a name that it was told (--allow-host)."),
    "picture": Kind(422, "Picture not usable", "The detail says what is wrong with it."),
    "value": Kind(422, "A value makes no sense", "The detail says which, and what is expected."),
    "place": Kind(422, "Place or day not known", "Say bounds=west,south,east,north and day=2020-02-01."),
    "full": Kind(429, "All places taken", "Come again after as many seconds as Retry-After says."),
    "failure": Kind(500, "A fault of the server", "Its log says more; the picture may be sent again."),
    "archive": Kind(502, "The archive gave no picture", "The detail says why; another day may do."),
    "time": Kind(503, "Not done in time", "Come again after as many seconds as Retry-After says."),
}  # fmt: skip
"""All kinds, by the last word of their `type`."""


class Problem(Exception):
    """A request is not answered as it was meant; the detail is a sentence for people.

    Args:
        kind: of `KINDS`.
        detail: what is wrong, with what, and what to do.
        retry_after: seconds after which it may go better.
    """

    def __init__(self, kind: str, detail: str, retry_after: int | None = None):
        super().__init__(detail)
        self.detail = detail.encode(errors="replace").decode()  # it may quote what is no text
        self.kind, self.retry_after = kind, retry_after

    def as_dict(self) -> dict[str, Any]:
        """The problem's members."""
        kind = KINDS[self.kind]
        return {
            "type": f"{ADDRESS}/{self.kind}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
        }

    def response(self, headers: dict[str, str] | None = None) -> JSONResponse:
        """The problem as an answer."""
        headers = dict(headers or {})
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.kind == "token":
            headers["WWW-Authenticate"] = "Bearer"
        status = KINDS[self.kind].status
        return JSONResponse(self.as_dict(), status, headers, media_type=MEDIA_TYPE)


async def on_problem(_request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: what to answer where a Problem was raised."""
    assert isinstance(error, Problem)
    return error.response()


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: no such address, no such method, and what else Starlette refuses."""
    assert isinstance(error, HTTPException)
    known = {404: "not-found", 405: "method"}
    detail = f"{request.method} {request.scope['path']}: {error.detail}"
    return Problem(known.get(error.status_code, "request"), detail).response(dict(error.headers or {}))


async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: a value of the query is of the wrong kind."""
    assert isinstance(error, RequestValidationError)
    wrong = [f"{each['loc'][-1]}={each.get('input')!r:.60}: {each['msg']}" for each in error.errors()]
    return Problem("value", "; ".join(wrong)).response()


async def on_failure(_request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: what nobody foresaw; the server's log has the rest."""
    return Problem("failure", f"unexpected {type(error).__name__}").response()
