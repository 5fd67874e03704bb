"""Read pictures from a request's body within the upload limits; nothing is written to disk."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from nephoscope.core.io import sanitize_name, unique_name
from nephoscope.server.limits import Limits
from nephoscope.server.problems import Problem

FIELD = "picture"
"""Name of the form parts that hold a picture each."""

FORM = "multipart/form-data"
SINGLE = ("image/jpeg", "image/png", "image/tiff", "image/webp", "application/octet-stream")
"""Media types of a body that is one picture; its real type is detected from its content."""

_MAX_NAME = 200  # characters
_CHARSET = re.compile(r";\s*charset[^;]*", re.IGNORECASE)


class Upload(NamedTuple):
    """An uploaded picture: a safe name and the file's content."""

    name: str
    content: bytes


def content_length(request: Request, limits: Limits) -> int:
    """Length of a request's body in bytes, from its header.

    Raises:
        Problem: there is no such header, or the body is too long.
    """
    text = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not text.isdecimal():
        raise Problem("length", "send a picture as the body, with the header Content-Length")
    length, most = int(text), limits.request_bytes
    if length > most:
        raise Problem("too-large", f"the request has {length:,} bytes; the limit is {most:,}")
    return length


async def read_pictures(
    request: Request, name: str | None, limits: Limits, count: Callable[[int], None]
) -> list[Upload]:
    """Read all pictures of a request: a form with parts named `picture`, or one picture with this name.

    Args:
        request: whose body has not been read.
        name: of a picture that is the body.
        limits: of size and time.
        count: called with the number of bytes each time some arrive; what it raises ends the reading.

    Raises:
        Problem: the body is something else, damaged, too slow, empty, or over a limit.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and kind not in SINGLE:
        raise Problem("not-a-picture", f"Content-Type {kind or 'missing'}: expected {FORM} or {SINGLE[0]}")
    body = _arriving(request, limits, count)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            if kind == FORM:
                uploads = await _read_form(request, limits, body)
            else:
                content = io.BytesIO()  # which gives its content without a copy
                async for piece in body:
                    content.write(piece)
                uploads = [Upload(safe_name(name or ""), content.getvalue())]
    except TimeoutError:
        raise Problem("too-slow", f"the body did not arrive within {limits.upload_seconds:g} s") from None
    except ClientDisconnect:
        raise Problem("request", "the client disconnected before the end of the body") from None
    for upload in uploads:
        size, most = len(upload.content), limits.picture_bytes
        if size > most:
            problem = f"{upload.name}: the picture has {size:,} bytes; the limit is {most:,}"
            raise Problem("too-large", problem)
    return uploads


async def _arriving(
    request: Request, limits: Limits, count: Callable[[int], None]
) -> AsyncGenerator[bytes, None]:
    """The pieces of a body, counted, as long as they arrive fast enough."""
    least = limits.upload_rate * limits.rate_seconds
    pieces, loop = aiter(request.stream()), asyncio.get_running_loop()
    since, arrived = loop.time(), 0
    while True:
        try:
            async with asyncio.timeout_at(since + limits.rate_seconds):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Problem(
                "too-slow",
                f"the body arrives too slowly; at least {limits.upload_rate:,} bytes/s are expected",
            ) from None
        count(len(piece))
        arrived += len(piece)
        if arrived >= least:
            since, arrived = loop.time(), 0
        yield piece


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # never to disk
    ended = False

    def on_end(self) -> None:
        self.ended = True


async def _read_form(request: Request, limits: Limits, body: AsyncGenerator[bytes, None]) -> list[Upload]:
    # Names are UTF-8 (RFC 7578): a charset could name any of Python's codecs.
    headers = Headers({"content-type": _CHARSET.sub("", request.headers["content-type"])})
    parser = _InMemory(headers, body, max_files=limits.pictures, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise Problem("too-large", f"more than {limits.pictures} pictures in a request") from error
        reason = "a part has no file name" if error.message.startswith("Too many fields") else error.message
        raise Problem("request", f"invalid form: {reason}") from error
    if not parser.ended:
        raise Problem("request", "invalid form: truncated before its last boundary")
    uploads: list[Upload] = []
    for field, part in form.multi_items():
        if field != FIELD or not isinstance(part, UploadFile):
            raise Problem("request", f"unknown part {field[:80]!r} in the form; expected {FIELD!r}")
        name = unique_name(safe_name(part.filename or ""), {upload.name for upload in uploads}.__contains__)
        uploads.append(Upload(name, part.file.read()))
        part.file.close()  # one copy of each picture is enough
    if not uploads:
        raise Problem("request", f"the form has no part {FIELD!r} with a file name")
    return uploads


def safe_name(name: str) -> str:
    """Strip folders, and characters that control terminals or headers, from a file name."""
    last = re.split(r"[/\\]", sanitize_name(name))[-1].strip(" .")
    return last[-_MAX_NAME:] or FIELD
