"""The model's own error in the interval of a frequency.

A frequency of an atlas differs from what people would find for two reasons: another sample of days would give
another number, and the model draws other areas than people. The first is a bootstrap over the atlas's days;
the second is known from validation scenes, as the ratio of the area that people draw to the area that the
model predicts, with its error over days (`Card.area_ratios`). Both are independent: each resample of the
atlas's days is multiplied by a ratio drawn at random.

Source: propagation of distributions by Monte Carlo, JCGM 101:2008, "Evaluation of measurement data".
"""

import numpy as np
from numpy.typing import NDArray

from nephoscope.inference.probability import AreaRatio


def with_model_error(resamples: NDArray[np.floating], ratio: AreaRatio, seed: int = 0) -> NDArray[np.float64]:
    """Multiply resampled frequencies by ratios drawn from their distribution, which is log-normal.

    Args:
        resamples: frequencies from 0 to 1, the resamples along the last axis.
        ratio: of the pattern, for the kind of frequency.
        seed: of the draws.

    Returns:
        Frequencies that people's labels would give, of the same shape; at most 1.
    """
    drawn = np.random.default_rng(seed).standard_normal(resamples.shape[-1])
    return np.asarray(np.minimum(1.0, resamples * ratio.ratio * np.exp(ratio.error * drawn)))
