"""Iorg: nearest neighbours' distances, compared with those of random points in the same observed area.

Tompkins and Semie 2017 compare with a Poisson process in an endless plane. A region ends, and objects near
its edge lack neighbours beyond it, so that random points look regular there, the more so the fewer they are
and the narrower the region. Here the random points lie in the same observed pixels. n independent points
there have a neighbour's distance that exceeds r with probability mean over x of (1 - |B(x, r)| / A)^(n - 1),
where A is the observed area and |B(x, r)| the part of it within r of x. This form is exact for any shape and
number, and needs no simulated fields, whose noise would be in the result.
"""

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import Mask

_PLACES = 500  # x, at most: what depends on x are the edges alone
_RADII = 24  # r, at most: the logarithm is nearly linear in r², exactly so without edges


def iorg(centroids: NDArray[np.float64], observed: Mask) -> float:
    """Organisation index of points (1): 0.5 for random points, towards 1 for clumps, 0 for a regular lattice.

    It is the area under the distribution of the nearest neighbours' distances, plotted over that of random
    points; NaN for fewer than two points. Random points have a mean of 0.5 in observed areas of any shape.

    Args:
        centroids: x, y of each object in pixels from the top left corner, shape (objects, 2).
        observed: where objects could have been seen, shape (height, width).

    Source: Weger et al. 1992, doi:10.1029/92JD02038; Tompkins and Semie 2017, doi:10.1002/2016MS000802.
    """
    count = len(centroids)
    if count < 2:
        return float("nan")
    distances = nearest_neighbour_distances(centroids)
    radii = np.unique(distances)
    if len(radii) > _RADII:
        radii = np.unique(np.quantile(distances, np.linspace(0, 1, _RADII)))
    logarithms = np.log(np.maximum(_random_exceedance(observed, radii, count), 1e-300))
    return float(np.mean(np.exp(np.interp(distances**2, radii**2, logarithms))))


def nearest_neighbour_distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point to the nearest other one; shapes (points, 2), at least two, and (points,).

    Points are sorted along the longer side. Each looks forwards and backwards until the next is farther along
    that side alone than the nearest so far.
    """
    along = int(np.ptp(points[:, 1]) > np.ptp(points[:, 0]))
    order = np.argsort(points[:, along], kind="stable")
    first, second = points[order, along], points[order, 1 - along]
    nearest = np.full(len(points), np.inf)  # squared
    for direction in (1, -1):
        looking, step = np.arange(len(points)), 0
        while len(looking):
            step += direction
            looking = looking[(looking + step >= 0) & (looking + step < len(points))]
            gap = (first[looking + step] - first[looking]) ** 2
            looking, gap = looking[near := gap < nearest[looking]], gap[near]
            gap += (second[looking + step] - second[looking]) ** 2
            nearest[looking] = np.minimum(nearest[looking], gap)
    distances = np.empty(len(points))
    distances[order] = np.sqrt(nearest)
    return distances


def _random_exceedance(observed: Mask, radii: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Probability that one of `count` random points has no neighbour within each radius."""
    places = np.flatnonzero(observed)
    area = len(places)
    if area > _PLACES:
        places = np.random.default_rng(0).choice(places, _PLACES, replace=False, shuffle=False)
    y, x = np.divmod(places, observed.shape[1])
    sums = np.zeros((observed.shape[0], observed.shape[1] + 2), np.float32)
    np.cumsum(observed, axis=1, out=sums[:, 1:-1])
    sums[:, -1] = sums[:, -2]
    shares = (_area_within(radius, y, x, sums) / area for radius in radii)
    return np.array([np.mean(np.clip(1 - share, 0, 1) ** (count - 1)) for share in shares])


def _area_within(
    radius: float, y: NDArray[np.intp], x: NDArray[np.intp], sums: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Observed area in px within a radius of the middle of each pixel (y, x).

    `sums` are sums of the observed pixels from the left, one column of zeros before and the last repeated
    after. Each strip of a row takes its mean chord of the disc, so that a whole disc has exactly its area.
    """
    height, width = sums.shape[0], sums.shape[1] - 2
    reach = min(int(np.ceil(radius + 0.5)), height)
    strips = int(np.clip(30 / max(radius, 1), 1, 8))  # of a row; in small discs a row is much
    edges = np.linspace(-reach - 0.5, reach + 0.5, (2 * reach + 1) * strips + 1)
    edges = np.clip(edges / max(radius, 1e-9), -1, 1)  # of strips, as far as the disc reaches
    heights = np.maximum(np.diff(edges), 1e-9)
    half_chords = radius / 2 * np.diff(edges * np.sqrt(1 - edges**2) + np.arcsin(edges)) / heights
    rows = y[:, None] + np.arange(-reach, reach + 1).repeat(strips)
    inside = (rows >= 0) & (rows < height)
    rows = np.clip(rows, 0, height - 1)

    def left_of(position: NDArray[np.float64]) -> NDArray[np.float64]:
        position = np.clip(position, 0, width)
        whole = position.astype(np.intp)
        before = sums[rows, whole]
        return np.asarray(before + (position - whole) * (sums[rows, whole + 1] - before), np.float64)

    middle = x[:, None] + 0.5
    chords = left_of(middle + half_chords) - left_of(middle - half_chords)
    return np.asarray(np.sum(chords * heights, axis=1, where=inside) * radius, np.float64)
