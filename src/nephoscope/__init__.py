"""Segment patterns of shallow clouds (Fish, Flower, Gravel, Sugar) in satellite pictures.

import nephoscope

scene = nephoscope.open_scene("scene.jpg")
segmentation = nephoscope.segment(scene)
segmentation.area_fractions["Flower"]
"""

from typing import TYPE_CHECKING, Any

from nephoscope.core.version import __version__

if TYPE_CHECKING:
    from nephoscope.core.errors import NephoscopeError
    from nephoscope.core.geo import Bounds
    from nephoscope.imagery.reading import open_scene
    from nephoscope.imagery.scene import Scene
    from nephoscope.inference.card import Card
    from nephoscope.inference.model import Model
    from nephoscope.inference.pipeline import segment, segment_many
    from nephoscope.inference.postprocess import Rule
    from nephoscope.inference.regions import Region
    from nephoscope.inference.remote import RemoteModel
    from nephoscope.inference.segmentation import Segmentation, apply_rules
    from nephoscope.outputs.registry import formats

__all__ = [
    "Bounds",
    "Card",
    "Model",
    "NephoscopeError",
    "Region",
    "RemoteModel",
    "Rule",
    "Scene",
    "Segmentation",
    "__version__",
    "apply_rules",
    "formats",
    "open_scene",
    "segment",
    "segment_many",
]

_MODULES = {
    "Bounds": "nephoscope.core.geo",
    "Card": "nephoscope.inference.card",
    "Model": "nephoscope.inference.model",
    "NephoscopeError": "nephoscope.core.errors",
    "Region": "nephoscope.inference.regions",
    "RemoteModel": "nephoscope.inference.remote",
    "Rule": "nephoscope.inference.postprocess",
    "Scene": "nephoscope.imagery.scene",
    "Segmentation": "nephoscope.inference.segmentation",
    "apply_rules": "nephoscope.inference.segmentation",
    "formats": "nephoscope.outputs.registry",
    "open_scene": "nephoscope.imagery.reading",
    "segment": "nephoscope.inference.pipeline",
    "segment_many": "nephoscope.inference.pipeline",
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
