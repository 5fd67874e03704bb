"""Ways to calibrate probabilities, on days that they were not fitted on.

python -m experiments.calibration DATA [MODEL]

Prints the expected calibration error of pixels (20 bins of equal width) and of a pattern's presence (five
groups of equally many scenes, by the mean of the 4,000 highest probabilities) on the validation scenes, for
the network's own output, temperature and Platt scaling, and isotonic regression.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import group_kfold, split
from nephoscope.inference.model import Model
from nephoscope.training.calibration import with_calibration
from nephoscope.training.platt_fit import Fit, held_out_pixels, held_out_presence
from nephoscope.training.scored_scenes import score_scenes
from nephoscope.training.validation import TOP_K

FOLDS = 10
Fitted = Callable[[np.ndarray], np.ndarray]


def main(data: Path, name: str) -> None:
    dataset = read_dataset(data)
    _, validation = split(dataset.records)
    model = with_calibration(Model.load(name, threads=1), {})
    scored = score_scenes(model, dataset.select(validation))
    folds = group_kfold(scored.groups, FOLDS)
    print(f"{name}, {len(folds)} scenes; expected calibration error of pixels, and of presence")
    for way, fit in WAYS.items():
        parts = []
        for index, pattern in enumerate(model.card.patterns):
            pixels, scores = scored.pixels[index], scored.scores[index, TOP_K.index(4000)]
            of_presence = held_out_presence(scores, 1 - scored.empty[index], folds, fit)
            errors = held_out_pixels(pixels, folds, fit).error, of_presence.error
            parts.append(f"{pattern} {errors[0]:.3f} {errors[1]:.3f}")
        print(f"  {way:<12}" + "   ".join(parts))


def none(*_: np.ndarray) -> Fitted:
    return lambda scores: scores


def isotonic(scores: np.ndarray, counts: np.ndarray, positives: np.ndarray) -> Fitted:
    fitted = IsotonicRegression(out_of_bounds="clip")
    fitted.fit(scores, positives / np.maximum(1, counts), sample_weight=counts)
    return fitted.predict


def logistic(intercept: bool) -> Fit:
    def fit(scores: np.ndarray, counts: np.ndarray, positives: np.ndarray) -> Fitted:
        regression = LogisticRegression(C=1e6, fit_intercept=intercept)
        twice = np.concatenate([logits(scores)] * 2)
        labels = np.repeat([1, 0], len(scores))
        regression.fit(twice, labels, sample_weight=np.concatenate([positives, counts - positives]))
        return lambda values: regression.predict_proba(logits(values))[:, 1]

    return fit


def logits(scores: np.ndarray) -> np.ndarray:
    inner = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(inner / (1 - inner))[:, None]


WAYS: dict[str, Fit] = {
    "none": none,
    "temperature": logistic(intercept=False),
    "Platt": logistic(intercept=True),
    "isotonic": isotonic,
}


if __name__ == "__main__":
    main(Path(sys.argv[1]), (*sys.argv, "default")[2])
