"""What the outputs for maps share: where a grid's pixels lie, how large they are, and what made them."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

import numpy as np
from numpy.typing import NDArray

from nephoscope import __version__
from nephoscope.core.errors import SceneError
from nephoscope.patterns import NAMES
from nephoscope.place import Bounds
from nephoscope.regions import Region
from nephoscope.rle import Grid, Mask
from nephoscope.scene import Scene
from nephoscope.segmentation import Segmentation

Degrees = NDArray[np.float64]

EARTH_RADIUS = 6371.0088
"""km; the mean radius of the Earth (IUGG)."""


def require_place(scene: Scene) -> Bounds:
    """Where a scene is.

    Raises:
        SceneError: nothing tells; it says what can be done.
    """
    if scene.bounds is None:
        why = f": {scene.location_problem}" if scene.location_problem else ""
        raise SceneError(
            f"{scene.name}: its place is not known{why}; --bounds west,south,east,north states it"
        )
    return scene.bounds


def require_day(scene: Scene) -> date:
    """When a scene was taken.

    Raises:
        SceneError: nothing tells; it says what can be done.
    """
    if scene.day is None:
        raise SceneError(f"{scene.name}: its day is not known; --time 2020-02-01 states it")
    return scene.day


def edges(bounds: Bounds, grid: Grid) -> tuple[Degrees, Degrees]:
    """Edges of a grid's pixels, in degrees.

    Args:
        bounds: of the whole grid.
        grid: height and width in pixels.

    Returns:
        Longitudes from west to east, shape (width + 1,), which exceed 180 where the grid crosses the
        antimeridian; latitudes from north to south, shape (height + 1,).
    """
    height, width = grid
    return (
        np.linspace(bounds.west, bounds.west + bounds.width, width + 1),
        np.linspace(bounds.north, bounds.south, height + 1),
    )


def pixel_areas(bounds: Bounds, grid: Grid) -> NDArray[np.float64]:
    """What a pixel of each row covers on the sphere, in km², shape (height,)."""
    sines = np.sin(np.radians(edges(bounds, grid)[1]))
    return np.asarray(EARTH_RADIUS**2 * np.radians(bounds.width / grid[1]) * (sines[:-1] - sines[1:]))


def area_km2(mask: Mask, bounds: Bounds) -> float:
    """What a mask covers on the sphere, in km².

    Args:
        mask: boolean, shape (height, width).
        bounds: of the whole grid.
    """
    return float(mask.sum(axis=1) @ pixel_areas(bounds, (mask.shape[0], mask.shape[1])))


def region_masks(segmentation: Segmentation) -> Iterator[tuple[Region, Mask]]:
    """Every region with its mask on the grid of the model's rules, in the order of `Segmentation.regions`."""
    seen: Counter[str] = Counter()
    for region in segmentation.regions:
        seen[region.pattern] += 1
        groups = segmentation.components[NAMES.index(region.pattern)]
        yield region, np.asarray(groups == seen[region.pattern], np.bool_)


def attributes(segmentation: Segmentation) -> dict[str, str]:
    """What was looked at and what looked, as attributes for a file."""
    scene, card = segmentation.scene, segmentation.card
    known = {"satellite": scene.satellite, "date": scene.day and scene.day.isoformat()}
    return {
        "title": f"Fish, Flower, Gravel and Sugar in {scene.name}",
        "picture": scene.name,
        **{name: value for name, value in known.items() if value},
        "software": f"nephoscope {__version__}",
        "model": card.name,
        "license": f"{card.licence} (weights of the model)",
        "references": "doi:10.1002/qj.3662 (patterns), doi:10.1175/BAMS-D-19-0324.1 (labels)",
    }
