"""Pictures out of a request's body, in memory, within the limits; nothing is ever written to a disk."""

import asyncio
import re
from typing import NamedTuple

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from nephoscope.core.io import sanitize_name, unique_name
from nephoscope.server.problems import Problem
from nephoscope.server.settings import Limits

FIELD = "picture"
"""Name of the parts of a form that hold a picture each."""

FORM = "multipart/form-data"
SINGLE = (
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "application/octet-stream",
)
"""Media types of a body that is one picture. What it is, is seen from its content."""

_LONGEST_NAME = 200  # letters
_CHARSET = re.compile(r";\s*charset[^;]*", re.IGNORECASE)


class Upload(NamedTuple):
    """A picture as it came: a harmless name, and its file's content."""

    name: str
    content: bytes


def length(request: Request, limits: Limits) -> int:
    """Bytes of a request's body, as it says itself.

    Raises:
        Problem: it does not say, or it is too long.
    """
    announced = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not announced.isdecimal():
        raise Problem("length", "a picture is expected in the body, whose length Content-Length says")
    if int(announced) > limits.request_bytes:
        raise Problem(
            "too-large", f"a request of {int(announced):,} bytes; up to {limits.request_bytes:,} are taken"
        )
    return int(announced)


async def pictures(request: Request, name: str | None, limits: Limits) -> list[Upload]:
    """All pictures of a request.

    Args:
        request: a form with parts called `picture`, or the bytes of one picture.
        name: of the picture, where the body is one.
        limits: that are kept.

    Raises:
        Problem: the body is something else, damaged, too slow, empty, or over a limit.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and kind not in SINGLE:
        raise Problem("not-a-picture", f"Content-Type {kind or 'missing'}: expected {FORM} or {SINGLE[0]}")
    try:
        async with asyncio.timeout(limits.upload_seconds):
            if kind == FORM:
                uploads = await _form(request, limits)
            else:
                uploads = [Upload(harmless(name or ""), await request.body())]
    except TimeoutError:
        raise Problem("too-slow", f"the body had not come after {limits.upload_seconds:g} s") from None
    except ClientDisconnect:
        raise Problem("request", "the body broke off") from None
    for upload in uploads:
        if len(upload.content) > limits.picture_bytes:
            raise Problem(
                "too-large",
                f"{upload.name}: {len(upload.content):,} bytes; a picture may have {limits.picture_bytes:,}",
            )
    return uploads


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # never to a disk
    ended = False

    def on_end(self) -> None:
        self.ended = True


async def _form(request: Request, limits: Limits) -> list[Upload]:
    # Names are UTF-8, as RFC 7578 has it: a charset could name any of Python's codecs.
    headers = Headers({"content-type": _CHARSET.sub("", request.headers["content-type"])})
    parser = _InMemory(headers, request.stream(), max_files=limits.pictures, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise Problem("too-large", f"more than {limits.pictures} pictures in a request") from error
        reason = "a part has no file name" if error.message.startswith("Too many fields") else error.message
        raise Problem("request", f"the form cannot be read: {reason}") from error
    if not parser.ended:
        raise Problem("request", "the form cannot be read: it breaks off before its last boundary")
    uploads: list[Upload] = []
    for field, part in form.multi_items():
        if field != FIELD or not isinstance(part, UploadFile):
            raise Problem("request", f"a part of the form is called {field[:80]!r}: expected {FIELD!r}")
        name = unique_name(harmless(part.filename or ""), {upload.name for upload in uploads}.__contains__)
        uploads.append(Upload(name, part.file.read()))
    if not uploads:
        raise Problem("request", f"no part of the form is called {FIELD!r} and has a file name")
    return uploads


def harmless(name: str) -> str:
    """A picture's name without folders, and without letters that steer terminals or headers."""
    last = re.split(r"[/\\]", sanitize_name(name))[-1].strip(" .")
    return last[-_LONGEST_NAME:] or FIELD
