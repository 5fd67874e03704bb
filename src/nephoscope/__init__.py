"""Segment patterns of shallow clouds (Fish, Flower, Gravel, Sugar) in satellite pictures.

import nephoscope

scene = nephoscope.open_scene("scene.jpg")
segmentation = nephoscope.segment(scene)
segmentation.area_fractions["Flower"]
"""

from typing import TYPE_CHECKING, Any

from nephoscope.core.version import __version__

if TYPE_CHECKING:
    from nephoscope.imagery.scene import Scene, open_scene
    from nephoscope.inference.model import Model
    from nephoscope.inference.segmentation import Segmentation, segment

__all__ = ["Model", "Scene", "Segmentation", "__version__", "open_scene", "segment"]

_MODULES = {
    "Model": "nephoscope.inference.model",
    "Scene": "nephoscope.imagery.scene",
    "Segmentation": "nephoscope.inference.segmentation",
    "open_scene": "nephoscope.imagery.scene",
    "segment": "nephoscope.inference.segmentation",
}


def __dir__() -> list[str]:
    """Public names."""
    return __all__


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import nephoscope` stays fast."""
    if name not in _MODULES:
        raise AttributeError(f"module 'nephoscope' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
