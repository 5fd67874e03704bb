"""Agreement of two masks."""

import numpy as np

from nephoscope.core.errors import ShapeMismatchError
from nephoscope.core.types import Mask


def dice(predicted: Mask, truth: Mask) -> float:
    """Overlap of two masks, `2|X∩Y| / (|X|+|Y|)`; 1 where both are empty.

    Args:
        predicted: boolean, shape (height, width).
        truth: the same grid.

    Raises:
        ShapeMismatchError: the shapes differ.

    Source: the contest's metric, "Understanding Clouds from Satellite Images", 2019.
    """
    shared, total = _overlap(predicted, truth)
    return 2 * shared / total if total else 1.0


def iou(predicted: Mask, truth: Mask) -> float:
    """Intersection over union of two masks, `|X∩Y| / |X∪Y|`; 1 where both are empty.

    Args:
        predicted: boolean, shape (height, width).
        truth: the same grid.

    Raises:
        ShapeMismatchError: the shapes differ.
    """
    shared, total = _overlap(predicted, truth)
    return shared / (total - shared) if total else 1.0


def _overlap(predicted: Mask, truth: Mask) -> tuple[int, int]:
    if predicted.shape != truth.shape:
        raise ShapeMismatchError(f"cannot compare masks of shapes {predicted.shape} and {truth.shape}")
    shared, *areas = (int(np.count_nonzero(mask)) for mask in (predicted & truth, predicted, truth))
    return shared, sum(areas)
