"""Calibrated probabilities and unbiased rules by season and region, on days that they were not fitted on.

python -m experiments.held_out_frequencies DATA [MODEL]

On the dated validation scenes: expected calibration errors of pixels and of presence, and how far expected
and masked frequencies are from the labels', in percentage points with 95 % intervals (days of a region
resampled). Probabilities and rules are fitted on nine tenths of the days and judged on the tenth. The error
of presence by chance is that of right probabilities: the mean over labels drawn from them.
"""

import sys
from pathlib import Path

import numpy as np

from experiments.seasons import groups_of
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import group_kfold
from nephoscope.evaluation.statistics import Interval, bootstrap, grouped_error
from nephoscope.inference.model import Model
from nephoscope.training.calibration import calibration_of, scaled
from nephoscope.training.platt_fit import held_out_pixels
from nephoscope.training.scored_scenes import score_scenes, survey_scenes

FOLDS, WIDTH, DRAWS = 10, 24, 200


def main(data: Path, name: str) -> None:
    dataset = read_dataset(data)
    scenes = dataset.select(
        [index for index, each in enumerate(dataset.records) if each.split == "val" and each.day]
    )
    model = Model.load(name, threads=1)
    survey = survey_scenes(model, scenes)
    model = scaled(model, survey)
    scored = score_scenes(model, scenes)
    folds, records = group_kfold(scored.groups, FOLDS), scored.records
    held_out = calibration_of(model.card, scored, survey, folds).held_out
    groups = groups_of(records)
    print(f"{len(records)} dated validation scenes; fitted on nine tenths of the days, judged on the tenth")
    print(
        f"{'':<13}{'scenes':>6}  {'pattern':<8}{'error of':>9}{'error of':>9}{'by':>8}"
        + heads("area", "presence")
    )
    print(f"{'':<29}{'pixels':>9}{'presence':>9}{'chance':>8}" + heads("expected", "unbiased rules", each=2))
    near: dict[str, int] = {}
    for group, chosen in groups.items():
        days = [record.group for record, inside in zip(records, chosen, strict=True) if inside]
        for index, (pattern, own) in enumerate(held_out.items()):
            head = f"{group:<13}{chosen.sum():>6}" if index == 0 else " " * 19
            pixels = held_out_pixels(survey.pixels[index], folds, counted=chosen).error
            presence = grouped_error(own.expected_presence[chosen], own.present[chosen])
            chance = by_chance(own.expected_presence[chosen])
            biases = bootstrap(np.stack(list(own.biases().values()), -1)[chosen], days)
            for what, bias in zip(own.biases(), biases, strict=True):
                near[what] = near.get(what, 0) + (bias.low <= 0 <= bias.high)
            errors = f"{pixels:>9.3f}{presence:>9.3f}{chance:>8.3f}"
            print(f"{head}  {pattern:<8}{errors}{''.join(map(points, biases))}")
    of = len(groups) * len(held_out)
    print("Not distinguishable from 0: " + ", ".join(f"{what} {n} of {of}" for what, n in near.items()))


def by_chance(probabilities: np.ndarray) -> float:
    """The mean calibration error of right probabilities on as many scenes."""
    drawn = np.random.default_rng(0).random((DRAWS, len(probabilities))) < probabilities
    return float(np.mean([grouped_error(probabilities, present) for present in drawn]))


def points(bias: Interval) -> str:
    mean, low, high = (100 * each for each in bias)
    return f"{f'{mean:+.1f} ({low:+.1f} to {high:+.1f})':>{WIDTH}}"


def heads(*words: str, each: int = 1) -> str:
    """Heads of the four columns of biases: each word so often in a row, all of them in turns."""
    columns = [word for word in words for _ in range(each)]
    return "".join(f"{word:>{WIDTH}}" for word in columns * (4 // len(columns)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), (*sys.argv, "default")[2])
