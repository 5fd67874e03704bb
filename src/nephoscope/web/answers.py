"""The forms in which the server answers, and which of them a request asks for."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import Response

from nephoscope import exchange
from nephoscope.labels import label_file
from nephoscope.outputs import FORMATS
from nephoscope.outputs.csv import FILE_NAME, rows
from nephoscope.outputs.drawing import jpeg, png
from nephoscope.outputs.json import everything, summary
from nephoscope.outputs.overlay import draw
from nephoscope.segmentation import Segmentation
from nephoscope.web.problems import Problem

Render = Callable[[Segmentation], bytes]


@dataclass(frozen=True)
class Form:
    """A form of answer.

    Attributes:
        media_type: by which it is asked for.
        ending: of its file's name, behind the picture's.
        render: what it says of one picture.
        join: what it says of several; None where it speaks of one alone.
        file_name: of what is joined.
        format: of `outputs.FORMATS`, whose libraries it needs.
        place: whether the scene's place must be known.
        day: whether its day must be.
    """

    media_type: str
    ending: str
    render: Render
    join: Callable[[list[bytes]], bytes] | None = None
    file_name: str = ""
    format: str = ""
    place: bool = False
    day: bool = False

    def check(self, segmentation: Segmentation) -> None:
        """See that a scene has what the form needs.

        Raises:
            Problem: place or day are not known.
        """
        scene = segmentation.scene
        if self.place and scene.bounds is None:
            why = f" ({scene.location_problem})" if scene.location_problem else ""
            raise Problem(
                "place",
                f"{scene.name}: its place is not known{why}; bounds=west,south,east,north states it",
            )
        if self.day and scene.day is None:
            raise Problem("place", f"{scene.name}: its day is not known; day=2020-02-01 states it")

    def response(self, names: list[str], contents: list[bytes]) -> Response:
        """The answer to a request, of its pictures in their order."""
        several = self.file_name and (len(names) > 1 or self.media_type == "text/csv")
        name = self.file_name if several else f"{Path(names[0]).stem}{self.ending}"
        content = self.join(contents) if self.join else contents[0]
        plain = re.sub(r"[^ -!#-\[\]-~]", "_", name)  # printable ASCII without quotes and backslashes
        disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
        return Response(content, media_type=self.media_type, headers={"Content-Disposition": disposition})


def _only_file(format: str) -> Render:
    """What an output format of one file a scene says."""
    return lambda found: FORMATS[format].render(found)[0]


def _scenes(contents: list[bytes]) -> bytes:
    return b'{"scenes": [' + b", ".join(content.strip() for content in contents) + b"]}\n"


def _table(contents: list[bytes]) -> bytes:
    header = label_file([])
    return header + b"".join(content.removeprefix(header) for content in contents)


def _masks(segmentation: Segmentation) -> bytes:
    archive, stem = io.BytesIO(), Path(segmentation.scene.name).stem
    with zipfile.ZipFile(archive, "w") as file:
        mask = FORMATS["mask"]
        for ending, content in zip(mask.endings, mask.render(segmentation), strict=True):
            file.writestr(f"{stem}{ending}", content)
    return archive.getvalue()


def _fields(segmentation: Segmentation) -> bytes:
    return pack_fields(segmentation, None, False)


def pack_fields(segmentation: Segmentation, steps: int | None, picture: bool) -> bytes:
    """A scene's probabilities and what is known of it; see `exchange.pack`."""
    about = summary(segmentation)
    for name, found in about["patterns"].items():
        found["score"] = segmentation.scores[name]  # exact, since presence is decided by it again
    about |= {
        "model": segmentation.card.name,
        "rules": {name: asdict(rule) for name, rule in segmentation.card.rules.items()},
    }
    return exchange.pack(
        segmentation.prediction,
        about,
        steps,
        jpeg(segmentation.prediction.raster.pixels) if picture else None,
    )


FORMS = (
    Form("application/json", ".json", lambda found: orjson.dumps(everything(found)), _scenes, "scenes.json"),
    Form("text/csv", ".csv", lambda found: label_file(rows(found)), _table, FILE_NAME),
    Form("image/png", "_overlay.png", lambda found: png(draw(found))),
    Form("application/zip", "_masks.zip", _masks),
    Form("application/geo+json", ".geojson", _only_file("geojson"), format="geojson", place=True),
    Form("application/x-netcdf", ".nc", _only_file("netcdf"), format="netcdf", place=True, day=True),
    Form(exchange.MEDIA_TYPE, ".npz", _fields),
)
"""All of them, the usual one first."""


def choose(accept: str, count: int) -> Form:
    """The form that an Accept header likes best.

    Args:
        accept: the header; anything will do if it is empty.
        count: how many pictures are asked about.

    Raises:
        Problem: there is no such form, none for several pictures, or a library is missing.
    """
    wanted = _preferences(accept or "*/*")
    liked = [form for form in FORMS if _liking(form.media_type, wanted) > 0]
    if not liked:
        known = ", ".join(form.media_type for form in FORMS)
        raise Problem("format", f"Accept: {accept[:200]}: there are {known}")
    able = [form for form in liked if count == 1 or form.join]
    if not able:
        raise Problem(
            "format",
            f"{liked[0].media_type} speaks of one picture, and {count} came; "
            "application/json and text/csv take several",
        )
    form = max(able, key=lambda form: _liking(form.media_type, wanted))
    if form.format and (missing := FORMATS[form.format].missing):
        raise Problem(
            "format", f"{form.media_type}: this server lacks {', '.join(missing)} (the extra geo has them)"
        )
    return form


def with_steps(form: Form, steps: int | None, picture: bool) -> Form:
    """The form with the probabilities in steps, or the picture beside them, where it holds probabilities."""
    if form.media_type != exchange.MEDIA_TYPE or not (steps or picture):
        return form
    return replace(form, render=lambda found: pack_fields(found, steps, picture))


def problem_content(name: str, problem: dict[str, Any]) -> bytes:
    """What the JSON form says of one of several pictures that failed."""
    return json.dumps({"scene": name, "problem": problem}, ensure_ascii=False).encode()


def _preferences(accept: str) -> dict[str, float]:
    """Likings from 0 to 1 by media range."""
    wanted: dict[str, float] = {}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        liking = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    liking = min(1.0, max(0.0, float(parameter[2:])))
                except ValueError:
                    liking = 0.0
        wanted[media] = liking
    return wanted


def _liking(media_type: str, wanted: dict[str, float]) -> float:
    """How much a media type is liked, by the range that fits it most closely."""
    for media in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media in wanted:
            return wanted[media]
    return 0.0
