"""Metrics of cloud organisation in an observed area of any shape, such as a region or a swath.

A pixel is cloud, clear sky or not observed: without data, or outside the area. No metric takes what is not
observed for either of the others, and none assumes a periodic field.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import Mask
from nephoscope.outputs.organisation_iorg import iorg

BRIGHTNESS = 100
"""Of 255. Where red is brighter than this, a true-colour picture shows cloud: the sea reflects little red.

Between sea and cloud Otsu's method puts it at 82 to 117 in nine MODIS scenes, 101 on average.
"""

_NAN = float("nan")
_LEAST_SIDE = 16  # px: below this box counting has fewer than three sizes to fit a line through
_BLOCK = 64  # rows of `open_sky` at a time: later ones leave out what cannot be larger


@dataclass(frozen=True)
class Metric:
    """A metric: its unit ("1", or "px" of the measured grid), range, meaning, where it is NaN, and source."""

    unit: str
    least: float
    most: float
    meaning: str
    undefined: str
    source: str


_JANSSENS = "Janssens et al. 2021, doi:10.1029/2020GL091001"
METRICS = {
    "cloud_fraction": Metric("1", 0, 1, "share of the observed pixels that are cloud", "no data", _JANSSENS),
    "num_objects": Metric(
        "1", 0, np.inf, "objects: connected components of the cloud, by sides", "no data", _JANSSENS
    ),
    "mean_length_scale": Metric(
        "px", 1, np.inf, "square root of the objects' mean area", "no object", _JANSSENS
    ),
    "max_length_scale": Metric(
        "px", 1, np.inf, "square root of the largest object's area", "no object", _JANSSENS
    ),
    "mean_perimeter_length": Metric(
        "px",
        0,
        np.inf,
        "mean length of the objects' edges, of holes too: pixel sides between cloud and observed clear sky. "
        "On average 1.27 times the length of a smooth line, at most 1.41 times",
        "no object",
        _JANSSENS,
    ),
    "iorg": Metric(
        "1",
        0,
        1,
        "distances of the objects' centroids to the nearest other, compared with random points in the same "
        "observed pixels: 0.5 random, more clustered, less regular. Objects do not overlap, so crowded ones "
        "look somewhat regular",
        "fewer than two objects",
        "Weger et al. 1992, doi:10.1029/92JD02038; Tompkins and Semie 2017, doi:10.1002/2016MS000802",
    ),
    "open_sky": Metric(
        "1",
        0,
        1,
        "largest clear area as a share of the observed pixels: from a clear pixel to the next cloud or pixel "
        "without data, left, right, up and down; the observed pixels in the rectangle between them",
        "no data",
        "Antonissen 2018, resolver.tudelft.nl/uuid:d868273a-b028-4273-8380-ff1628ecabd5",
    ),
    "fractal_dimension": Metric(
        "1",
        0,
        2,
        "box-counting dimension of the cloud edges: 1 smooth, 2 filling the plane; in boxes of 4, 8, 16 ... "
        "px of which at least half is observed",
        "fewer than three sizes of boxes (sides below 16 px), or a size with no edge in any box",
        _JANSSENS,
    ),
}
"""Every metric by name. Objects end where observation ends, which makes areas and lengths small where objects
are not much smaller than the area; `iorg`, `open_sky` and `fractal_dimension` mean little in areas only a few
objects wide."""


@dataclass(frozen=True, eq=False)
class CloudObjects:
    """Cloud objects: pixels of each in `areas`, shape (objects,), and `centroids` x, y, shape (objects, 2).

    Centroids are in pixels from the top left corner: the middle of the first pixel is (0.5, 0.5).
    """

    areas: NDArray[np.int64]
    centroids: NDArray[np.float64]


def cloud_mask(pixels: NDArray[np.uint8], valid_mask: Mask) -> Mask:
    """Mask of the clouds in a true-colour picture: red, green, blue, shape (height, width, 3)."""
    return np.asarray((pixels[:, :, 0] > BRIGHTNESS) & valid_mask, np.bool_)


def measure(cloud: Mask, observed: Mask) -> dict[str, float]:
    """Compute all metrics, by name; NaN where `Metric.undefined` says.

    Args:
        cloud: where there is cloud, shape (height, width); what is not observed does not count.
        observed: where there is data inside the area that is measured, the same shape.
    """
    if not observed.any():
        return dict.fromkeys(METRICS, _NAN)
    cloud = cloud & observed
    objects = find_objects(cloud)
    return {
        "cloud_fraction": cloud_fraction(cloud, observed),
        "num_objects": float(len(objects.areas)),
        "mean_length_scale": mean_length_scale(objects),
        "max_length_scale": max_length_scale(objects),
        "mean_perimeter_length": mean_perimeter_length(cloud, observed, objects),
        "iorg": iorg(objects.centroids, observed),
        "open_sky": open_sky(cloud, observed),
        "fractal_dimension": fractal_dimension(cloud, observed),
    }


def find_objects(cloud: Mask) -> CloudObjects:
    """Find the connected components of a mask; pixels that touch at corners only are not connected."""
    values = np.ascontiguousarray(cloud).view(np.uint8)
    _, _, stats, centroids = cv2.connectedComponentsWithStats(values, connectivity=4)
    clear_is_first = slice(1, None)
    return CloudObjects(
        np.asarray(stats[clear_is_first, cv2.CC_STAT_AREA], np.int64),
        np.asarray(centroids[clear_is_first], np.float64) + 0.5,
    )


def cloud_fraction(cloud: Mask, observed: Mask) -> float:
    """Share of the observed pixels that are cloud (1); NaN where nothing is observed."""
    area = np.count_nonzero(observed)
    return np.count_nonzero(cloud) / area if area else _NAN


def mean_length_scale(objects: CloudObjects) -> float:
    """Square root of the objects' mean area in px; NaN without objects."""
    return float(np.sqrt(objects.areas.mean())) if len(objects.areas) else _NAN


def max_length_scale(objects: CloudObjects) -> float:
    """Square root of the largest object's area in px; NaN without objects."""
    return float(np.sqrt(objects.areas.max())) if len(objects.areas) else _NAN


def mean_perimeter_length(cloud: Mask, observed: Mask, objects: CloudObjects) -> float:
    """Mean number of an object's pixel sides that face observed clear sky, in px; NaN without objects.

    Sides where observation ends do not count: nobody knows whether the cloud does.
    """
    clear = observed & ~cloud
    sides = (
        np.count_nonzero(cloud[1:] & clear[:-1])
        + np.count_nonzero(cloud[:-1] & clear[1:])
        + np.count_nonzero(cloud[:, 1:] & clear[:, :-1])
        + np.count_nonzero(cloud[:, :-1] & clear[:, 1:])
    )
    return sides / len(objects.areas) if len(objects.areas) else _NAN


def open_sky(cloud: Mask, observed: Mask) -> float:
    """Share of the observed pixels in the largest rectangle that a clear pixel's clear runs span (1).

    Runs end at clouds and where observation ends. In a box observed all over, the rectangle is the area of
    Antonissen's definition. In other shapes it may reach beyond what is observed, which does not count, so
    that 1 is the most. 0 where all is cloud; NaN where nothing is observed.
    """
    area = np.count_nonzero(observed)
    if not area:
        return _NAN
    clear = observed & ~cloud
    left, right = _clear_run(clear)
    top, bottom = (edge.T for edge in _clear_run(clear.T))
    sums = cv2.integral(np.ascontiguousarray(observed).view(np.uint8))  # one row and column of zeros before
    most = 0
    for start in range(0, len(clear), _BLOCK):
        x0, x1, y0, y1 = (edge[start : start + _BLOCK] for edge in (left, right, top, bottom))
        larger = clear[start : start + _BLOCK] & ((x1 - x0) * (y1 - y0) > most)
        x0, x1, y0, y1 = x0[larger], x1[larger], y0[larger], y1[larger]
        inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
        most = max(most, int(inside.max(initial=0)))
    return most / area


def _clear_run(clear: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Start and stop of the unbroken run of clear pixels along the row, through each clear pixel."""
    width = clear.shape[1]
    columns = np.arange(width, dtype=np.int32)
    starts = np.maximum.accumulate(np.where(clear, np.int32(0), columns + 1), axis=1)
    stops = np.minimum.accumulate(np.where(clear, np.int32(width), columns)[:, ::-1], axis=1)[:, ::-1]
    return starts, stops


def fractal_dimension(cloud: Mask, observed: Mask) -> float:
    """Box-counting dimension of the cloud edges (1).

    Boxes have sides of 4, 8, 16 ... px, up to the largest that fits into the array; as many whole ones as fit
    lie in its middle. A box counts if at least half of it is observed. A line is fitted to the logarithms of
    the share of boxes with both cloud and clear sky and of the size; the dimension is 2 minus its slope. Of
    whole boxes this is the usual count, which goes with the size to the power of minus the dimension. NaN for
    fewer than three sizes, and where no box of a size has both.
    """
    if min(cloud.shape) < _LEAST_SIDE:
        return _NAN
    box = 1 << (min(cloud.shape).bit_length() - 1)
    before = [-(side % box // 2) % box for side in cloud.shape]
    padding = [(first, -(first + side) % box) for first, side in zip(before, cloud.shape, strict=True)]
    clouds, seen = (_sums_of_four(np.pad(mask.astype(np.int32), padding)) for mask in (cloud, observed))
    sizes: list[int] = []
    shares: list[float] = []
    for size in (1 << exponent for exponent in range(2, box.bit_length())):
        clouds, seen = _sums_of_four(clouds), _sums_of_four(seen)
        counted = 2 * seen >= size**2
        mixed = counted & (clouds > 0) & (clouds < seen)
        if counted.any():
            sizes.append(size)
            shares.append(np.count_nonzero(mixed) / np.count_nonzero(counted))
    if len(sizes) < 3 or 0 in shares:
        return _NAN
    slope = np.polyfit(np.log(sizes), np.log(shares), 1)[0]
    return float(np.clip(2 - slope, 0, 2))


def _sums_of_four(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums over boxes of 2 x 2 pixels; the shape is even."""
    rows = values[::2] + values[1::2]
    return rows[:, ::2] + rows[:, 1::2]
