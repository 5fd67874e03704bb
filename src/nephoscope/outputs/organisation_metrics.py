"""Metrics of cloud organisation, for a window cut out of a larger cloud mask.

Most come from cloudmetrics. Metrics that do not suit a window are left out: `orientation` follows the
window's own shape, `scai` the pixel's size, and `cop` is infinite where two objects share a centroid. Two are
implemented here: the `iorg` of cloudmetrics calls a function that NumPy no longer has, and its `open_sky` is
a pixel off beside the edges and holds Python's lock for seconds.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import Mask

BRIGHTNESS = 100
"""Of 255. Where red is brighter than this, a true-colour picture shows cloud: the sea reflects little red.

Between sea and cloud Otsu's method puts it at 82 to 117 in nine MODIS scenes, 101 on average.
"""

_LEAST_SIDE = 16  # px: below this box counting has fewer than three sizes to fit a line through


@dataclass(frozen=True)
class Metric:
    """A metric: its unit ("1", or "px" of the measured grid), range of values, meaning and source."""

    unit: str
    least: float
    most: float
    meaning: str
    source: str


_JANSSENS = "Janssens et al. 2021, doi:10.1029/2020GL091001"
METRICS = {
    "cloud_fraction": Metric("1", 0, 1, "share of the pixels with data that are cloud", _JANSSENS),
    "num_objects": Metric("1", 0, np.inf, "cloud objects: pixels that share sides", _JANSSENS),
    "mean_length_scale": Metric("px", 1, np.inf, "square root of the objects' mean area", _JANSSENS),
    "max_length_scale": Metric("px", 1, np.inf, "square root of the largest object's area", _JANSSENS),
    "mean_perimeter_length": Metric(
        "px", 0, np.inf, "mean length of the lines through the objects' edge pixels", _JANSSENS
    ),
    "iorg": Metric(
        "1",
        0,
        1,
        "distances of nearest neighbours, compared with random points: 0.5 random, more clustered, less "
        "regular. Neighbours beyond the window do not count, so few objects look a little too regular",
        "Weger et al. 1992, doi:10.1029/92JD02038; Tompkins and Semie 2017, doi:10.1002/2016MS000802",
    ),
    "open_sky": Metric(
        "1",
        0,
        1,
        "largest clear area as a share of the window: from a clear pixel to the next cloud, or to the edge, "
        "in the four directions; 1 where a row and a column of the window are clear all along",
        "Antonissen 2018, resolver.tudelft.nl/uuid:d868273a-b028-4273-8380-ff1628ecabd5",
    ),
    "fractal_dimension": Metric(
        "1",
        0,
        2,
        "box-counting dimension of the cloud edges: 1 smooth, 2 filling the plane; in the middle of the "
        "window, of whole boxes",
        _JANSSENS,
    ),
}
"""Every metric by name; NaN where a mask does not define it (no cloud, one object).

None assumes a periodic window. `cloud_fraction` is safe on any cut-out; objects are cut off at its edges,
which makes those lengths small where objects are not much smaller than the window; `iorg`, `open_sky` and
`fractal_dimension` mean little in windows only a few objects wide, and the last two count no data as clear
sky.
"""


def cloud_mask(pixels: NDArray[np.uint8], valid_mask: Mask) -> Mask:
    """Mask of the clouds in a true-colour picture: red, green, blue, shape (height, width, 3)."""
    return np.asarray((pixels[:, :, 0] > BRIGHTNESS) & valid_mask, np.bool_)


def measure(cloud: Mask, valid_mask: Mask) -> dict[str, float]:
    """Compute all metrics of a window, by name.

    Args:
        cloud: where there is cloud, shape (height, width); never where there is no data.
        valid_mask: where there is data, the same shape.

    Raises:
        ImportError: cloudmetrics is not installed (the extra `organisation`).
    """
    from cloudmetrics import mask as whole
    from cloudmetrics.objects import metrics as by_object

    metrics = dict.fromkeys(METRICS, float("nan"))
    metrics["num_objects"] = 0.0
    if not valid_mask.any():
        return metrics
    cloud = np.ascontiguousarray(cloud)
    metrics["cloud_fraction"] = whole.cloud_fraction(cloud[valid_mask])
    metrics["open_sky"] = _open_sky(cloud)
    metrics["fractal_dimension"] = _fractal_dimension(cloud)
    if cloud.any():
        count, objects, _, centroids = cv2.connectedComponentsWithStats(cloud.view(np.uint8), connectivity=4)
        for name in ("num_objects", "mean_length_scale", "max_length_scale", "mean_perimeter_length"):
            metrics[name] = float(getattr(by_object, name)(np.asarray(objects)))
        if count > 2:  # the first is the clear sky
            metrics["iorg"] = _iorg(np.asarray(centroids[1:], np.float64), int(np.count_nonzero(valid_mask)))
    return metrics


def _open_sky(cloud: Mask) -> float:
    """Largest product of a clear pixel's two runs of clear pixels, along its row and its column."""
    areas = _clear_run(cloud) * _clear_run(cloud.T).T
    return float(np.max(areas, where=~cloud, initial=0) / cloud.size)


def _clear_run(cloud: Mask) -> NDArray[np.int64]:
    """Length of the unbroken run of clear pixels along the row, through each clear pixel."""
    columns, width = np.arange(cloud.shape[1]), cloud.shape[1]
    before = np.maximum.accumulate(np.where(cloud, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(cloud, columns, width)[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(after - before - 1, np.int64)


def _iorg(centroids: NDArray[np.float64], area: int) -> float:
    """Area under the observed distribution of nearest neighbours' distances, plotted over the random one.

    The random one is 1 - exp(-density π distance²); the area is the mean of its complement at each distance.
    """
    from cloudmetrics.utils import find_nearest_neighbors

    distances = find_nearest_neighbors(centroids)
    return float(np.mean(np.exp(-len(centroids) / area * np.pi * distances**2)))


def _fractal_dimension(cloud: Mask) -> float:
    """Box-counting dimension of the window's middle, in whole boxes: cut boxes would count as cloud edges."""
    from cloudmetrics.mask import fractal_dimension

    if min(cloud.shape) < _LEAST_SIDE:
        return float("nan")
    box = 1 << (min(cloud.shape).bit_length() - 1)
    rows, columns = (slice((side % box) // 2, (side % box) // 2 + side // box * box) for side in cloud.shape)
    with np.errstate(divide="ignore", invalid="ignore"):  # no edge in any box of some size: NaN
        return float(fractal_dimension(cloud[rows, columns]))
