"""The mean mask: a baseline that knows where patterns usually are and never looks at the picture.

Forecasts are compared with the same reference, climatology: a model that does not beat it has learnt
positions, not clouds.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import SCORE_GRID, GridShape, Progress
from nephoscope.datasets.dataset import Dataset, unpack_masks
from nephoscope.datasets.labels import Problem

_GRID: GridShape = (70, 105)  # a fifth of the score grid in each direction: mean masks are smooth
_LEVELS = 40  # thresholds that are tried for each pattern, from 0 up


def mean_mask(dataset: Dataset, progress: Progress | None = None) -> NDArray[np.bool_]:
    """Area of each pattern in which the share of scenes with the pattern is above a threshold.

    The threshold is the one whose area has the highest mean Dice on the same scenes. Empty areas are not
    tried: they are another baseline, and by the contest's metric often a better one.

    Args:
        dataset: the scenes; not those that the mask is evaluated on.
        progress: called with the scenes done so far and in all.

    Returns:
        Boolean, shape (patterns, 350, 525); all empty where no scene can be read.
    """
    problems: list[Problem] = []
    results = dataset.map(lambda record: dataset.bits(record.image, _GRID), problems, progress=progress)
    packed = [bits.reshape(-1) for _, bits in results]
    masks = np.zeros((len(dataset.patterns), *SCORE_GRID), np.bool_)
    if packed:
        for mask, scenes in zip(masks, unpack_masks(np.stack(packed), len(masks)), strict=True):
            best = _best(scenes).reshape(_GRID).view(np.uint8)
            mask[:] = cv2.resize(best, SCORE_GRID[::-1], interpolation=cv2.INTER_NEAREST)
    return masks


def _best(scenes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose the area above a threshold with the highest mean Dice; scenes have shape (scenes, pixels)."""
    share = scenes.mean(axis=0)
    levels = np.linspace(0, share.max(), _LEVELS, endpoint=False)
    areas = share >= levels[:, None]  # the first is the whole scene
    shared = scenes.astype(np.float32) @ areas.astype(np.float32).T  # pixel counts, exact up to 2^24
    total = scenes.sum(axis=1)[:, None] + areas.sum(axis=1)
    chosen: NDArray[np.bool_] = areas[int((2 * shared / total).mean(axis=0).argmax())]
    return chosen
