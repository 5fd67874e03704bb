"""`geotiff`: a band of 0 and 1 a class, on a grid that is known on Earth."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.extras import require
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.exchange.drawing import Drawing, Picture, check_canvas, draw
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.reading import Candidate, Reading, check_bytes
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.labels import Problem
from nephoscope.imagery.warp import is_of_gdal

_ENDING = "_patterns"
_NO_DATA = 255
_DEGREES = "EPSG:4326"
_SLACK = 0.01  # pixels by which edges of one grid may differ


def accepts(candidate: Candidate) -> bool:
    """Whether a TIFF is named as `nephoscope segment` names those of patterns; others may be pictures."""
    return candidate.path.stem.lower().endswith(_ENDING)


def read(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read bands that are named after classes, or one band a class in order, or one of class numbers."""
    for path in files:
        require(path.name, "geo", "rasterio")
        with reading.entry(path.name):
            check_bytes(path)
            name = path.stem[: -len(_ENDING)] if path.stem.lower().endswith(_ENDING) else path.stem
            picture = reading.pictures.find(name, label=path)
            yield _read_bands(path, Regions(picture, reading), reading)


def _read_bands(path: Path, regions: Regions, reading: Reading) -> Drawing:
    import rasterio

    try:
        with rasterio.open(path) as dataset:
            check_canvas((dataset.height, dataset.width))
            for band, name in enumerate(dataset.descriptions, 1):
                with regions.entry(f"{path.name}: band {band}"):
                    numbers = dataset.read(band)
                    valid = np.ones(numbers.shape, np.bool_)
                    if dataset.nodata is not None:
                        valid = numbers != dataset.nodata
                    if name is None and dataset.count == 1 and len(reading.classes) > 1:
                        planes = {
                            reading.numbered_pattern(int(number) - 1): numbers == number
                            for number in np.unique(numbers[valid]).tolist()
                            if number
                        }
                    else:
                        index = reading.numbered_pattern(band - 1) if name is None else reading.pattern(name)
                        planes = {index: (numbers != 0) & valid}
                    for index, plane in planes.items():
                        draw(regions.masks, index, _on_picture(plane, dataset, regions.picture))
    except Exception as error:
        if not is_of_gdal(error):
            raise
        raise LabelError(f"a file that is no raster: {error}") from error
    return regions.drawing()


def _on_picture(mask: NDArray[np.bool_], dataset: Any, picture: Picture) -> NDArray[np.bool_]:
    """A mask on the picture's own grid, or on the label grid with the picture's bounds."""
    bounds = picture.record.bounds
    if dataset.crs is None or bounds is None or _is_grid_of(dataset, picture):
        check_canvas((dataset.height, dataset.width), picture)
        return mask
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.warp import reproject

    layers = np.stack([mask, np.ones_like(mask)]).astype(np.uint8)
    result = np.zeros((2, *LABEL_GRID), np.uint8)
    east = bounds.west + bounds.width
    reproject(
        layers,
        result,
        src_transform=dataset.transform,
        src_crs=dataset.crs,
        dst_transform=from_bounds(bounds.west, bounds.south, east, bounds.north, *LABEL_GRID[::-1]),
        dst_crs=_DEGREES,
        resampling=Resampling.nearest,
    )
    if not result[1].any():
        raise LabelError("labels that lie beside their picture")
    return np.asarray(result[0] > 0)


def _is_grid_of(dataset: Any, picture: Picture) -> bool:
    """Whether a raster is in degrees and has the picture's edges."""
    bounds = picture.record.bounds
    if bounds is None or not dataset.crs.is_geographic or dataset.transform.b or dataset.transform.d:
        return False
    edges = np.array([*dataset.bounds]) - (
        bounds.west,
        bounds.south,
        bounds.west + bounds.width,
        bounds.north,
    )
    edges[::2] = (edges[::2] + 180) % 360 - 180
    pixel = min(bounds.width / dataset.width, bounds.height / dataset.height)
    return bool(np.abs(edges).max() < _SLACK * pixel)


def render(scene: ExportedScene, _: list[Problem]) -> Sequence[bytes]:
    """Bands of 0 and 1 in the patterns' order, named after them, at the picture's own size in degrees."""
    require("format geotiff", "geo", "rasterio")
    from rasterio.io import MemoryFile
    from rasterio.transform import from_bounds

    bounds, (height, width) = scene.bounds, scene.size
    if bounds is None:
        raise LabelError("a picture of unknown location, whose labels have no degrees")
    east = bounds.west + bounds.width
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            height=height,
            width=width,
            count=len(scene.patterns),
            dtype="uint8",
            crs=_DEGREES,
            transform=from_bounds(bounds.west, bounds.south, east, bounds.north, width, height),
            nodata=_NO_DATA,
            compress="deflate",
            interleave="band",
            photometric="minisblack",
        ) as dataset:
            for band, (name, mask) in enumerate(scene.sized(), 1):
                dataset.write(mask.view(np.uint8), band)
                dataset.set_band_description(band, name)
        return [bytes(file.read())]


FORMAT = LabelFormat(
    name="geotiff",
    description="A band of 0 and 1 for each class; needs the picture's location",
    endings=(".tif", ".tiff"),
    accepts=accepts,
    read=read,
    file=f"{{picture}}{_ENDING}.tif",
    render=render,
    extra="geo",
)
