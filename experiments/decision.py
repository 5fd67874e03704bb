"""Ways from probabilities to masks, on the validation scenes: `python -m experiments.decision DATA [MODEL]`.

Each is fitted on nine tenths of the days and evaluated on the tenth, by the contest's Dice. They are a
threshold and a presence cut on one piece of evidence; a presence score from all patterns' evidence, by
logistic regression; and, for each scene, the level at which the expected Dice is highest.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import group_kfold, split
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import presence_score

LEVELS = 100  # of probability
TOP_K = (500, 4000, 16000)  # pixels of 350x525
CUTS = np.linspace(0.02, 0.98, 49)
FOLDS = 10


class Profile(NamedTuple):
    """What thresholds need to know of the scenes, by pattern.

    Attributes:
        patterns: names.
        above: pixels above each level, shape (scenes, patterns, levels).
        mass: sum of the probabilities of those pixels.
        hits: number of those pixels that are labelled.
        labelled: labelled pixels, shape (scenes, patterns).
        scores: presence evidence, shape (scenes, patterns, kinds): means of the highest, then the head.
        folds: of the scenes' days, shape (scenes,).
    """

    patterns: tuple[str, ...]
    above: np.ndarray
    mass: np.ndarray
    hits: np.ndarray
    labelled: np.ndarray
    scores: np.ndarray
    folds: np.ndarray

    @property
    def dice(self) -> np.ndarray:
        """Dice of the mask at each level, shape (scenes, patterns, levels)."""
        total = self.above + self.labelled[..., None]
        return np.where(total > 0, 2 * self.hits / np.maximum(total, 1), 1.0)


def main(data: Path, name: str) -> None:
    profile = measure(Model.load(name, threads=1), data)
    names = profile.patterns
    kinds = [*(f"mean of {top_k} highest" for top_k in TOP_K), "presence head"][: profile.scores.shape[2]]
    print(f"{len(profile.folds)} scenes, {FOLDS} folds of days; mean Dice on days not fitted on")
    for index, kind in enumerate(kinds):
        report(f"threshold, and cut on the {kind}", held_out(profile, profile.scores[..., index]), names)
    together = presence(profile)
    report("threshold, and cut on all evidence together", held_out(profile, together), names)
    report("level of the highest expected Dice", expected(profile, together), names)
    perfect = profile.labelled > 0
    report("threshold, and presence known", held_out(profile, perfect.astype(float)), names)
    best = np.where(perfect, profile.dice.max(axis=2), 1.0)
    report("the best level for each scene, and presence known", best, names)


def report(way: str, scores: np.ndarray, patterns: tuple[str, ...]) -> None:
    by_pattern = "  ".join(
        f"{name} {value:.3f}" for name, value in zip(patterns, scores.mean(axis=0), strict=True)
    )
    print(f"  {way:<50} {scores.mean():.4f}   {by_pattern}", flush=True)


def measure(model: Model, data: Path) -> Profile:
    """Segment the validation scenes."""
    dataset = read_dataset(data)
    dataset = dataset.select(split(dataset.records)[1])

    def work(record: Record) -> tuple[np.ndarray, ...]:
        segmentation = segment(dataset.scene(record.image), model)
        grid = segmentation.valid_mask.shape
        truth = np.stack([dataset.labels.mask(record.image, name, grid) for name in model.card.patterns])
        parts = []
        for probability, mask in zip(segmentation.probabilities, truth, strict=True):
            level = np.minimum((probability * LEVELS).astype(np.int64), LEVELS - 1).reshape(-1)
            weights = (None, probability.reshape(-1), mask.reshape(-1).astype(float))
            counts = [np.bincount(level, weight, LEVELS) for weight in weights]
            parts.append([np.cumsum(count[::-1])[::-1] for count in counts])
        scores = np.array([[presence_score(field, k) for k in TOP_K] for field in segmentation.probabilities])
        if (presence := segmentation.prediction.head_probabilities) is not None:
            scores = np.column_stack([scores, presence])
        return np.array(parts), truth.sum(axis=(1, 2)), scores

    indices, columns = zip(*dataset.map(work, []), strict=True)
    parts, labelled, scores = (np.stack(each) for each in zip(*columns, strict=True))
    folds = np.array(group_kfold([dataset.records[index].group for index in indices], FOLDS))
    return Profile(dataset.patterns, parts[:, :, 0], parts[:, :, 1], parts[:, :, 2], labelled, scores, folds)


def held_out(profile: Profile, scores: np.ndarray) -> np.ndarray:
    """Dice of each scene and pattern, its level and cut chosen on the other days."""
    dice, empty = profile.dice, (profile.labelled == 0).astype(float)

    def choose(fold: int, index: int) -> Callable[[np.ndarray], np.ndarray]:
        others = profile.folds != fold
        there = scores[others, index] >= CUTS[:, None]
        means = there @ dice[others, index] + (~there @ empty[others, index])[:, None]
        cut, level = np.unravel_index(means.argmax(), means.shape)
        return lambda inside: np.where(
            scores[inside, index] >= CUTS[cut], dice[inside, index, level], empty[inside, index]
        )

    result = np.zeros(empty.shape)
    for fold in range(FOLDS):
        inside = profile.folds == fold
        for index in range(len(profile.patterns)):
            result[inside, index] = choose(fold, index)(inside)
    return result


def presence(profile: Profile) -> np.ndarray:
    """Probability that each pattern is present, from all patterns' evidence, fitted on the other days."""
    evidence = np.clip(profile.scores, 1e-3, 1 - 1e-3).reshape(len(profile.folds), -1)
    evidence = np.log(evidence / (1 - evidence))
    result = np.zeros(profile.labelled.shape)
    for fold in range(FOLDS):
        others = profile.folds != fold
        for index in range(len(profile.patterns)):
            fitted = LogisticRegression(C=0.05, max_iter=1000)
            fitted.fit(evidence[others], profile.labelled[others, index] > 0)
            result[~others, index] = fitted.predict_proba(evidence[~others])[:, 1]
    return result


def expected(profile: Profile, there: np.ndarray) -> np.ndarray:
    """Dice at the level whose expected Dice is highest, or of no mask where that is expected to do better."""
    # Given that a pattern is present, its pixels have their predicted probability over that of the pattern.
    likely = profile.mass / np.maximum(there[..., None], 0.05)
    likely = np.minimum(likely, profile.above)
    of_masks = there[..., None] * 2 * likely / np.maximum(profile.above + likely[..., :1], 1)
    best = of_masks.argmax(axis=2)[..., None]
    chosen = np.take_along_axis(profile.dice, best, 2)[..., 0]
    value = np.take_along_axis(of_masks, best, 2)[..., 0]
    return np.where(value >= 1 - there, chosen, profile.labelled == 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), (*sys.argv, "default")[2])
