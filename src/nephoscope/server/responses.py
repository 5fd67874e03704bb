"""The forms in which the server answers, and which of them a request asks for."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Response

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference import payload
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs import FORMATS, Format, formats
from nephoscope.outputs.format import Merge, render_zip
from nephoscope.outputs.json import summary
from nephoscope.plotting.drawing import jpeg
from nephoscope.server.problems import Problem

Render = Callable[[Segmentation], bytes]

log = logging.getLogger("nephoscope.server")


@dataclass(frozen=True)
class Form:
    """A form of answer.

    Attributes:
        media_type: by which it is asked for.
        ending: of its file's name, behind the picture's.
        render: its content for one picture.
        merge: its content for several; None where it holds one picture alone.
        file_name: of what is merged; with no ending, also of one picture's.
        format: the output format that it was made from; None for the probabilities, which is none.
    """

    media_type: str
    ending: str
    render: Render
    merge: Merge | None = None
    file_name: str = ""
    format: Format | None = None

    def check(self, segmentation: Segmentation) -> None:
        """See that a scene has what the form needs.

        Raises:
            Problem: place or day are not known.
        """
        scene, needs = segmentation.scene, self.format.needs if self.format else ()
        if "place" in needs and scene.bounds is None:
            why = f" ({scene.location_problem})" if scene.location_problem else ""
            raise Problem(
                "place",
                f"{scene.name}: its place is not known{why}; bounds=west,south,east,north states it",
            )
        if "day" in needs and scene.day is None:
            raise Problem("place", f"{scene.name}: its day is not known; day=2020-02-01 states it")

    def response(self, names: list[str], contents: list[bytes]) -> Response:
        """The answer to a request, of its pictures in their order."""
        one = len(names) == 1 and self.ending
        name = f"{Path(names[0]).stem}{self.ending}" if one else self.file_name
        content = self.merge(contents) if self.merge else contents[0]
        plain = re.sub(r"[^ -!#-\[\]-~]", "_", name)  # printable ASCII without quotes and backslashes
        disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
        return Response(content, media_type=self.media_type, headers={"Content-Disposition": disposition})


def _form(chosen: Format) -> Form | None:
    """How the server answers in an output format; None where it does not."""
    web = chosen.web
    if web is None:
        return None
    archive = not chosen.per_run and len(chosen.file_endings(DEFAULT_NAMES)) > 1 and web.render is None
    media_type = web.media_type or ("application/zip" if archive else chosen.media_type)
    render = web.render or (partial(render_zip, chosen) if archive else _only_file(chosen))
    ending = web.ending or (f"_{chosen.name}.zip" if archive else "".join(chosen.endings))
    merge, file_name = web.merge or chosen.merge, web.file_name or chosen.file_name
    return Form(media_type, ending, render, merge, file_name, chosen)


def _only_file(chosen: Format) -> Render:
    return lambda segmentation: chosen.render(segmentation)[0]


def _fields(segmentation: Segmentation) -> bytes:
    return pack_fields(segmentation, None, False)


def pack_fields(segmentation: Segmentation, steps: int | None, picture: bool) -> bytes:
    """A scene's probabilities and what is known of it; see `payload.pack`."""
    about = summary(segmentation)
    for name, found in about["patterns"].items():
        found["score"] = segmentation.scores[name]  # exact, since presence is decided by it again
    about |= {
        "model": segmentation.card.name,
        "rules": {name: asdict(rule) for name, rule in segmentation.card.rules.items()},
    }
    return payload.pack(
        segmentation.prediction,
        about,
        steps,
        jpeg(segmentation.prediction.raster.pixels) if picture else None,
    )


@cache
def forms() -> tuple[Form, ...]:
    """All of them, the usual one first: those that hold several pictures before those that hold one.

    Of two output formats with one media type, the first alone is served.
    """
    own, others = list(FORMATS.values()), list(formats().values())[len(FORMATS) :]
    probabilities = Form(payload.MEDIA_TYPE, ".npz", _fields)
    by_type: dict[str, Form] = {}
    for form in (*map(_form, own), probabilities, *map(_form, others)):
        if form and by_type.setdefault(form.media_type, form) is not form and form.format:
            log.warning("output format %r: not served: %s is taken", form.format.name, form.media_type)
    return tuple(sorted(by_type.values(), key=lambda form: form.merge is None))  # stable


def downloads() -> list[dict[str, Any]]:
    """What the page offers, in the formats' order: those whose libraries are installed."""
    served = {form.format.name: form for form in forms() if form.format}
    return [
        {
            "name": name,
            "label": (chosen.web and chosen.web.label) or name.capitalize(),
            "kind": (chosen.web and chosen.web.kind) or Path(served[name].file_name).suffix[1:].upper(),
            "description": chosen.description,
            "media_type": served[name].media_type,
            "ending": served[name].ending,
            "file_name": served[name].file_name,
            "needs": list(chosen.needs),
        }
        for name, chosen in formats().items()
        if name in served and not chosen.missing
    ]


def choose(accept: str, count: int) -> Form:
    """The form that an Accept header likes best.

    Args:
        accept: the header; anything will do if it is empty.
        count: how many pictures are asked about.

    Raises:
        Problem: there is no such form, none for several pictures, or a library is missing.
    """
    wanted = _preferences(accept or "*/*")
    liked = [form for form in forms() if _liking(form.media_type, wanted) > 0]
    if not liked:
        known = ", ".join(form.media_type for form in forms())
        raise Problem("format", f"Accept: {accept[:200]}: there are {known}")
    able = [form for form in liked if count == 1 or form.merge]
    if not able:
        raise Problem(
            "format",
            f"{liked[0].media_type} speaks of one picture, and {count} came; "
            "application/json and text/csv take several",
        )
    form = max(able, key=lambda form: _liking(form.media_type, wanted))
    if form.format and (missing := form.format.missing):
        extra = f" (the extra {form.format.extra} has them)" if form.format.extra else ""
        raise Problem("format", f"{form.media_type}: this server lacks {', '.join(missing)}{extra}")
    return form


def with_steps(form: Form, steps: int | None, picture: bool) -> Form:
    """The form with the probabilities in steps, or the picture beside them, where it holds probabilities."""
    if form.media_type != payload.MEDIA_TYPE or not (steps or picture):
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
