"""The model's own error in the interval of a frequency.

A frequency of an atlas differs from what people would find for two reasons: another sample of days would give
another number, and the model draws other areas than people. The first is a bootstrap over the atlas's days;
the second is known from validation scenes, as the ratio of the area that people draw to the area that the
model predicts, with its error over days (`Card.area_ratios`). Both are independent: each resample of the
atlas's days is multiplied by a ratio drawn at random.

Source: propagation of distributions by Monte Carlo, JCGM 101:2008, "Evaluation of measurement data".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.frequency import Kind
from nephoscope.core.errors import CardError
from nephoscope.inference.card import Card
from nephoscope.inference.probability import AreaRatio


def area_ratios(attributes: Mapping[Any, Any], kind: Kind) -> dict[str, AreaRatio]:
    """The ratios of the model of an atlas or a summary, by pattern; none of a model that is not calibrated.

    Args:
        attributes: of the atlas or summary, with the model's card.
        kind: of the frequencies.
    """
    try:
        card = Card.from_json(str(attributes["model_card"]))
    except (KeyError, CardError):  # of an atlas that was made by hand
        return {}
    return {name: ratios[kind] for name, ratios in card.area_ratios.items() if kind in ratios}


def label_factors(
    ratios: Mapping[str, AreaRatio], classes: Sequence[str], resamples: int, seed: int = 0
) -> NDArray[np.float64]:
    """What frequencies of a model are multiplied by to give those of people's labels.

    Args:
        ratios: by class; the factors of others are NaN.
        classes: in the order of the result.
        resamples: number of draws from each ratio's distribution, which is log-normal.
        seed: of the draws.

    Returns:
        Shape (classes, 1 + resamples): the ratio itself, then the draws.
    """
    drawn = np.random.default_rng([seed, 1]).standard_normal((len(classes), 1 + resamples))
    drawn[:, 0] = 0
    factors = np.full_like(drawn, np.nan)
    for index, name in enumerate(classes):
        if ratio := ratios.get(name):
            factors[index] = ratio.ratio * np.exp(ratio.error * drawn[index])
    return factors
