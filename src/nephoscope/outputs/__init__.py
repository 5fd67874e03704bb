"""Output formats by name. One module a format; each turns a segmentation into files' contents."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from nephoscope.outputs import json, mask, overlay, panel
from nephoscope.segmentation import Segmentation


class UnknownFormat(ValueError):
    """No output format bears a name."""


@dataclass(frozen=True)
class Format:
    """A kind of output.

    Attributes:
        endings: of the files it makes for one scene, put behind the scene's name.
        render: the files' contents, in the same order.
    """

    endings: tuple[str, ...]
    render: Callable[[Segmentation], list[bytes]]


FORMATS = {
    "overlay": Format(overlay.ENDINGS, overlay.render),
    "panel": Format(panel.ENDINGS, panel.render),
    "mask": Format(mask.ENDINGS, mask.render),
    "json": Format(json.ENDINGS, json.render),
}
"""One or more files a scene. The contest's CSV is one file a run: see `outputs.csv`."""

CSV = "csv"


def parse_formats(text: str) -> tuple[str, ...]:
    """Names of formats from a text with commas between them, each once.

    Raises:
        UnknownFormat: an unknown name, with the nearest one there is, or none at all.
    """
    known = (*FORMATS, CSV)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UnknownFormat(f"--format {name}: no such format; {hint}")
    if not names:
        raise UnknownFormat(f"--format: name at least one of {', '.join(known)}")
    return names
