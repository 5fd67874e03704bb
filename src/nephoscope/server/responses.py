"""Response formats and content negotiation."""

import asyncio
import gzip
import logging
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response

from nephoscope.inference import payload
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs import FORMATS, Format, formats
from nephoscope.outputs.format import PATTERN, Merge, render_zip
from nephoscope.outputs.json import summary
from nephoscope.plotting.drawing import jpeg
from nephoscope.server.problems import Problem

log = logging.getLogger("nephoscope.server")

ACCEPTS_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")  # unless its quality is 0
_TEXTS = ("application/json", "application/geo+json", "text/csv")
_WORTH_IT = 2000  # bytes
_LEVEL = 4  # of compression; the highest one takes several times as long


@dataclass(frozen=True)
class ResponseFormat:
    """A media type in which the server answers."""

    media_type: str
    ending: str  # of the file name, after the picture's
    render: Callable[[Segmentation], bytes]
    merge: Merge | None = None  # of the contents of several; None if the format holds one picture
    file_name: str = ""  # of merged content; without an ending also of one picture's
    format: Format | None = None  # the output format behind it; None for the probabilities

    def check(self, segmentation: Segmentation) -> None:
        """Check that a scene has the bounds and the day that the format needs.

        Raises:
            Problem: one of them is not known.
        """
        scene, needs = segmentation.scene, self.format.needs if self.format else ()
        if "place" in needs and scene.bounds is None:
            why = f" ({scene.location_problem})" if scene.location_problem else ""
            raise Problem("place", f"{scene.name}: bounds unknown{why}; send bounds=west,south,east,north")
        if "day" in needs and scene.day is None:
            raise Problem("place", f"{scene.name}: day unknown; send day=2020-02-01")

    def response(self, names: list[str], contents: list[bytes]) -> Response:
        """The response to a request, from the names and contents of its pictures in order."""
        one = len(names) == 1 and self.ending
        name = f"{Path(names[0]).stem}{self.ending}" if one else self.file_name
        content = self.merge(contents) if self.merge else contents[0]
        plain = re.sub(r"[^ -!#-\[\]-~]", "_", name)  # printable ASCII without quotes and backslashes
        disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
        return Response(content, media_type=self.media_type, headers={"Content-Disposition": disposition})


async def compressed(response: Response, request: Request) -> Response:
    """Compress a response of text, where the client takes it and it is worth it."""
    kind = str(response.media_type).partition(";")[0]
    takes = ACCEPTS_GZIP.search(request.headers.get("accept-encoding", ""))
    if kind in _TEXTS and takes and len(response.body) > _WORTH_IT:
        content = await asyncio.to_thread(gzip.compress, bytes(response.body), _LEVEL)
        headers = dict(response.headers) | {"content-encoding": "gzip", "vary": "Accept-Encoding"}
        del headers["content-length"]
        return Response(content, response.status_code, headers)
    return response


def render_npz(segmentation: Segmentation, steps: int | None = None, picture: bool = False) -> bytes:
    """Pack a scene's probabilities and summary as NPZ; on request quantized, and with the JPEG picture."""
    about = summary(segmentation)
    for name, entry in about["patterns"].items():
        entry["score"] = segmentation.scores[name]  # exact: clients decide presence by it again
    card, prediction = segmentation.card, segmentation.prediction
    about |= {"model": card.name, "rules": {name: asdict(rule) for name, rule in card.rules.items()}}
    return payload.pack(prediction, about, steps, jpeg(prediction.raster.pixels) if picture else None)


@cache
def response_formats() -> tuple[ResponseFormat, ...]:
    """All response formats, the default one first; those that hold several pictures precede the others.

    Of two output formats with one media type, only the first is served.
    """
    own, others = list(FORMATS.values()), list(formats().values())[len(FORMATS) :]
    probabilities = ResponseFormat(payload.MEDIA_TYPE, ".npz", render_npz)
    by_type: dict[str, ResponseFormat] = {}
    for each in (*map(_from_output, own), probabilities, *map(_from_output, others)):
        if each and by_type.setdefault(each.media_type, each) is not each and each.format:
            log.warning("output format %r: not served: %s is taken", each.format.name, each.media_type)
    return tuple(sorted(by_type.values(), key=lambda each: each.merge is None))  # stable


def _from_output(output: Format) -> ResponseFormat | None:
    """The response format of an output format; None if it is not served."""
    web = output.web
    if web is None:
        return None
    several = len(output.endings) > 1 or any(PATTERN in ending for ending in output.endings)
    archive = several and web.render is None
    media_type = web.media_type or ("application/zip" if archive else output.media_type)
    render = partial(render_zip, output) if archive else lambda segmentation: output.render(segmentation)[0]
    ending = web.ending or (f"_{output.name}.zip" if archive else "".join(output.endings))
    merge, file_name = web.merge or output.merge, web.file_name or output.file_name
    return ResponseFormat(media_type, ending, web.render or render, merge, file_name, output)


def downloads() -> list[dict[str, Any]]:
    """The formats that the page offers: those whose libraries are installed, in the registry's order."""
    served = {each.format.name: each for each in response_formats() if each.format}
    return [
        {
            "name": name,
            "label": (output.web and output.web.label) or name.capitalize(),
            "kind": (output.web and output.web.kind) or Path(served[name].file_name).suffix[1:].upper(),
            "description": output.description,
            "media_type": served[name].media_type,
            "ending": served[name].ending,
            "file_name": served[name].file_name,
            "needs": list(output.needs),
        }
        for name, output in formats().items()
        if name in served and not output.missing
    ]


def negotiate(accept: str, count: int) -> ResponseFormat:
    """Choose the response format that an Accept header prefers for a number of pictures.

    Raises:
        Problem: no such format, none that holds several pictures, or a library is missing.
    """
    qualities = _qualities(accept or "*/*")

    def quality(each: ResponseFormat) -> float:
        ranges = (each.media_type, f"{each.media_type.partition('/')[0]}/*", "*/*")  # the closest one counts
        return next((qualities[media] for media in ranges if media in qualities), 0.0)

    accepted = [each for each in response_formats() if quality(each) > 0]
    if not accepted:
        available = ", ".join(each.media_type for each in response_formats())
        raise Problem("format", f"Accept: unknown {accept[:200]}; available: {available}")
    able = [each for each in accepted if count == 1 or each.merge]
    if not able:
        several = "application/json and text/csv hold several"
        raise Problem("format", f"{accepted[0].media_type} holds one picture, got {count}; {several}")
    best = max(able, key=quality)
    if best.format and (missing := best.format.missing):
        extra = f"; the extra {best.format.extra} installs them" if best.format.extra else ""
        raise Problem("format", f"{best.media_type}: the server lacks {', '.join(missing)}{extra}")
    return best


def _qualities(accept: str) -> dict[str, float]:
    """Quality values (0 to 1) of an Accept header, by media range."""
    qualities: dict[str, float] = {}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((each[2:] for each in reversed(parameters) if each.startswith("q=")), "1")
        try:
            qualities[media] = min(1.0, max(0.0, float(quality)))
        except ValueError:
            qualities[media] = 0.0
    return qualities
