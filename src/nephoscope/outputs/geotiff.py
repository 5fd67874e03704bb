"""`geotiff`: one band a pattern, to lay over the picture in a geographic information system.

Patterns overlap, so each has a band of 0 and 1 of its own, which needs no bit arithmetic for a legend,
statistics or outlines. The bands are at the picture's own size, like `mask`.
"""

import numpy as np

from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.outputs.metadata import attributes, require_bounds

NO_DATA = 255
"""Value of pixels without data, in every band."""


def render(segmentation: Segmentation) -> list[bytes]:
    """Render bands of 0, 1 and `NO_DATA` in the patterns' order, named after them, on WGS 84.

    Longitudes exceed 180 where the scene crosses the antimeridian.

    Raises:
        SceneError: the bounds are not known.
    """
    from rasterio.io import MemoryFile
    from rasterio.transform import from_bounds

    bounds, patterns = require_bounds(segmentation.scene), segmentation.card.patterns
    height, width = segmentation.scene.size
    east = bounds.west + bounds.width
    nodata = ~segmentation.scene.read().valid_mask
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            height=height,
            width=width,
            count=len(patterns),
            dtype="uint8",
            crs="EPSG:4326",
            transform=from_bounds(bounds.west, bounds.south, east, bounds.north, width, height),
            nodata=NO_DATA,
            compress="deflate",
            interleave="band",
            photometric="minisblack",  # readers take four bands of bytes for colours with opacity
        ) as dataset:
            dataset.update_tags(**attributes(segmentation))
            for band, name in enumerate(patterns, 1):
                mask = segmentation.mask(name, (height, width)).view(np.uint8)
                dataset.write(np.where(nodata, np.uint8(NO_DATA), mask), band)
                dataset.set_band_description(band, name)
        return [bytes(file.read())]


FORMAT = Format(
    name="geotiff",
    description="A band of 0 and 1 for each pattern, at the picture's own size",
    media_type="image/tiff",
    render=render,
    endings=("_patterns.tif",),
    needs=("place",),
    extra="geo",
    libraries=("rasterio",),
    web=None,
)
