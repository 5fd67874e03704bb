"""`geotiff`: one band a pattern, to lay over the picture in a geographic information system.

Four bands of 0 and 1 rather than one of bits, because patterns overlap: so each has its own legend,
statistics and outlines without arithmetic. They are at the picture's own size, like `mask`: pixel lies on
pixel, and gaps between swaths are known to the pixel.
"""

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.outputs.metadata import attributes, require_place

NO_DATA = 255
"""Value of pixels without data, in every band."""


def render(segmentation: Segmentation) -> list[bytes]:
    """Bands of 0, 1 and `NO_DATA` in the patterns' order, named after them, on WGS 84.

    Longitudes exceed 180 where the scene crosses the antimeridian.

    Raises:
        SceneError: the place is not known.
    """
    from rasterio.io import MemoryFile
    from rasterio.transform import from_bounds

    bounds = require_place(segmentation.scene)
    height, width = segmentation.scene.size
    east = bounds.west + bounds.width
    gaps = ~segmentation.scene.read().valid_mask
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            height=height,
            width=width,
            count=len(DEFAULT_NAMES),
            dtype="uint8",
            crs="EPSG:4326",
            transform=from_bounds(bounds.west, bounds.south, east, bounds.north, width, height),
            nodata=NO_DATA,
            compress="deflate",
            interleave="band",
            photometric="minisblack",  # four bands of bytes would be taken for colours with opacity
        ) as dataset:
            dataset.update_tags(**attributes(segmentation))
            for band, name in enumerate(DEFAULT_NAMES, 1):
                mask = segmentation.mask(name, (height, width)).view(np.uint8)
                dataset.write(np.where(gaps, np.uint8(NO_DATA), mask), band)
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
