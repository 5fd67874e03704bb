"""An evaluation's numbers as JSON holds them, and as the page's tables read them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.dataset import count_problems
from nephoscope.evaluation.agreement import LEAST_PEOPLE, LEAST_SCENES, Comparison, Measure
from nephoscope.evaluation.evaluator import BINS, ModelEvaluation
from nephoscope.evaluation.exploration import KNOWN
from nephoscope.evaluation.statistics import RESAMPLES, Interval


def numbers(found: ModelEvaluation) -> dict[str, Any]:
    """All figures of a model against labels, ready for `json.dumps`; None where there is nothing to measure.

    Dice and shares are from 0 to 1; an interval is the 2.5th and 97.5th percentile of the resampled means.
    """
    best, worst = found.extremes()
    return {
        "scenes": len(found.records),
        "days": len({record.group for record in found.records}),
        "grid": list(SCORE_GRID),
        "resamples": RESAMPLES,
        "dice": {
            "model": _means(found.means(found.dice)),
            **{name: _means(found.means(dice)) for name, dice in found.baselines.items()},
        },
        "presence": {
            name: {what: _finite(value) for what, value in told._asdict().items()}
            for name, told in found.presence.items()
        },
        "reliability": {
            name: {
                "error": told.error,
                **{
                    what: [_finite(value) for value in getattr(told, what).tolist()]
                    for what in ("predicted", "observed", "share")
                },
            }
            for name, told in found.reliability.items()
        },
        "reliability_bins": BINS,
        "confusion": {
            label: dict(zip((*DEFAULT_NAMES, "nothing"), map(_finite, row), strict=True))
            for label, row in zip(DEFAULT_NAMES, found.confusion.tolist(), strict=True)
        },
        "by": {
            what: {
                name: {"scenes": len(scenes), "dice": _means(found.means(found.dice, scenes))}
                for name, scenes in found.by(what).items()
            }
            for what in KNOWN
        },
        "best": [_scene(found, index) for index in best],
        "worst": [_scene(found, index) for index in worst],
        "problems": {
            "counts": dict(count_problems(found.problems)),
            "all": [problem.where for problem in found.problems],
        },
    }


def people_numbers(
    comparisons: Mapping[str, Comparison], everywhere: Comparison, judged: int
) -> dict[str, Any]:
    """All figures of people and candidates, ready for `json.dumps`.

    Args:
        comparisons: of each candidate with people, on the scenes whose picture is at hand, by its name.
        everywhere: of any candidate, on all practice scenes; only what it tells of people is used.
        judged: how many of the scenes are among those that the model is judged on.
    """
    one = next(iter(comparisons.values()))
    return {
        "scenes": one.scenes,
        "scenes_judged": judged,
        "people": one.people,
        "least_people": LEAST_PEOPLE,
        "least_scenes": LEAST_SCENES,
        "two_people": _people(one),
        "candidates": {
            name: {
                "contest": _measure(told.contest),
                "drawn": _measure(told.drawn),
                "threes": told.candidate_threes,
            }
            for name, told in comparisons.items()
        },
        "all_practice_scenes": {
            "scenes": everywhere.scenes,
            "people": everywhere.people,
            "two_people": _people(everywhere),
        },
    }


def _people(told: Comparison) -> dict[str, Any]:
    return {
        "contest": _interval(told.contest.between) | {"patterns": _finite_all(told.contest.between_patterns)},
        "drawn": _interval(told.drawn.between) | {"patterns": _finite_all(told.drawn.between_patterns)},
        "threes": told.threes,
    }


def _measure(told: Measure) -> dict[str, Any]:
    return _interval(told.candidate) | {
        "patterns": _finite_all(told.candidate_patterns),
        "difference": _interval(told.difference),
        "as_well": told.as_well,
        "of_people": len(told.standings),
        "standings": [each._asdict() for each in told.standings],
    }


def _means(found: Sequence[Interval]) -> dict[str, Any]:
    overall, *patterns = found
    return _interval(overall) | {
        "patterns": {name: _interval(each) for name, each in zip(DEFAULT_NAMES, patterns, strict=True)}
    }


def _interval(found: Interval) -> dict[str, Any]:
    return {"mean": found.mean, "interval": [found.low, found.high]}


def _scene(found: ModelEvaluation, index: int) -> dict[str, Any]:
    record, dice = found.records[index], found.dice[index]
    return {
        "image": record.image,
        "satellite": record.satellite,
        "date": str(record.day or ""),
        "region": record.region,
        "dice": float(dice.mean()),
        "patterns": dict(zip(DEFAULT_NAMES, dice.tolist(), strict=True)),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _finite_all(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}
