"""Requests to map servers, and checks that the response is the requested picture.

Map servers answer with status 200 when they fail, too: with a page of text, a picture of an error message, or
the first half of the picture. Header and tail are checked; only a suspiciously small file is decoded.
"""

import io
import re
from threading import BoundedSemaphore

import cv2
import numpy as np
from PIL import Image as PilImage

from nephoscope.core.errors import DownloadError
from nephoscope.core.types import GridShape, Image
from nephoscope.imagery.http import download
from nephoscope.imagery.scene import NODATA_BRIGHTNESS

_TAIL = 32  # bytes; some encoders pad after the end
_END = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}  # neither occurs inside a picture
_HEADER = 2048  # bytes; tables and the like
_FLAT = 0.04  # bytes a pixel; a JPEG of one colour has less beside its header, clouds have more
_SAME = 8  # of 255; JPEG changes one colour by less
_QUOTED = 120  # letters

_gates: dict[int, BoundedSemaphore] = {}


def request_map(url: str, format: str, size: GridShape, *, connections: int, patience: float) -> bytes:
    """Request a picture once.

    Args:
        url: the whole request.
        format: `jpeg` or `png`, as in the request.
        size: height and width in pixels, as in the request.
        connections: requests under way at once in this process; one more waits its turn.
        patience: seconds to wait for the response.

    Raises:
        DownloadError: no response, or not the picture. Its causes are those of `download` (`cut short` also
            where a picture lacks its end), `error page` (text) and `error picture` (of another format or
            size, or of one colour that is not black).
    """
    with _gates.setdefault(connections, BoundedSemaphore(connections)):
        content = download(url, longest=patience, redirects=False)
    if problem := _problem(content, format, size):
        cause, reason = problem
        raise DownloadError(url, reason, cause)
    return content


def is_black(content: bytes, size: GridShape) -> bool:
    """Whether a picture is all black, as the servers answer for a day without coverage."""
    pixels = _if_flat(content, size)
    return pixels is not None and bool(pixels.max() <= NODATA_BRIGHTNESS)


def _problem(content: bytes, format: str, size: GridShape) -> tuple[str, str] | None:
    """Cause and reason of a failure; None if the content is the picture."""
    if not content:
        return "cut short", "empty response"
    try:
        with PilImage.open(io.BytesIO(content)) as image:
            actual, width, height = str(image.format), image.width, image.height
    except Exception:  # a damaged header can make Pillow raise anything
        if content.startswith((b"\xff\xd8", b"\x89PNG")):
            return "cut short", "the picture ends within its header"
        return "error page", f"not a picture but {_words(content)}"
    if actual != format.upper() or (height, width) != size:
        wanted = f"{format.upper()} of {size[1]} x {size[0]}"
        return "error picture", f"{actual} of {width} x {height} px, not {wanted}"
    if _END[format] not in content[-_TAIL:]:
        return "cut short", f"the picture has no end: {len(content):,} bytes"
    pixels = _if_flat(content, size)
    if pixels is not None and pixels.max() > NODATA_BRIGHTNESS:
        return "error picture", "all of one colour"
    return None


def _if_flat(content: bytes, size: GridShape) -> Image | None:
    """Pixels of a picture of one colour; None for any other. Most are recognised without decoding."""
    if len(content) > _HEADER + _FLAT * size[0] * size[1]:
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    if pixels is None or int((pixels.max(axis=(0, 1)) - pixels.min(axis=(0, 1))).max()) > _SAME:
        return None
    return np.asarray(pixels, np.uint8)


def _words(content: bytes) -> str:
    """Quote the beginning of a page, without its tags."""
    text = re.sub(r"<[^>]*>", " ", content[:4000].decode(errors="replace"))
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return repr(plain[:_QUOTED]) if plain else "a page without text"
