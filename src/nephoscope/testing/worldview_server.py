"""A local stand-in for NASA's image servers, for tests and for trying things offline.

    python -m nephoscope.testing.worldview_server                   # synthetic scenes, not observations
    python -m nephoscope.testing.worldview_server --pictures DATA   # pictures in the contest's layout

It answers Worldview Snapshots and GIBS map requests (WMS 1.3.0), refuses invalid requests as they do, and can
simulate their faults. The same request always gets the same picture.
"""

import argparse
import hashlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import urlsplit

import cv2
import numpy as np

from nephoscope.core.errors import InvalidRequestError
from nephoscope.core.geo import Overpass
from nephoscope.core.types import GridShape, Image
from nephoscope.datasets.catalogue import read_catalogue
from nephoscope.datasets.dataset import CATALOGUE, PICTURES
from nephoscope.imagery.map_requests import MapRequest, parse_map_query, parse_snapshot_query
from nephoscope.imagery.synthetic import make_scene
from nephoscope.imagery.worldview import SATELLITES

_SNAPSHOTS = "/api/v1/snapshot"
_MAPS = "/wms/epsg4326/best/wms.cgi"
_PARSERS = {_SNAPSHOTS: parse_snapshot_query, _MAPS: parse_map_query}

FAULTS = (
    "no coverage",  # a black picture
    "error picture",  # a grey picture
    "wrong size",
    "html",  # an error page with status 200 and an image's media type
    "xml",  # the same with a map server's exception
    "cut short",
    "cut short without length",
    "drip",  # one byte at a time, without end
    "reset",
    "404",
    "429",  # with Retry-After, like 503
    "500",
    "503",
)
"""Faults that the server can simulate."""

Fault = Callable[[Overpass, int], str | None]
"""Returns one of `FAULTS`, or None, from the scene and its number of requests, the current one included."""

_SCENES = 12
_SCENE_SIZE: GridShape = (350, 525)
_HTML = b"<!DOCTYPE html><html><head><title>Oops</title></head><body>Something went wrong.</body></html>"


class WorldviewServer(ThreadingHTTPServer):
    """A context manager that serves while it is open.

    Attributes:
        address: of the Snapshots service.
        map_address: of the map server.
        total: requests answered, with or without a fault.
        most_at_once: most requests in progress at the same time.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        fault: Fault | None = None,
        *,
        pictures: Path | None = None,
        port: int = 0,
        delay: float = 0.0,
        retry_after: str = "0",
    ):
        """Bind the port.

        Args:
            fault: chooses the fault of each request.
            pictures: folder in the contest's layout with a catalogue; scenes that it lacks have no coverage.
                Default: synthetic scenes.
            port: to listen on. Default: any free port.
            delay: seconds before each response.
            retry_after: value of Retry-After with 429 and 503.

        Raises:
            DatasetError: the catalogue is invalid.
            OSError: the catalogue cannot be read, or the port is taken.
        """
        self.total = 0
        self.most_at_once = 0
        self._fault, self._delay, self._retry_after = fault, delay, retry_after
        self._pictures = None if pictures is None else _read_pictures(pictures)
        self._counts: Counter[int] = Counter()  # by hash, to save memory in large tests
        self._active = 0
        self._lock, self._closing = Lock(), Event()
        super().__init__(("127.0.0.1", port), _Handler)
        root = f"http://127.0.0.1:{self.server_address[1]}"
        self.address, self.map_address = root + _SNAPSHOTS, root + _MAPS

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.shutdown()
        self.server_close()

    def count(self, overpass: Overpass) -> int:
        """Number of requests for a scene."""
        return self._counts[hash(overpass)]

    def _begin(self) -> None:
        with self._lock:
            self.total += 1
            self._active += 1
            self.most_at_once = max(self.most_at_once, self._active)

    def _fault_of(self, overpass: Overpass) -> str | None:
        with self._lock:
            self._counts[hash(overpass)] += 1
            attempt = self._counts[hash(overpass)]
        return self._fault(overpass, attempt) if self._fault else None

    def _picture(self, request: MapRequest) -> bytes:
        if self._pictures is None:
            return _encode(_resized(_scene_number(_overpass(request)), request.size), request.format)
        path = self._pictures.get(_overpass(request))
        if path is None:
            return _flat(request, 0)
        pixels = np.asarray(cv2.imread(str(path)), np.uint8)
        if pixels.shape[:2] == request.size and path.suffix in (".jpg", ".jpeg") and request.format == "jpeg":
            return path.read_bytes()
        return _encode(_resize(pixels, request.size), request.format)


class _Handler(BaseHTTPRequestHandler):
    server: WorldviewServer

    def do_GET(self) -> None:
        archive, parts = self.server, urlsplit(self.path)
        archive._begin()
        self._active = True
        try:
            if parts.path not in _PARSERS:
                return self._send(404, _exception(f"nothing at {parts.path}"), "application/xml")
            request = _PARSERS[parts.path](parts.query)
            fault = archive._fault_of(_overpass(request))
            archive._closing.wait(archive._delay)
            if fault is None:
                self._send(200, archive._picture(request), f"image/{request.format}")
            else:
                self._send_fault(fault, request)
        except InvalidRequestError as error:
            self._send(400, _exception(str(error)), "application/xml")
        except OSError:
            self.close_connection = True  # the client disconnected
        finally:
            self._end()

    def _end(self) -> None:
        """Count the request as answered, before its last byte: the client's next one may follow at once."""
        with self.server._lock:
            self.server._active -= self._active
            self._active = False

    def _send_fault(self, fault: str, request: MapRequest) -> None:
        archive, kind = self.server, f"image/{request.format}"
        match fault:
            case "no coverage":
                self._send(200, _flat(request, 0), kind)
            case "error picture":
                self._send(200, _flat(request, 200), kind)
            case "wrong size":
                smaller = request._replace(size=(request.size[0], max(1, request.size[1] // 2)))
                self._send(200, archive._picture(smaller), kind)
            case "html":
                self._send(200, _HTML, kind)
            case "xml":
                self._send(200, _exception("msWMSLoadGetMapParams(): WMS server error."), kind)
            case "cut short" | "cut short without length":
                content = archive._picture(request)
                length = len(content) if fault == "cut short" else None
                self._send(200, content[: len(content) // 2], kind, length)
            case "drip":
                self._send(200, b"\xff\xd8", kind, length=None)
                while not archive._closing.wait(0.02):
                    self.wfile.write(b"\xff")
            case "reset":
                lingering = struct.pack("ii", 1, 0)  # closing then resets the connection
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
                self.connection.close()
            case "429" | "503":
                self._send(int(fault), b"later", "text/plain", later=archive._retry_after)
            case "404" | "500":
                self._send(int(fault), _HTML, "text/html")
            case _:
                raise ValueError(f"unknown fault {fault!r}; available: {', '.join(FAULTS)}")

    def _send(self, status: int, body: bytes, kind: str, length: int | None = -1, later: str = "") -> None:
        """Send a response; Content-Length is the true one if `length` is negative, and left out if None."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        if later:
            self.send_header("Retry-After", later)
        self.end_headers()
        self._end()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Do not log requests."""


def _overpass(request: MapRequest) -> Overpass:
    names = {satellite.layer: name for name, satellite in SATELLITES.items()}
    if request.layer not in names:
        raise InvalidRequestError(f"unknown layer {request.layer!r}; available: {', '.join(names)}")
    return Overpass(names[request.layer], request.day, request.bounds)


def _read_pictures(folder: Path) -> dict[Overpass, Path]:
    return {
        Overpass(record.satellite, record.day, record.bounds): folder / PICTURES / record.image
        for record in read_catalogue(folder / CATALOGUE).values()
        if record.satellite and record.day and record.bounds
    }


def _scene_number(overpass: Overpass) -> int:
    """Number of the synthetic scene for an overpass: the same in every process."""
    return hashlib.sha256(repr(overpass).encode()).digest()[0] % _SCENES


@cache
def _scene(number: int) -> Image:
    return cv2.cvtColor(make_scene(number, _SCENE_SIZE).pixels, cv2.COLOR_RGB2BGR)  # type: ignore[return-value]


@lru_cache(maxsize=2 * _SCENES)
def _resized(number: int, size: GridShape) -> Image:
    return _resize(_scene(number), size)


def _resize(pixels: Image, size: GridShape) -> Image:
    method = cv2.INTER_AREA if size[0] < pixels.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=method), np.uint8)


def _flat(request: MapRequest, brightness: int) -> bytes:
    return _encode(np.full((*request.size, 3), brightness, np.uint8), request.format)


def _encode(pixels: Image, format: str) -> bytes:
    return bytes(cv2.imencode(f".{format}", pixels)[1])


def _exception(reason: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ServiceExceptionReport version="1.3.0">'
        f"<ServiceException>{reason}</ServiceException></ServiceExceptionReport>\n"
    ).encode()


def main() -> None:
    """Serve until interrupted."""
    name = "python -m nephoscope.testing.worldview_server"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--pictures", type=Path, metavar="DATA")
    options = parser.parse_args()
    with WorldviewServer(pictures=options.pictures, port=options.port) as archive:
        print(f"NEPHOSCOPE_WORLDVIEW={archive.address}", flush=True)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(60)


if __name__ == "__main__":
    main()
