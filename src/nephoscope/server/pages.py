"""The page's own files, the sample, and a typical picture of each pattern."""

import gzip
import hashlib
import mimetypes
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery import synthetic
from nephoscope.imagery.resize import resize
from nephoscope.plotting.drawing import jpeg
from nephoscope.server.problems import Problem

router = APIRouter(include_in_schema=False)

_TYPICAL = {"Fish": 10, "Flower": 13, "Gravel": 2, "Sugar": 13}
"""Seeds of made-up scenes, chosen by eye, in whose middle a pattern shows well and no gap is."""

_MADE, _SHOWN, _LEGEND = (700, 1050), (400, 600), (160, 240)  # px: the scene, its part, that part's picture
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")  # unless it is liked with 0
_DAY = "public, max-age=86400"


class _File(NamedTuple):
    content: bytes
    packed: bytes
    tag: str
    media_type: str


@cache
def _page() -> dict[str, _File]:
    """All files of the page by name: nothing else can be asked for, whatever the address says."""
    found = {}
    for file in files("nephoscope").joinpath("page").iterdir():
        content = file.read_bytes()
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        found[file.name] = _File(content, gzip.compress(content, 9, mtime=0), tag, media_type)
    return found


@router.get("/")
def index(request: Request) -> Response:
    """The page."""
    return _respond(_page()["index.html"], request)


@router.get("/page/{name}")
def part(name: str, request: Request) -> Response:
    """A file of the page."""
    if name not in _page():
        raise Problem("not-found", f"the page has no {name}")
    return _respond(_page()[name], request)


def _respond(file: _File, request: Request) -> Response:
    headers = {"ETag": file.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = file.content
    if _GZIP.search(request.headers.get("accept-encoding", "")):
        content, headers["Content-Encoding"] = file.packed, "gzip"
    return Response(content, media_type=file.media_type, headers=headers)


@router.get("/patterns/{name}.jpg")
def typical(name: str) -> Response:
    """A small made-up picture that is typical of a pattern."""
    if name not in DEFAULT_NAMES:
        raise Problem("not-found", f"no pattern {name}; there are {', '.join(DEFAULT_NAMES)}")
    return Response(_typical(name), media_type="image/jpeg", headers={"Cache-Control": _DAY})


@cache
def _typical(name: str) -> bytes:
    """The part of a made-up scene where the pattern is."""
    scene = synthetic.make_scene(_TYPICAL[name], _MADE, patterns=(name,))
    top, left = (
        int(min(max(0, places.mean() - shown / 2), made - shown))
        for places, made, shown in zip(scene.masks[name].nonzero(), _MADE, _SHOWN, strict=True)
    )
    return jpeg(resize(scene.pixels[top : top + _SHOWN[0], left : left + _SHOWN[1]], _LEGEND))


@router.get(f"/{synthetic.SAMPLE_NAME}")
def sample() -> Response:
    """The built-in made-up scene; drawn once."""
    return Response(_sample(), media_type="image/jpeg", headers={"Cache-Control": _DAY})


@cache
def _sample() -> bytes:
    return synthetic.sample()
