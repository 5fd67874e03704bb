"""How far the area of a model's pattern is from that of the labels: a ratio, and its error.

Source: ratio estimators and their bootstrap, Efron and Tibshirani 1993, "An Introduction to the Bootstrap",
chapter 10.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from nephoscope.evaluation.statistics import resample_groups
from nephoscope.inference.probability import AreaRatio
from nephoscope.training.rule_search import Numbers

_RESAMPLES = 1000


def area_ratio(labelled: Numbers, predicted: Numbers, groups: Sequence[Hashable], seed: int = 0) -> AreaRatio:
    """The ratio of labelled to predicted area, whole groups of scenes resampled.

    Args:
        labelled: share of each scene's pixels with data that have the label, shape (scenes,).
        predicted: share that the model predicts.
        groups: of each scene; days of a region are not independent.
        seed: of the resampling.
    """
    areas = np.column_stack([labelled, predicted])
    total = areas.sum(axis=0)
    if not (total > 0).all():
        return AreaRatio(1.0, 0.0)
    resampled = resample_groups(areas, groups, _RESAMPLES, seed)
    usable = resampled[(resampled > 0).all(axis=1)]
    return AreaRatio(float(total[0] / total[1]), float(np.std(np.log(usable[:, 0] / usable[:, 1]))))
