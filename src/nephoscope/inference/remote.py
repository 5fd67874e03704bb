"""A model that runs on another machine: pictures go to its `nephoscope serve`, probabilities come back."""

import json
import time
from functools import cached_property
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import cv2
import numpy as np

from nephoscope import __version__
from nephoscope.core.errors import CardError, PayloadError, SceneError, ServerError
from nephoscope.core.geo import parse_worldview_name
from nephoscope.core.io import sanitize_name
from nephoscope.imagery.scene import Raster, Scene, find_nodata
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import measure
from nephoscope.inference.payload import MEDIA_TYPE, Payload, unpack
from nephoscope.inference.prediction import Prediction, resize_valid, view

PATIENCE = 120.0
"""Seconds; a server that is full is asked again for so long."""

_NAME = 200  # letters of a scene's name that are sent
_LARGEST = 1024 * 1024 * 1024  # bytes of an answer
_FULL = (429, 503)
_REFUSES_PICTURE = (413, 415, 422)


class RemoteModel:
    """A model of another machine's `nephoscope serve`, used as a `Model` is: the network runs there.

    Args:
        server: the address that `nephoscope serve` printed: `http://HOST:PORT/#token=TOKEN`, or without a
            token where it asks for none.
        name: of one of the server's models.

    Raises:
        ServerError: the address is not one of a server.
    """

    def __init__(self, server: str, name: str = "default") -> None:
        try:
            address = urlsplit(server)
        except ValueError:
            address = urlsplit("")
        if address.scheme not in ("http", "https") or not address.netloc:
            raise ServerError(f"{server}: not the address of a server: give what `nephoscope serve` printed")
        self.name = name
        self.address = f"{address.scheme}://{address.netloc}{address.path.rstrip('/')}"
        self._headers = {"User-Agent": f"nephoscope/{__version__}"}
        if token := address.fragment.removeprefix("token="):
            self._headers["Authorization"] = f"Bearer {token}"

    @cached_property
    def card(self) -> Card:
        """The model's card, as the server tells it.

        Raises:
            ServerError: the server cannot be reached, refuses, or has no such model.
        """
        request = Request(f"{self.address}/api/v1/models", headers=self._headers)
        try:
            cards = json.loads(_persist(request, self.address))["models"]
            known = {card["name"]: card for card in cards}
            if self.name in known:
                return Card.from_json(json.dumps(known[self.name]))
        except (CardError, LookupError, TypeError, json.JSONDecodeError) as error:
            raise ServerError(f"{self.address}: not an answer of nephoscope: {error!r}") from error
        raise ServerError(f"{self.address}: unknown model {self.name!r}; available: {', '.join(known)}")

    def predict(self, scene: Scene, *, tta: bool = False) -> Prediction:
        """Have the server run its network on a scene.

        Args:
            scene: the picture as it was opened here; its place and day hold, whatever the server would find.
            tta: mean over the picture and its mirror images.

        Raises:
            SceneError: the picture cannot be read, or the server refuses it.
            ServerError: the server cannot be reached, refuses, or is too busy for `PATIENCE` seconds.
        """
        payload = self._ask(scene, _content(scene), tta)
        raster, canvas = view(scene, payload.card.input_size)
        valid_mask = resize_valid(raster.valid_mask, (canvas.shape[0], canvas.shape[1]))
        return Prediction(scene, raster, *payload, measures=measure(canvas, valid_mask))

    def _ask(self, scene: Scene, content: bytes, tta: bool) -> Payload:
        query = {
            "model": self.name,
            "name": sanitize_name(scene.name)[-_NAME:],
            "tta": "true" if tta else "false",
        }
        if scene.bounds is None and parse_worldview_name(scene.name)[0]:
            del query["name"]  # the server would believe it
        if scene.bounds:
            query["bounds"] = ",".join(map(str, scene.bounds))
        if scene.day:
            query["day"] = scene.day.isoformat()
        headers = {**self._headers, "Accept": MEDIA_TYPE, "Content-Type": "application/octet-stream"}
        request = Request(f"{self.address}/api/v1/segment?{urlencode(query)}", content, headers)
        try:
            return unpack(_persist(request, self.address))
        except PayloadError as error:
            raise ServerError(f"{self.address}: {error}") from error


def _content(scene: Scene) -> bytes:
    """The picture's file; for an array, its pixels as PNG."""
    if isinstance(scene.source, bytes):
        return scene.source
    if scene.source is None:
        return _png(scene.read())
    try:
        return scene.source.read_bytes()
    except OSError as error:
        raise SceneError(f"{scene.source}: {error.strerror or error}") from error


def _png(raster: Raster) -> bytes:
    """The pixels as they are, transparent where they do not tell themselves that there is no data."""
    pixels = raster.pixels[:, :, ::-1]
    hidden = ~(raster.valid_mask | find_nodata(raster.pixels))
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
