"""Checks of an uploaded file before it is decoded: one picture, nothing after it, no decompression bomb."""

import re
from math import prod
from typing import Literal, NamedTuple

from nephoscope.imagery.tiff import TIFF_SIGNATURES
from nephoscope.server.problems import Problem
from nephoscope.server.uploads import Upload

_MAX_PADDING = 64  # zero bytes that some encoders append to a picture
_MAX_SCANS = 100  # of a JPEG; a progressive one has about 10, and each covers the whole picture
_MAX_SEGMENTS = 10_000  # of a JPEG; one with a long colour profile, thumbnails and tiles of EXIF has hundreds
_MAX_CHUNKS = 20_000  # of a PNG or WebP; writers cut pixels into chunks of 8 KiB or more


class Weight(NamedTuple):
    """Memory that decoding takes by pixel, against that of a colour picture of 8 bits; measured."""

    whole: float = 1.0  # by pixel of the whole picture
    decoded: float = 0.0  # by pixel of a JPEG that is decoded more coarsely


_DEEP, _WEBP = Weight(2.5), Weight(2.5)
_JPEG = Weight(0.0, 1.0)
_JPEG_OF_SCANS = Weight(0.8, 1.0)  # the coefficients of the whole picture are held


def check_picture(upload: Upload, pixels: int) -> Weight:
    """Check that a file is one picture, and that decoding it takes no more than its size suggests.

    A picture, and a TIFF's tile, which has a size of its own, may have this many pixels.

    Returns:
        What decoding takes.

    Raises:
        Problem: unknown file signature, data after the picture's end, or too costly to decode.
    """
    name, content = upload
    if content.startswith(b"\xff\xd8\xff"):
        end, weight = _jpeg_end(upload)
    elif content.startswith(b"\x89PNG\r\n\x1a\n"):
        end, weight = _png_end(upload), _DEEP if content[24:25] == b"\x10" else Weight()
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        size = int.from_bytes(content[4:8], "little")
        end, weight = 8 + size + size % 2, _WEBP
        _check_webp(upload)
    elif content[:4] in TIFF_SIGNATURES:
        deep = _check_tiff(upload, pixels)
        return _DEEP if deep else Weight()  # a TIFF's parts lie in any order
    else:
        raise Problem("not-a-picture", f"{name}: not a JPEG, PNG, TIFF or WebP picture")
    rest = content[end:]
    if len(rest) > _MAX_PADDING or rest.strip(b"\0"):
        raise Problem("picture", f"{name}: {len(rest):,} bytes follow the picture's end")
    return weight


# In compressed data 0 follows a marker's first byte; the markers left out here have no length.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"
_PROGRESSIVE = (b"\xc2", b"\xc6", b"\xca", b"\xce")  # kinds of start of frame


def _jpeg_end(upload: Upload) -> tuple[int, Weight]:
    """Offset after a JPEG, and its weight; of a truncated one the file's length: its decoder detects that."""
    name, content = upload
    offset, scans, segments, progressive = 2, 0, 0, False
    while match := _MARKER.search(content, offset):
        offset = match.end()
        if match[1] == _END_OF_IMAGE:
            break
        segments += 1
        scans += match[1] == _START_OF_SCAN
        progressive |= match[1] in _PROGRESSIVE
        if scans > _MAX_SCANS:
            raise Problem("too-large", f"{name}: the JPEG has more than {_MAX_SCANS} scans")
        if segments > _MAX_SEGMENTS:
            raise Problem("too-large", f"{name}: the JPEG has more than {_MAX_SEGMENTS:,} segments")
        offset += int.from_bytes(content[offset : offset + 2], "big")
    else:
        offset = len(content)
    return offset, _JPEG_OF_SCANS if progressive or scans > 1 else _JPEG


def _png_end(upload: Upload) -> int:
    """Offset after a PNG; the file's length if it is truncated."""
    name, content = upload
    offset = 8
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > len(content):
            return len(content)
        chunk = content[offset + 4 : offset + 8]
        offset += 12 + int.from_bytes(content[offset : offset + 4], "big")
        if chunk == b"IEND":
            return offset
    raise Problem("too-large", f"{name}: the PNG has more than {_MAX_CHUNKS:,} chunks")


def _check_webp(upload: Upload) -> None:
    """Check that a WebP has few chunks, all of which its decoder walks."""
    name, content = upload
    offset = 12
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > len(content):
            return
        size = int.from_bytes(content[offset + 4 : offset + 8], "little")
        offset += 8 + size + size % 2
    raise Problem("too-large", f"{name}: the WebP has more than {_MAX_CHUNKS:,} chunks")


_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags
_BITS, _BYTE_BITS = 258, 8
_INTEGER_BYTES = {3: 2, 4: 4}  # by type: SHORT, LONG
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8, 18: 8}
_LONG8 = 16  # a type of BigTIFF alone
_DIRECTORIES = 2  # that are read: the picture's, and perhaps its mask's


def _check_tiff(upload: Upload, pixels: int) -> bool:
    """Check a TIFF's tags; returns whether its values may have more than 8 bits.

    Decoders allocate a whole tile, so a tile may be no larger than a picture. The values of all tags must fit
    into the file together: many tags could point at the same bytes, and each would be read.
    """
    name, content = upload
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"
    big = b"+" in content[2:4]
    wide, entry, header = (8, 20, 8) if big else (4, 12, 2)  # bytes: offset, entry, count of entries
    integers = _INTEGER_BYTES | ({_LONG8: 8} if big else {})

    def number(offset: int, length: int) -> int:
        return int.from_bytes(content[offset : offset + length], order)

    start = number(wide, wide)
    claimed, bits = 0, 1
    for _ in range(_DIRECTORIES):
        sides = {_TILE_WIDTH: 0, _TILE_LENGTH: 0}
        end = start + header + entry * min(number(start, header), len(content) // entry)
        for offset in range(start + header, end, entry):
            count = number(offset + 4, wide)
            claimed += count * _TYPE_BYTES.get(number(offset + 2, 2), 1)
            if number(offset, 2) == _BITS:  # up to two values (in a BigTIFF four) lie in the entry itself
                inside = count * 2 <= wide
                bits = max(bits, number(offset + 4 + wide if inside else number(offset + 4 + wide, wide), 2))
            if (tag := number(offset, 2)) in sides:
                length = integers.get(number(offset + 2, 2))
                if length is None:
                    raise Problem("picture", f"{name}: its tile size is not an integer")
                sides[tag] = max(sides[tag], number(offset + 4 + wide, length))
        if (area := prod(sides.values())) > pixels:
            raise Problem("too-large", f"{name}: its tiles have {area:,} pixels; the limit is {pixels:,}")
        start = number(end, wide)
        if not start:
            break
    if claimed > len(content):
        raise Problem("picture", f"{name}: its tags claim {claimed:,} bytes of a file of {len(content):,}")
    return bits > _BYTE_BITS
