"""The mean mask: what one answers who knows where patterns usually are and never looks at the picture.

Forecasts are held against the same reference, climatology: a model that does not beat it has learnt places,
not clouds.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID, GridShape, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, PackedMasks
from nephoscope.datasets.labels import Problem

_GRID: GridShape = (70, 105)  # a fifth of the answer grid a side: mean masks are smooth
_LEVELS = 40  # thresholds that are tried for each pattern, from 0 up


def mean_mask(dataset: Dataset, progress: Progress | None = None) -> NDArray[np.bool_]:
    """The area of each pattern, where the share of scenes that carry it is above a threshold.

    The threshold is the one whose area scores the highest mean Dice on the same scenes. Areas without a pixel
    are not among the choices: that is another baseline, and by the contest's measure often a better one.

    Args:
        dataset: the scenes; never those that the mask is judged on.
        progress: told the scenes done so far and in all.

    Returns:
        Boolean, shape (patterns, 350, 525); all empty where no scene can be read.
    """
    problems: list[Problem] = []

    def work(record: Record) -> PackedMasks:
        return dataset.bits(record.image, _GRID)

    found = [bits for _, bits in dataset.map(work, problems, progress=progress)]
    masks = np.zeros((len(DEFAULT_NAMES), *SCORE_GRID), np.bool_)
    if not found:
        return masks
    scenes = np.stack(found).reshape(len(found), -1)
    for index in range(len(DEFAULT_NAMES)):
        best = _best((scenes >> index & 1).view(np.bool_)).reshape(_GRID)
        full = cv2.resize(best.view(np.uint8), SCORE_GRID[::-1], interpolation=cv2.INTER_NEAREST)
        masks[index] = full.view(np.bool_)
    return masks


def _best(scenes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The area above a threshold that agrees best with one pattern's masks, of shape (scenes, pixels)."""
    share = scenes.mean(axis=0)
    levels = np.linspace(0, share.max(), _LEVELS, endpoint=False)
    areas = share >= levels[:, None]  # the first is the whole scene
    shared = scenes.astype(np.float32) @ areas.astype(np.float32).T  # pixel counts, exact up to 2^24
    total = scenes.sum(axis=1)[:, None] + areas.sum(axis=1)
    chosen: NDArray[np.bool_] = areas[int((2 * shared / total).mean(axis=0).argmax())]
    return chosen
