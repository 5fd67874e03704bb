"""Find how shallow clouds organise: Fish, Flower, Gravel and Sugar in satellite pictures.

import nephoscope

found = nephoscope.segment("scene.jpg")
found.covers["Flower"]
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nephoscope.imagery.scene import Scene, open_scene
    from nephoscope.inference.model import Model
    from nephoscope.inference.segmentation import Segmentation, segment

__all__ = ["Model", "Scene", "Segmentation", "__version__", "open_scene", "segment"]

_HOMES = {
    "Model": "nephoscope.inference.model",
    "Scene": "nephoscope.imagery.scene",
    "Segmentation": "nephoscope.inference.segmentation",
    "open_scene": "nephoscope.imagery.scene",
    "segment": "nephoscope.inference.segmentation",
}


def __dir__() -> list[str]:
    """What there is to ask for."""
    return __all__


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: whoever needs no network does not wait for one."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nephoscope' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
