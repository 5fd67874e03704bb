"""A model on another machine: pictures go to its `nephoscope serve`, probabilities come back."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import Request

import cv2
import numpy as np

from nephoscope.core.errors import CardError, DownloadError, ModelError, PayloadError, SceneError, ServerError
from nephoscope.core.geo import parse_worldview_name
from nephoscope.core.io import sanitize_name
from nephoscope.imagery.http import Retry, download
from nephoscope.imagery.scene import Raster, Scene, find_nodata
from nephoscope.inference.card import Card
from nephoscope.inference.payload import MEDIA_TYPE, Payload, unpack
from nephoscope.inference.prediction import Prediction, view

RETRY = Retry(growth=1.25, causes=frozenset({"busy"}), patience=120.0)
"""A busy server gets the request again after growing pauses from a second on, for two minutes.

A pause is at least the server's `Retry-After`, and no shorter where that is 0.
"""

_NAME = 200  # letters of a scene's name that are sent
_LARGEST = 1024 * 1024 * 1024  # bytes of a response
_LONGEST = 3600.0  # s for a request; a slow connection may send a large picture
_SILENCE = 120.0  # s without a byte, while the network runs
_OF_PICTURE = ("too-large", "not-a-picture", "picture")  # problems, by the last part of their `type`
_OF_MODEL = "model"

log = logging.getLogger("nephoscope")


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

    def __repr__(self) -> str:
        return f"<RemoteModel {self.name} of {self.address}>"

    @cached_property
    def card(self) -> Card:
        """The model's card, requested from the server.

        Raises:
            ModelError: the server has no such model.
            ServerError: the server cannot be reached, or refuses.
        """
        with self._reading():
            known = {card["name"]: card for card in self._get("models")["models"]}
            if self.name in known:
                return Card.from_json(json.dumps(known[self.name]))
        available = sanitize_name(", ".join(map(str, known)))
        raise ModelError(f"{self.address}: unknown model {self.name!r}; available: {available}")

    @cached_property
    def connections(self) -> int:
        """Number of concurrent requests that keep the server's workers busy, within its limit.

        Twice as many as there are workers: the next pictures travel while others are segmented.

        Raises:
            ServerError: the server cannot be reached or refuses.
        """
        with self._reading():
            state = self._get("server")
            return min(2 * int(state["workers"]), int(state["limits"]["requests"]))

    def predict(self, scene: Scene, *, tta: bool = False) -> Prediction:
        """Run the network on a scene, on the server.

        Args:
            scene: the picture, with the bounds and day that it has here.
            tta: mean over the picture and its mirror images.

        Raises:
            SceneError: the picture cannot be read, or the server refuses it.
            ModelError: the server has no such model.
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
            box = scene.bounds if scene.bounds.width < 360 else scene.bounds._replace(west=-180.0, east=180.0)
            query["bounds"] = ",".join(map(str, box))
        if scene.day:
            query["day"] = scene.day.isoformat()
        headers = {**self._headers, "Accept": MEDIA_TYPE, "Content-Type": "application/octet-stream"}
        url = f"{self.address}/api/v1/segment?{urlencode(query)}"
        try:
            log.info("%s: sent to %s, model %s", scene.name, self.address, self.name)
            return unpack(self._send(Request(url, _content(scene), headers)))
        except PayloadError as error:
            raise ServerError(f"{self.address}: {sanitize_name(str(error))}") from error

    def _get(self, path: str) -> Any:
        return json.loads(self._send(Request(f"{self.address}/api/v1/{path}", headers=self._headers)))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (CardError, LookupError, TypeError, json.JSONDecodeError) as error:
            raise ServerError(f"{self.address}: not a response of nephoscope: {error!r}") from error

    def _send(self, request: Request) -> bytes:
        send = partial(
            download, request, largest=_LARGEST, longest=_LONGEST, silence=_SILENCE, redirects=False
        )
        try:
            return RETRY.run(send)
        except DownloadError as error:
            if error.problem == _OF_MODEL:
                raise ModelError(f"{error.reason} (from {self.address})") from error
            if error.problem in _OF_PICTURE:
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
