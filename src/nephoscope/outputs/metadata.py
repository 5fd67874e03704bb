"""What the outputs for maps share: where a grid's pixels lie, how large they are, and what made them."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

import numpy as np

from nephoscope import __version__
from nephoscope.core.errors import SceneError
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import Mask
from nephoscope.imagery.scene import Scene
from nephoscope.inference.regions import Region
from nephoscope.inference.segmentation import Segmentation


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


def region_masks(segmentation: Segmentation) -> Iterator[tuple[Region, Mask]]:
    """Every region with its mask on the grid of the model's rules, in the order of `Segmentation.regions`."""
    seen: Counter[str] = Counter()
    for region in segmentation.regions:
        seen[region.pattern] += 1
        groups = segmentation.components[DEFAULT_NAMES.index(region.pattern)]
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
