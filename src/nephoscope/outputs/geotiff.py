"""`geotiff`: one band a pattern, to lay over the picture in a geographic information system.

Patterns overlap, so each has a band of 0 and 1 of its own, which needs no bit arithmetic for a legend,
statistics or outlines. The bands are at the picture's own size, like `mask`.
"""

import numpy as np

from nephoscope.core.types import Mask
from nephoscope.imagery.scene import Scene, SourceGrid
from nephoscope.imagery.warp import unwarp
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.outputs.metadata import attributes, require_bounds

NO_DATA = 255
"""Value of pixels without data, in every band."""


def render(segmentation: Segmentation) -> list[bytes]:
    """Render bands of 0, 1 and `NO_DATA` in the patterns' order, named after them.

    They are on the picture's own grid: that of its file if it was warped to latitude and longitude, else
    WGS 84, where longitudes exceed 180 if the scene crosses the antimeridian.

    Raises:
        SceneError: the bounds are not known.
    """
    from rasterio import Affine
    from rasterio.io import MemoryFile

    scene, patterns = segmentation.scene, segmentation.card.patterns
    grid = _grid(scene)
    valid = scene.read().valid_mask
    nodata = ~_on_grid(valid, scene)
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            height=grid.size[0],
            width=grid.size[1],
            count=len(patterns),
            dtype="uint8",
            crs=grid.crs,
            transform=Affine(*grid.transform),
            nodata=NO_DATA,
            compress="deflate",
            interleave="band",
            photometric="minisblack",  # readers take four bands of bytes for colours with opacity
        ) as dataset:
            dataset.update_tags(**attributes(segmentation))
            for band, name in enumerate(patterns, 1):
                mask = _on_grid(segmentation.mask(name, scene.size), scene).view(np.uint8)
                dataset.write(np.where(nodata, np.uint8(NO_DATA), mask), band)
                dataset.set_band_description(band, name)
        return [bytes(file.read())]


def _grid(scene: Scene) -> SourceGrid:
    """The grid of the picture's file."""
    if scene.source_grid:
        return scene.source_grid
    bounds, (height, width) = require_bounds(scene), scene.size
    across, down = bounds.width / width, bounds.height / height
    return SourceGrid("EPSG:4326", (across, 0.0, bounds.west, 0.0, -down, bounds.north), scene.size)


def _on_grid(mask: Mask, scene: Scene) -> Mask:
    """A mask of the scene on the grid of its file."""
    return unwarp(mask, require_bounds(scene), scene.source_grid) if scene.source_grid else mask


FORMAT = Format(
    name="geotiff",
    description="A band of 0 and 1 for each pattern, at the picture's own size",
    media_type="image/tiff",
    render=render,
    endings=("_patterns.tif",),
    save_endings=(".tif", ".tiff"),
    needs=("place",),
    extra="geo",
    libraries=("rasterio",),
    web=None,
)
