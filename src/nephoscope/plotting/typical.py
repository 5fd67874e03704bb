"""Synthetic scenes of one default pattern each, and small pictures of the patterns, cut from them."""

from functools import cache

from nephoscope.imagery import synthetic
from nephoscope.imagery.resize import resize
from nephoscope.plotting.drawing import jpeg

SEEDS = {"Fish": 6, "Flower": 1, "Gravel": 2, "Sugar": 1}
"""Seed of each pattern's scene; chosen by eye."""

_SCENE, _CROP, _SIZE = (700, 1050), (400, 600), (160, 240)  # px: the scene, its part, that part's picture


def example_scene(name: str) -> bytes:
    """A synthetic scene with a default pattern, as a JPEG file's content.

    Args:
        name: of the pattern, one of `SEEDS`.
    """
    return _draw(name)[0]


def typical_picture(name: str) -> bytes:
    """The part of a pattern's scene around the pattern, small, as a JPEG file's content.

    Args:
        name: of the pattern, one of `SEEDS`.
    """
    return _draw(name)[1]


@cache
def _draw(name: str) -> tuple[bytes, bytes]:
    """The scene, and its part."""
    scene = synthetic.make_scene(SEEDS[name], _SCENE, patterns=(name,), glint=False)
    top, left = (
        int(min(max(0, pixels.mean() - shown / 2), whole - shown))
        for pixels, whole, shown in zip(scene.masks[name].nonzero(), _SCENE, _CROP, strict=True)
    )
    part = scene.pixels[top : top + _CROP[0], left : left + _CROP[1]]
    return jpeg(scene.pixels), jpeg(resize(part, _SIZE), quality=75)
