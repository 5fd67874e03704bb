"""What a file must be before it is decoded: one picture, nothing behind it, and no trap for the decoder."""

import re
from collections.abc import Iterator
from math import prod
from typing import Literal

from nephoscope.server.problems import Problem
from nephoscope.server.uploads import Upload

_PADDING = 64  # bytes of zeros that some encoders put behind a picture's end
_SCANS = 100  # of a JPEG; a progressive one has about 10, and each goes over the whole picture


def check_picture(upload: Upload, pixels: int) -> None:
    """See that a file is one picture and nothing else, and takes no more than a picture of its size does.

    Args:
        upload: the file.
        pixels: that a picture may have, and a tile of a TIFF, whose size is its own.

    Raises:
        Problem: it begins as no picture does, something follows the picture's end, or decoding it would take
            far more time or memory than its size tells.
    """
    name, content = upload
    if content.startswith(b"\xff\xd8\xff"):
        end = _jpeg_end(upload)
    elif content.startswith(b"\x89PNG\r\n\x1a\n"):
        end = _png_end(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        size = int.from_bytes(content[4:8], "little")
        end = 8 + size + size % 2
    elif content[:4] in (b"II*\0", b"MM\0*"):
        _check_tags(upload, pixels)
        return  # a TIFF's parts lie anywhere in it
    else:
        raise Problem("not-a-picture", f"{name}: not a JPEG, PNG, TIFF or WebP picture")
    rest = content[end:]
    if len(rest) > _PADDING or rest.strip(b"\0"):
        raise Problem("picture", f"{name}: {len(rest):,} bytes follow the picture's end")


# In compressed data a marker's first byte is followed by 0; some markers stand alone, without a length.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"


def _jpeg_end(upload: Upload) -> int:
    """Where a JPEG ends; the file's own end if it does so early, which its decoder will notice."""
    name, content = upload
    at, scans = 2, 0
    while found := _MARKER.search(content, at):
        at = found.end()
        if found[1] == _END_OF_IMAGE:
            return at
        scans += found[1] == _START_OF_SCAN
        if scans > _SCANS:
            raise Problem("too-large", f"{name}: a JPEG of more than {_SCANS} scans")
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


_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of a TIFF
_BYTES = {3: 2, 4: 4}  # of a tag's value where it is short or long
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes, by a tag's type


def _check_tags(upload: Upload, pixels: int) -> None:
    """See that a TIFF's tags are sound.

    Its tiles may be no larger than pictures may be: a decoder makes room for a whole one. All values together
    fit into the file: else many tags show the same part of it, and each is read.
    """
    name, content = upload
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"

    def number(at: int, length: int) -> int:
        return int.from_bytes(content[at : at + length], order)

    first = number(4, 4)
    sides = {_TILE_WIDTH: 0, _TILE_LENGTH: 0}
    claimed = 0
    for at in range(first + 2, first + 2 + 12 * number(first, 2), 12):
        claimed += number(at + 4, 4) * _SIZES.get(number(at + 2, 2), 1)
        if (tag := number(at, 2)) in sides:
            length = _BYTES.get(number(at + 2, 2))
            if length is None:
                raise Problem("picture", f"{name}: the sides of its tiles are no whole numbers")
            sides[tag] = max(sides[tag], number(at + 8, length))
    if claimed > len(content):
        raise Problem("picture", f"{name}: its tags claim {claimed:,} bytes of a file of {len(content):,}")
    if prod(sides.values()) > pixels:
        raise Problem(
            "too-large", f"{name}: its tiles have {prod(sides.values()):,} pixels; up to {pixels:,} are taken"
        )
