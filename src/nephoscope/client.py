"""A picture to another machine's `nephoscope serve`, and its network's answer back."""

import json
import time
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from nephoscope import __version__
from nephoscope.core.errors import PayloadError, SceneError, ServerError
from nephoscope.core.io import sanitize_name
from nephoscope.place import parse_worldview_name

if TYPE_CHECKING:
    from nephoscope.exchange import Answered
    from nephoscope.scene import Scene

PATIENCE = 120.0
"""Seconds; a server that is full is asked again for so long."""

_NAME = 200  # letters of a scene's name that are sent
_LARGEST = 1024 * 1024 * 1024  # bytes of an answer
_FULL = (429, 503)
_REFUSES_PICTURE = (413, 415, 422)


def ask(server: str, scene: "Scene", content: bytes | None, model: str, tta: bool) -> "Answered":
    """Have a server run its network on a scene.

    Args:
        server: the address that `nephoscope serve` printed: `http://HOST:PORT/#token=TOKEN`, or without a
            token where it asks for none.
        scene: the picture as it was read here; its place and day hold, whatever the server would find.
        content: the picture's file; its pixels are sent as PNG where there is none.
        model: name of one that the server has.
        tta: mean over the picture and its mirror images.

    Raises:
        SceneError: the server refuses the picture.
        ServerError: no such server, no leave to use it, or too busy for `PATIENCE` seconds.
    """
    from nephoscope.exchange import MEDIA_TYPE, unpack  # only who sends a picture waits for OpenCV

    try:
        place = urlsplit(server)
    except ValueError:  # of urlsplit
        place = urlsplit("")
    if place.scheme not in ("http", "https") or not place.netloc:
        raise ServerError(f"{server}: no address of a server: give what `nephoscope serve` printed")
    token = place.fragment.removeprefix("token=")
    query = {"model": model, "name": sanitize_name(scene.name)[-_NAME:], "tta": "true" if tta else "false"}
    if scene.bounds is None and parse_worldview_name(scene.name)[0]:
        del query["name"]  # the server would believe it
    if scene.bounds:
        query["bounds"] = ",".join(map(str, scene.bounds))
    if scene.day:
        query["day"] = scene.day.isoformat()
    where = f"{place.scheme}://{place.netloc}{place.path.rstrip('/')}"
    headers = {
        "Accept": MEDIA_TYPE,
        "Content-Type": "application/octet-stream",
        "User-Agent": f"nephoscope/{__version__}",
    } | ({"Authorization": f"Bearer {token}"} if token else {})
    request = Request(f"{where}/api/v1/segment?{urlencode(query)}", content or _png(scene), headers)
    try:
        return unpack(_persist(request, where))
    except PayloadError as error:
        raise ServerError(f"{where}: {error}") from error


def _png(scene: "Scene") -> bytes:
    """The pixels as they are, transparent where they do not tell themselves that there is no data."""
    import cv2
    import numpy as np

    from nephoscope.scene import find_gaps

    pixels = scene.pixels[:, :, ::-1]
    hidden = ~(scene.valid | find_gaps(scene.pixels))
    if hidden.any():
        pixels = np.dstack([pixels, np.where(hidden, 0, 255).astype(np.uint8)])
    return bytes(cv2.imencode(".png", pixels)[1])


class _Stays(HTTPRedirectHandler):
    """Follows no redirect: a token goes to no address but the one that was given."""

    def redirect_request(self, *_: object) -> None:
        return None


def _persist(request: Request, where: str) -> bytes:
    """The answer's content; a full server is asked again when it says so."""
    end = time.monotonic() + PATIENCE
    opener = build_opener(_Stays)
    while True:
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return bytes(answer.read(_LARGEST))
        except HTTPError as error:
            wait = error.headers.get("Retry-After", "")
            pause = float(wait) if wait.isdecimal() else 1.0
            detail = _detail(error)
            if error.code in _REFUSES_PICTURE:
                raise SceneError(f"{detail} (says {where})") from error
            if error.code not in _FULL or time.monotonic() + pause > end:
                raise ServerError(f"{where}: {detail}") from error
        except URLError as error:
            raise ServerError(f"{where}: {error.reason}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise ServerError(f"{where}: {error}") from error
        time.sleep(pause)


def _detail(error: HTTPError) -> str:
    """Why a server refuses, in its own words."""
    with error:
        try:
            return str(json.loads(error.read(100_000))["detail"])
        except (ValueError, KeyError, TypeError, OSError, HTTPException):
            return f"answered {error.code} {error.reason}"
