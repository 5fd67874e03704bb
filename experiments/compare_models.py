"""Models compared on the validation scenes: `python -m experiments.compare_models DATA MODEL...`.

Prints for each model the area under the ROC curve of presence (the best evidence, mean over patterns);
mean Dice with rules chosen on other days, from all kinds of rules and from a threshold and a cut on the mean
of the 16,000 highest probabilities alone, with the difference to the first model and its standard error over
tenths of the days; and mean Dice where presence is known. Figures are means over three divisions into days.
Probabilities are the networks' own output.
"""

import sys
from pathlib import Path

import numpy as np

from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.datasets.splits import group_kfold, split
from nephoscope.evaluation.statistics import auc
from nephoscope.inference.model import Model
from nephoscope.training.calibration import choose_rules, with_calibration
from nephoscope.training.rule_search import Table, search
from nephoscope.training.scored_scenes import THRESHOLDS, ScoredScenes, score_scenes
from nephoscope.training.validation import TOP_K

FOLDS, DIVISIONS = 10, 3


def main(data: Path, names: list[str]) -> None:
    dataset = read_dataset(data)
    scenes = dataset.select(split(dataset.records)[1])
    references: list[np.ndarray] = []
    for name in names:
        scored = scores(name, scenes)
        dice = [by_fold(scored, few=few) for few in (False, True)]
        references = references or dice
        presence = [
            max(auc(kind, 1 - scored.empty[k]) for kind in scored.scores[k]) for k in range(len(dice[0][0]))
        ]
        print(f"{name}: AUC {np.mean(presence):.3f}; presence known {presence_known(scored):.3f}")
        for what, own, reference in zip(("all rules", "few rules"), dice, references, strict=True):
            patterns = " ".join(f"{each:.3f}" for each in own.mean(axis=(0, 2)))
            print(f"  {what}: Dice {own.mean():.3f} ({patterns}){difference(own - reference)}", flush=True)


def scores(name: str, scenes: Dataset) -> ScoredScenes:
    model = Model.load(name, threads=1)
    return score_scenes(with_calibration(model, {}) if model.card.calibration else model, scenes)


def by_fold(scored: ScoredScenes, *, few: bool) -> np.ndarray:
    """Mean Dice of each fold by rules of the others, shape (divisions, patterns, folds)."""
    return np.array(
        [
            [each.held_out_by_fold for each in (choose_few if few else choose_rules)(scored, folds)]
            for folds in (group_kfold(scored.groups, FOLDS, seed) for seed in range(DIVISIONS))
        ]
    )


def choose_few(scored: ScoredScenes, folds: list[int]) -> list:
    plain, kind = slice(len(THRESHOLDS)), [TOP_K.index(16000)]
    return [
        search(Table(by_mask[plain], empty, evidence[kind]), folds)
        for by_mask, empty, evidence in zip(scored.by_mask, scored.empty, scored.scores, strict=True)
    ]


def presence_known(scored: ScoredScenes) -> float:
    plain = scored.by_mask[:, : len(THRESHOLDS)]
    return float(np.where(scored.empty[:, None] > 0, 1, plain).mean(-1).max(axis=1).mean())


def difference(change: np.ndarray) -> str:
    over_patterns = change.mean(axis=1)
    error = over_patterns.std(axis=1, ddof=1).mean() / np.sqrt(FOLDS)
    return f"; {change.mean():+.3f} ± {error:.3f}" if change.any() else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
