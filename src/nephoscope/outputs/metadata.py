"""Metadata that outputs share: location and day of a scene, provenance."""

from datetime import date

from nephoscope.core.citation import REFERENCES
from nephoscope.core.errors import SceneError
from nephoscope.core.extras import install_command
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.version import __version__
from nephoscope.imagery.scene import Scene
from nephoscope.inference.segmentation import Segmentation


def require_bounds(scene: Scene) -> Bounds:
    """The bounds of a scene.

    Raises:
        SceneError: they are not known; the message says how to state them.
    """
    if scene.bounds is None:
        why = f": {scene.location_problem}" if scene.location_problem else ""
        how = "state it by --bounds west,south,east,north (in Python by the argument `bounds`)"
        if scene.projection:
            how = f"{install_command('geo')}, to have it warped to latitude and longitude"
        raise SceneError(f"{scene.name}: unknown location{why}; {how}")
    return scene.bounds


def require_day(scene: Scene) -> date:
    """The day on which a scene was taken.

    Raises:
        SceneError: it is not known; the message says how to state it.
    """
    if scene.day is None:
        how = "state it by --time, such as --time 2020-02-01 (in Python by the argument `day`)"
        raise SceneError(f"{scene.name}: unknown day; {how}")
    return scene.day


def attributes(segmentation: Segmentation) -> dict[str, str]:
    """Describe the picture and the model, as global attributes of a file."""
    scene, card = segmentation.scene, segmentation.card
    *others, last = card.patterns
    own = set(card.patterns) - set(DEFAULT_NAMES)
    known = {
        "title": f"{', '.join(others)} and {last} in {scene.name}" if others else f"{last} in {scene.name}",
        "picture": scene.name,
        "satellite": scene.satellite,
        "date": scene.day and scene.day.isoformat(),
        "software": f"nephoscope {__version__}",
        "model": card.name,
        "license": f"{card.licence} (weights of the model)",
        "references": "" if own else REFERENCES,
    }
    return {name: value for name, value in known.items() if value}
