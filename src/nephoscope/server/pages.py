"""The page's files, the sample picture, and a typical picture of each default pattern."""

import gzip
import hashlib
import mimetypes
import threading
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from nephoscope.imagery import synthetic
from nephoscope.plotting.typical import SEEDS, example_scene, typical_picture
from nephoscope.server.memory import PixelBudget
from nephoscope.server.problems import Problem
from nephoscope.server.responses import ACCEPTS_GZIP
from nephoscope.site.page import page_files

router = APIRouter(include_in_schema=False)

_drawing = threading.Lock()  # of many who ask at once, one draws
_CACHED = {"Cache-Control": "public, max-age=86400"}


class _File(NamedTuple):
    content: bytes
    gzipped: bytes
    etag: str
    media_type: str


@cache
def _page() -> dict[str, _File]:
    """All files of the page by name; nothing else is served, whatever the address says."""
    page = {}
    for name, content in page_files():
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        page[name] = _File(content, gzip.compress(content, 9, mtime=0), etag, media_type)
    return page


@router.get("/")
def index(request: Request) -> Response:
    """The page."""
    return part("index.html", request)


@router.get("/page/{name:path}")
def part(name: str, request: Request) -> Response:
    """A file of the page."""
    if name not in _page():
        raise Problem("not-found", f"the page has no file {name!r}")
    file = _page()[name]
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = file.content
    if ACCEPTS_GZIP.search(request.headers.get("accept-encoding", "")):
        content, headers["Content-Encoding"] = file.gzipped, "gzip"
    return Response(content, media_type=file.media_type, headers=headers)


@router.get("/patterns/{name}.jpg")
def typical(name: str) -> Response:
    """A small synthetic picture of a default pattern."""
    return _drawn(name, typical_picture)


@router.get("/examples/{name}.jpg")
def example(name: str) -> Response:
    """A synthetic scene with a default pattern."""
    return _drawn(name, example_scene)


def _drawn(name: str, draw: Callable[[str], bytes]) -> Response:
    """A picture of a default pattern, drawn when it is first asked for."""
    if name not in SEEDS:
        raise Problem("not-found", f"no picture of {name!r}; available: {', '.join(SEEDS)}")
    with _drawing:
        content = draw(name)
    return Response(content, media_type="image/jpeg", headers=_CACHED)


@router.get(f"/{synthetic.SAMPLE_NAME}")
def sample(request: Request) -> Response:
    """The built-in synthetic scene, drawn once."""
    return Response(draw_sample(request.app.state.budget), media_type="image/jpeg", headers=_CACHED)


def draw_sample(budget: PixelBudget) -> bytes:
    """The built-in scene as a JPEG file's content; the first time, it is drawn."""
    with _drawing:
        if not _sample.cache_info().currsize:
            with budget.reserve(budget.pixels, lambda: None):  # drawing takes as much memory as all workers
                return _sample()
        return _sample()


_sample = cache(synthetic.sample)
