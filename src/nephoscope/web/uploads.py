"""Pictures out of a request's body, in memory, within the limits; nothing is ever written to a disk."""

import asyncio
import re
from collections.abc import Iterator
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from nephoscope.files import printable
from nephoscope.web.problems import Problem
from nephoscope.web.settings import Limits

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
_PADDING = 64  # bytes of zeros that some encoders put behind a picture's end


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
    if not announced.isdecimal():
        raise Problem("length", "the body's length is not said: chunked bodies are not taken")
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
    for upload in uploads:
        if len(upload.content) > limits.picture_bytes:
            raise Problem(
                "too-large",
                f"{upload.name}: {len(upload.content):,} bytes; a picture may have {limits.picture_bytes:,}",
            )
    return uploads


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # never to a disk


async def _form(request: Request, limits: Limits) -> list[Upload]:
    parser = _InMemory(request.headers, request.stream(), max_files=limits.pictures, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise Problem("too-large", f"more than {limits.pictures} pictures in a request") from error
        raise Problem("request", f"the form cannot be read: {error.message}") from error
    uploads = [
        Upload(harmless(part.filename or ""), part.file.read())
        for field, part in form.multi_items()
        if field == FIELD and isinstance(part, UploadFile)
    ]
    if not uploads:
        raise Problem("request", f"no part of the form is called {FIELD!r} and has a file name")
    return uploads


def harmless(name: str) -> str:
    """A picture's name without folders, and without letters that steer terminals or headers."""
    last = re.split(r"[/\\]", printable(name))[-1].strip(" .")
    return last[-_LONGEST_NAME:] or FIELD


def check_picture(upload: Upload) -> None:
    """See, before it is decoded, that a file is one picture and nothing else.

    Raises:
        Problem: it begins as no picture does, or something follows the picture's end.
    """
    content = upload.content
    if content.startswith(b"\xff\xd8\xff"):
        end = _jpeg_end(content)
    elif content.startswith(b"\x89PNG\r\n\x1a\n"):
        end = _png_end(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        size = int.from_bytes(content[4:8], "little")
        end = 8 + size + size % 2
    elif content[:4] in (b"II*\0", b"MM\0*"):
        return  # a TIFF's parts lie anywhere in it
    else:
        raise Problem("not-a-picture", f"{upload.name}: not a JPEG, PNG, TIFF or WebP picture")
    rest = content[end:]
    if len(rest) > _PADDING or rest.strip(b"\0"):
        raise Problem("picture", f"{upload.name}: {len(rest):,} bytes follow the picture's end")


# In compressed data a marker's first byte is followed by 0, or by one of eight that only restart it.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")


def _jpeg_end(content: bytes) -> int:
    """Where a JPEG ends; the file's own end if it does so early, which its decoder will notice."""
    at = 2
    while found := _MARKER.search(content, at):
        at = found.end()
        if found[1] == b"\xd9":
            return at
        at += int.from_bytes(content[at : at + 2], "big")
    return len(content)


def _png_end(content: bytes) -> int:
    """Where a PNG ends; the file's own end if it does so early."""
    for name, after in _png_chunks(content):
        if name == b"IEND":
            return after
    return len(content)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int]]:
    at = 8
    while at + 8 <= len(content):
        after = at + 12 + int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], after
        at = after
