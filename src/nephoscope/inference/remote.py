"""A model on another machine: pictures go to its `nephoscope serve`, probabilities come back."""

import json
from functools import cached_property, partial
from urllib.parse import urlencode, urlsplit
from urllib.request import Request

import cv2
import numpy as np

from nephoscope.core.errors import CardError, DownloadError, PayloadError, SceneError, ServerError
from nephoscope.core.geo import parse_worldview_name
from nephoscope.core.io import sanitize_name
from nephoscope.imagery.http import Retry, download
from nephoscope.imagery.scene import Raster, Scene, find_nodata
from nephoscope.inference.card import Card
from nephoscope.inference.payload import MEDIA_TYPE, Payload, unpack
from nephoscope.inference.prediction import Prediction, view

RETRY = Retry(growth=1.0, causes=frozenset({"busy"}), patience=120.0)
"""A busy server gets the request again every second, or after its `Retry-After`, for two minutes."""

_NAME = 200  # letters of a scene's name that are sent
_LARGEST = 1024 * 1024 * 1024  # bytes of a response
_LONGEST = 3600.0  # s for a request; a slow connection may send a large picture
_SILENCE = 120.0  # s without a byte, while the network runs
_REFUSES_PICTURE = (413, 415, 422)


class RemoteModel:
    """A model of another machine's `nephoscope serve`, with the interface of `Model`.

    Args:
        server: the address that `nephoscope serve` printed: `http://HOST:PORT/#token=TOKEN`, or without a
            token where it needs none.
        name: of one of the server's models.

    Raises:
        ServerError: the address is not a server's.
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
        token = address.fragment.removeprefix("token=")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @cached_property
    def card(self) -> Card:
        """The model's card, requested from the server.

        Raises:
            ServerError: the server cannot be reached, refuses, or has no such model.
        """
        request = Request(f"{self.address}/api/v1/models", headers=self._headers)
        try:
            cards = json.loads(self._send(request))["models"]
            known = {card["name"]: card for card in cards}
            if self.name in known:
                return Card.from_json(json.dumps(known[self.name]))
        except (CardError, LookupError, TypeError, json.JSONDecodeError) as error:
            raise ServerError(f"{self.address}: not a response of nephoscope: {error!r}") from error
        raise ServerError(f"{self.address}: unknown model {self.name!r}; available: {', '.join(known)}")

    def predict(self, scene: Scene, *, tta: bool = False) -> Prediction:
        """Run the network on a scene, on the server.

        Args:
            scene: the picture, with the bounds and day that it has here.
            tta: mean over the picture and its mirror images.

        Raises:
            SceneError: the picture cannot be read, or the server refuses it.
            ServerError: the server cannot be reached, refuses, or stays busy (`RETRY`).
        """
        payload = self._request(scene, tta)
        scene_view = view(scene, payload.card.input_size)
        return Prediction(scene, scene_view.raster, *payload, measures=scene_view.measures())

    def _request(self, scene: Scene, tta: bool) -> Payload:
        query = {"model": self.name, "name": sanitize_name(scene.name)[-_NAME:], "tta": json.dumps(tta)}
        if scene.bounds is None and parse_worldview_name(scene.name)[0]:
            del query["name"]  # the server would take the bounds from it
        if scene.bounds:
            query["bounds"] = ",".join(map(str, scene.bounds))
        if scene.day:
            query["day"] = scene.day.isoformat()
        headers = {**self._headers, "Accept": MEDIA_TYPE, "Content-Type": "application/octet-stream"}
        url = f"{self.address}/api/v1/segment?{urlencode(query)}"
        try:
            return unpack(self._send(Request(url, _content(scene), headers)))
        except PayloadError as error:
            raise ServerError(f"{self.address}: {error}") from error

    def _send(self, request: Request) -> bytes:
        send = partial(
            download, request, largest=_LARGEST, longest=_LONGEST, silence=_SILENCE, redirects=False
        )
        try:
            return RETRY.run(send)
        except DownloadError as error:
            if error.status in _REFUSES_PICTURE:
                raise SceneError(f"{error.reason} (from {self.address})") from error
            raise ServerError(f"{self.address}: {error.reason}") from error


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
    """The pixels as PNG, transparent where no data does not follow from the pixels themselves."""
    pixels = raster.pixels[:, :, ::-1]
    hidden = ~(raster.valid_mask | find_nodata(raster.pixels))
    if hidden.any():
        pixels = np.dstack([pixels, np.where(hidden, 0, 255).astype(np.uint8)])
    return bytes(cv2.imencode(".png", pixels)[1])
