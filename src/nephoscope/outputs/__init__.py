"""Output formats by name. One module a format; each turns a segmentation into files' contents."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec

from nephoscope.outputs import geojson, geotiff, json, mask, netcdf, organisation, overlay, panel
from nephoscope.outputs.geography import require_place
from nephoscope.scene import Scene
from nephoscope.segmentation import Segmentation


class UnknownFormat(ValueError):
    """No output format bears a name."""


class MissingExtra(ValueError):
    """A format needs a library that is not installed; the message says how to install it."""


def _any_scene(_scene: Scene) -> None:
    """For formats that ask nothing of a scene."""


@dataclass(frozen=True)
class Format:
    """A kind of output.

    Attributes:
        endings: of the files it makes for one scene, put behind the scene's name.
        render: the files' contents, in the same order.
        check: raises SceneError for a scene that lacks what the format needs.
        extra: of nephoscope, that installs the libraries it needs.
        libraries: that it needs beside the base.
    """

    endings: tuple[str, ...]
    render: Callable[[Segmentation], list[bytes]]
    check: Callable[[Scene], object] = _any_scene
    extra: str = ""
    libraries: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Libraries it needs that are not installed."""
        return [library for library in self.libraries if find_spec(library) is None]


FORMATS = {
    "overlay": Format(overlay.ENDINGS, overlay.render),
    "panel": Format(panel.ENDINGS, panel.render),
    "mask": Format(mask.ENDINGS, mask.render),
    "json": Format(json.ENDINGS, json.render),
    "geojson": Format(geojson.ENDINGS, geojson.render, require_place),
    "geotiff": Format(geotiff.ENDINGS, geotiff.render, require_place, "geo", ("rasterio",)),
    "netcdf": Format(netcdf.ENDINGS, netcdf.render, netcdf.check, "geo", ("xarray", "h5netcdf", "h5py")),
    "organisation": Format(
        organisation.ENDINGS, organisation.render, extra="organisation", libraries=("cloudmetrics",)
    ),
}
"""One or more files a scene. The contest's CSV is one file a run: see `outputs.csv`."""

CSV = "csv"


def parse_formats(text: str) -> tuple[str, ...]:
    """Names of formats from a text with commas between them, each once.

    Raises:
        UnknownFormat: an unknown name, with the nearest one there is, or none at all.
        MissingExtra: one needs a library that is not installed.
    """
    known = (*FORMATS, CSV)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UnknownFormat(f"--format {name}: no such format; {hint}")
        if name != CSV:
            _require_libraries(name)
    if not names:
        raise UnknownFormat(f"--format: name at least one of {', '.join(known)}")
    return names


def _require_libraries(name: str) -> None:
    chosen = FORMATS[name]
    if missing := chosen.missing:
        raise MissingExtra(
            f"--format {name}: {' and '.join(missing)} missing: pip install 'nephoscope[{chosen.extra}]'"
        )
