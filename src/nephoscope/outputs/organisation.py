"""`organisation`: metrics of cloud organisation, one row a region, window of 10° x 10° and scene.

Measured on the picture brought to twice the grid of the model's rules (0.02° a pixel where the location is
known), or at its own size where that is coarser. Of a region only what lies in its own mask is observed.
`pixel_km` turns the pixels of `nephoscope.outputs.organisation_metrics.METRICS` into kilometres.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import floor, isinf, isnan, sqrt
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.geo import edges, pixel_areas, wrapped
from nephoscope.core.types import GridShape, Mask
from nephoscope.imagery.resize import resize, resize_mask
from nephoscope.imagery.scene import Scene
from nephoscope.inference.regions import Region
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.outputs.organisation_metrics import METRICS, cloud_mask, measure

WINDOW = 10
"""Degrees of a window's side. Its edges are multiples of this, the same in every scene."""

LEAST_VALID = 0.5
"""Share of a window that must have data."""

_ANYWHERE = "the location is unknown"
_PLACE = {
    "scene": ("", "name of the picture", ""),
    "date": ("", "day, as 2020-02-01", "unknown"),
    "satellite": ("", "name of the satellite", "unknown"),
    "scope": (
        "",
        "what the row measures: a `region` inside its mask; a `window` of 10° x 10° between multiples of 10° "
        "of longitude and latitude; the `scene`. Windows with data in less than half of their area are left "
        "out",
        "",
    ),
    "pattern": ("", "pattern of the region", "of windows and scenes"),
    "area": ("px of the picture", "area of the region; of a window or scene, the part with data", ""),
    "area_km2": ("km²", "the same on the sphere", _ANYWHERE),
    "longitude": ("degrees east", "of a region's centroid, a window's or scene's middle", _ANYWHERE),
    "latitude": ("degrees north", "the same", _ANYWHERE),
    "window_width": ("px", "width of a region's box, a window's part in the scene, or the scene", ""),
    "window_height": ("px", "their height", ""),
    "pixel_km": ("km", "side of a square as large as a pixel of the measured grid there", _ANYWHERE),
    "valid": (
        "1",
        "share of the region, the whole window or the scene that has data; what of a window lies outside of "
        "the scene has none",
        "",
    ),
}
COLUMNS = (*_PLACE, *METRICS)
"""Values that are unknown or undefined are empty. `markdown_table` describes each."""

_FINER = 2  # times the rules' grid


@dataclass(frozen=True, eq=False)
class _Field:
    """The clouds of a scene, on the measured grid."""

    scene: Scene
    cloud: Mask
    valid_mask: Mask

    @property
    def grid(self) -> GridShape:
        return self.valid_mask.shape[0], self.valid_mask.shape[1]

    @cached_property
    def pixel_areas(self) -> NDArray[np.float64]:
        """In km² by row; NaN where the location is unknown."""
        bounds = self.scene.bounds
        return np.full(self.grid[0], np.nan) if bounds is None else pixel_areas(bounds, self.grid)

    def row(self, part: tuple[slice, slice], middle: float, mask: Mask | None = None) -> dict[str, object]:
        """What is measured in a part of the scene, or in a mask of its shape.

        Args:
            part: rows and columns.
            middle: row for `pixel_km`.
            mask: pixels outside it are not observed. Default: all of the part.
        """
        observed = self.valid_mask[part] if mask is None else self.valid_mask[part] & mask
        size = observed.size if mask is None else int(np.count_nonzero(mask))
        height, width = self.grid
        pixel = self.scene.size[0] * self.scene.size[1] / (height * width)
        return {
            "area": np.count_nonzero(observed) * pixel,
            "area_km2": float(observed.sum(axis=1) @ self.pixel_areas[part[0]]),
            "window_width": observed.shape[1],
            "window_height": observed.shape[0],
            "pixel_km": sqrt(self.pixel_areas[min(int(middle), height - 1)]),
            "valid": np.count_nonzero(observed) / size if size else float("nan"),
            **measure(self.cloud[part], observed),
        }


def render(segmentation: Segmentation) -> list[bytes]:
    """Render a table: a row for each of `Segmentation.regions`, each window, and the scene, in this order."""
    scene, field = segmentation.scene, _field(segmentation)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    of_scene = {"scene": scene.name, "date": scene.day or "", "satellite": scene.satellite or ""}
    for row in (
        *(_region_row(field, region, _rules_grid(segmentation)) for region in segmentation.regions),
        *_window_rows(field),
        _scene_row(field),
    ):
        table.writerow(of_scene | {name: _text(value) for name, value in row.items()})
    return [text.getvalue().encode()]


def region_metrics(segmentation: Segmentation) -> list[dict[str, float]]:
    """The `METRICS` of each of `Segmentation.regions`, inside its mask; NaN where one is undefined."""
    field, grid = _field(segmentation), _rules_grid(segmentation)
    rows = [_region_row(field, region, grid) for region in segmentation.regions]
    return [{name: cast("float", row[name]) for name in METRICS} for row in rows]


def _field(segmentation: Segmentation) -> _Field:
    scene, raster = segmentation.scene, segmentation.prediction.raster
    height, width = (
        min(_FINER * side, own) for side, own in zip(segmentation.valid_mask.shape, scene.size, strict=True)
    )
    valid_mask = resize_mask(raster.valid_mask, (height, width))
    return _Field(scene, cloud_mask(resize(raster.pixels, (height, width)), valid_mask), valid_mask)


def _rules_grid(segmentation: Segmentation) -> GridShape:
    return segmentation.valid_mask.shape[0], segmentation.valid_mask.shape[1]


def _region_row(field: _Field, region: Region, rules_grid: GridShape) -> dict[str, object]:
    """Row of a region; its own area and place are those of other outputs, not of the measured grid."""
    size, (left, top, _, _) = field.scene.size, region.box
    first_row, rows = _pixels_in(top / size[0], region.mask.shape[0], rules_grid[0], field.grid[0])
    first_column, columns = _pixels_in(left / size[1], region.mask.shape[1], rules_grid[1], field.grid[1])
    part = slice(first_row, first_row + len(rows)), slice(first_column, first_column + len(columns))
    middle = region.centroid[1] / size[0] * field.grid[0]
    return field.row(part, middle, region.mask[np.ix_(rows, columns)]) | {
        "scope": "region",
        "pattern": region.pattern,
        "area": region.area,
        "area_km2": region.area_km2,
        "longitude": region.longitude,
        "latitude": region.latitude,
    }


def _pixels_in(start: float, length: int, rules_side: int, side: int) -> tuple[int, NDArray[np.intp]]:
    """Pixels along a side of the measured grid whose middles lie in a box that is given on the rules' grid.

    The box starts at a share of the side and has a length in pixels of the rules' grid. Returns the first of
    the pixels, and for each of them the pixel of the box that its middle lies in.
    """
    in_box = ((np.arange(side) + 0.5) * rules_side / side).astype(np.intp) - round(start * rules_side)
    pixels = np.flatnonzero((in_box >= 0) & (in_box < length))
    return (int(pixels[0]) if len(pixels) else 0), in_box[pixels]


def _window_rows(field: _Field) -> Iterator[dict[str, object]]:
    """Rows of the windows with enough data, from north to south and west to east."""
    bounds = field.scene.bounds
    if bounds is None:
        return
    height, width = field.grid
    pixels = (WINDOW / bounds.height * height) * (WINDOW / bounds.width * width)
    longitudes, latitudes = edges(bounds, field.grid)
    for south, rows in _steps(-latitudes):  # southwards, as rows run
        for east, columns in _steps(longitudes):
            valid = min(1.0, np.count_nonzero(field.valid_mask[rows, columns]) / pixels)
            if valid >= LEAST_VALID:
                yield field.row((rows, columns), (rows.start + rows.stop) / 2) | {
                    "scope": "window",
                    "longitude": wrapped(east),
                    "latitude": -south,
                    "valid": valid,
                }


def _steps(pixel_edges: NDArray[np.float64]) -> Iterator[tuple[float, slice]]:
    """Middle of each step between multiples of `WINDOW`, and the pixels whose middles lie in it."""
    middles = (pixel_edges[1:] + pixel_edges[:-1]) / 2
    for step in range(floor(middles[0] / WINDOW), floor(middles[-1] / WINDOW) + 1):
        start, stop = np.searchsorted(middles, (step * WINDOW, (step + 1) * WINDOW))
        yield (step + 0.5) * WINDOW, slice(int(start), int(stop))


def _scene_row(field: _Field) -> dict[str, object]:
    """Row of the whole scene."""
    height, width = field.grid
    place: dict[str, object] = {}
    if bounds := field.scene.bounds:
        place = {
            "longitude": wrapped(bounds.west + bounds.width / 2),
            "latitude": (bounds.south + bounds.north) / 2,
        }
    return field.row((slice(0, height), slice(0, width)), height / 2) | {"scope": "scene"} | place


def _text(value: object) -> object:
    if isinstance(value, float):
        return "" if isnan(value) else f"{round(value, 4):.12g}"
    return value


def markdown_table() -> str:
    """Make a Markdown table of the columns, one row a column."""
    lines = ["| column | unit | range | what it is | empty | source |", "|---|---|---|---|---|---|"]
    for name, (unit, what, empty) in _PLACE.items():
        lines.append(f"| `{name}` | {unit} |  | {what} | {empty} |  |")
    for name, metric in METRICS.items():
        span = f"from {metric.least:g}" + ("" if isinf(metric.most) else f" to {metric.most:g}")
        cells = (f"`{name}`", metric.unit, span, metric.meaning, metric.undefined, metric.source)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


FORMAT = Format(
    name="organisation",
    description="How clouds are arranged in each region, in windows of 10° and in the scene, one row each",
    media_type="text/csv",
    render=render,
    endings=("_organisation.csv",),
    web=None,
)
