"""Read pictures from a request's body within the upload limits; nothing is written to disk."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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
    async with _in_time(limits):
        if kind == FORM:
            pictures = [upload for _, upload in await _read_form(request, (FIELD,), limits, body)]
        else:
            content = io.BytesIO()  # which gives its content without a copy
            async for piece in body:
                content.write(piece)
            pictures = [Upload(safe_name(name or ""), content.getvalue())]
    for picture in pictures:
        _check_size(picture, limits.picture_bytes)
    return pictures


async def read_parts(
    request: Request, fields: Mapping[str, int], limits: Limits, count: Callable[[int], None]
) -> list[Upload]:
    """Read a form with one file of each of these names, in their order.

    Args:
        request: whose body has not been read.
        fields: the most bytes of a part by its name.
        limits: of size and time.
        count: as for `read_pictures`.

    Raises:
        Problem: as from `read_pictures`, or a part is missing or there twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise Problem("not-a-picture", f"Content-Type {kind or 'missing'}: expected {FORM}")
    async with _in_time(limits):
        parts = await _read_form(request, tuple(fields), limits, _arriving(request, limits, count))
    by_field = dict(parts)
    if len(parts) != len(fields) or len(by_field) != len(fields):
        raise Problem("request", f"expected one part of each of these names: {', '.join(fields)}")
    for field, upload in parts:
        _check_size(upload, fields[field])
    return [by_field[field] for field in fields]


@asynccontextmanager
async def _in_time(limits: Limits) -> AsyncIterator[None]:
    """Refuse a body that does not arrive in time, or not to its end."""
    try:
        async with asyncio.timeout(limits.upload_seconds):
            yield
    except TimeoutError:
        raise Problem("too-slow", f"the body did not arrive within {limits.upload_seconds:g} s") from None
    except ClientDisconnect:
        raise Problem("request", "the client disconnected before the end of the body") from None


def _check_size(upload: Upload, most: int) -> None:
    size = len(upload.content)
    if size > most:
        raise Problem("too-large", f"{upload.name}: the file has {size:,} bytes; the limit is {most:,}")


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


async def _read_form(
    request: Request, fields: Sequence[str], limits: Limits, body: AsyncGenerator[bytes, None]
) -> list[tuple[str, Upload]]:
    """Parts of a form with their names; all parts are files."""
    # Names are UTF-8 (RFC 7578): a charset could name any of Python's codecs.
    headers = Headers({"content-type": _CHARSET.sub("", request.headers["content-type"])})
    parser = _InMemory(headers, body, max_files=limits.pictures + len(fields) - 1, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise Problem("too-large", f"more than {limits.pictures} pictures in a request") from error
        reason = "a part has no file name" if error.message.startswith("Too many fields") else error.message
        raise Problem("request", f"invalid form: {reason}") from error
    if not parser.ended:
        raise Problem("request", "invalid form: truncated before its last boundary")
    uploads: list[tuple[str, Upload]] = []
    for field, part in form.multi_items():
        if field not in fields or not isinstance(part, UploadFile):
            expected = " and ".join(map(repr, fields))
            raise Problem("request", f"unknown part {field[:80]!r} in the form; expected {expected}")
        taken = {upload.name for _, upload in uploads}
        name = unique_name(safe_name(part.filename or ""), taken.__contains__)
        uploads.append((field, Upload(name, part.file.read())))
        part.file.close()  # one copy of each picture is enough
    if not uploads:
        raise Problem("request", f"the form has no part {fields[0]!r} with a file name")
    return uploads


def safe_name(name: str) -> str:
    """Strip folders, and characters that control terminals or headers, from a file name."""
    last = re.split(r"[/\\]", sanitize_name(name))[-1].strip(" .")
    return last[-_MAX_NAME:] or FIELD
