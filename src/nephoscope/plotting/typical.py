"""A small picture that shows a default pattern well, cut from a synthetic scene."""

from functools import cache

from nephoscope.imagery import synthetic
from nephoscope.imagery.resize import resize
from nephoscope.plotting.drawing import jpeg

SEEDS = {"Fish": 4, "Flower": 1, "Gravel": 2, "Sugar": 1}
"""Seeds of synthetic scenes that show a default pattern well in their middle; chosen by eye."""

_SCENE, _CROP, _SIZE = (700, 1050), (400, 600), (160, 240)  # px: the scene, its part, that part's picture


@cache
def typical_picture(name: str) -> bytes:
    """The part of a synthetic scene around a default pattern, as a JPEG file's content.

    Args:
        name: of the pattern, one of `SEEDS`.
    """
    scene = synthetic.make_scene(SEEDS[name], _SCENE, patterns=(name,), glint=False)
    top, left = (
        int(min(max(0, pixels.mean() - shown / 2), whole - shown))
        for pixels, whole, shown in zip(scene.masks[name].nonzero(), _SCENE, _CROP, strict=True)
    )
    return jpeg(resize(scene.pixels[top : top + _CROP[0], left : left + _CROP[1]], _SIZE))
