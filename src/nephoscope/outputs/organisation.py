"""`organisation`: metrics of cloud organisation in the window of each region, one row a region.

Measured in a region's bounding box, on the picture brought to twice the grid of the model's rules (0.02° a
pixel where the location is known), or at its own size where that is coarser.
`nephoscope.outputs.organisation_metrics.METRICS` says what each column means; `pixel_km` turns its pixels
into kilometres.
"""

import csv
import io
from math import ceil, floor, isnan, sqrt

from nephoscope.core.geo import pixel_areas
from nephoscope.core.types import GridShape
from nephoscope.imagery.resize import resize, resize_mask
from nephoscope.imagery.scene import Scene
from nephoscope.inference.regions import Region
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.outputs.organisation_metrics import METRICS, cloud_mask, measure

COLUMNS = (
    *("scene", "date", "satellite", "pattern", "area", "area_km2", "longitude", "latitude"),
    *("window_width", "window_height", "pixel_km", "valid"),
    *METRICS,
)
"""`area` in the picture's pixels; longitude and latitude of the region's centroid; the window in measured
pixels, and the share of it that has data. Values that are unknown or undefined are empty."""

_FINER = 2  # times the rules' grid


def render(segmentation: Segmentation) -> list[bytes]:
    """Render a table with a row for each of `Segmentation.regions`, in their order."""
    scene, raster = segmentation.scene, segmentation.scene.read()
    height, width = (
        min(_FINER * side, own) for side, own in zip(segmentation.valid_mask.shape, scene.size, strict=True)
    )
    valid_mask = resize_mask(raster.valid_mask, (height, width))
    cloud = cloud_mask(resize(raster.pixels, (height, width)), valid_mask)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for region in segmentation.regions:
        rows, columns = _window(region, scene.size, (height, width))
        has_data = valid_mask[rows, columns]
        row = _described(region, scene, (height, width)) | {
            "window_width": has_data.shape[1],
            "window_height": has_data.shape[0],
            "valid": float(has_data.mean()),
            **measure(cloud[rows, columns], has_data),
        }
        table.writerow({name: _text(value) for name, value in row.items()})
    return [text.getvalue().encode()]


def _window(region: Region, size: GridShape, grid: GridShape) -> tuple[slice, slice]:
    left, top, right, bottom = region.box
    down, across = grid[0] / size[0], grid[1] / size[1]
    slack = 1e-6  # of a pixel: rounding must not add a row or column
    return (
        slice(floor(top * down + slack), ceil(bottom * down - slack)),
        slice(floor(left * across + slack), ceil(right * across - slack)),
    )


def _described(region: Region, scene: Scene, grid: GridShape) -> dict[str, object]:
    """Columns that describe the region itself; `pixel_km`: side of a square as large as a pixel there."""
    known: dict[str, object] = {
        "scene": scene.name,
        "date": scene.day or "",
        "satellite": scene.satellite or "",
        "pattern": region.pattern,
        "area": region.area,
    }
    if bounds := scene.bounds:
        row = int(region.centroid[1] / scene.size[0] * grid[0])
        known |= {
            "area_km2": region.area_km2,
            "longitude": region.longitude,
            "latitude": region.latitude,
            "pixel_km": sqrt(pixel_areas(bounds, grid)[row]),
        }
    return known


def _text(value: object) -> object:
    if isinstance(value, float):
        return "" if isnan(value) else f"{round(value, 4):.12g}"
    return value


FORMAT = Format(
    name="organisation",
    description="How clouds are arranged around each region, one row a region",
    media_type="text/csv",
    render=render,
    endings=("_organisation.csv",),
    web=None,
)
