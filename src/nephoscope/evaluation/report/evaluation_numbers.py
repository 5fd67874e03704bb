"""The numbers of the report on a model, as `evaluation.json` has them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.dataset import count_problems
from nephoscope.evaluation.agreement import MIN_SCENES, Comparison, Measure
from nephoscope.evaluation.evaluator import BINS, ModelEvaluation
from nephoscope.evaluation.frequencies import frequencies
from nephoscope.evaluation.groups import GROUPINGS, group_scenes
from nephoscope.evaluation.statistics import RESAMPLES, Interval


def numbers(result: ModelEvaluation) -> dict[str, Any]:
    """Convert an evaluation to values for `json.dumps`; None where there is nothing to measure.

    Dice and shares are from 0 to 1; an interval is the 2.5th and 97.5th percentile of the resampled means.
    """
    names = result.patterns
    best, worst = result.extremes()

    def means(intervals: Sequence[Interval]) -> dict[str, Any]:
        overall, *patterns = map(_interval, intervals)
        return overall | {"patterns": dict(zip(names, patterns, strict=True))}

    return {
        "scenes": len(result.records),
        "days": len({record.group for record in result.records}),
        "grid": list(SCORE_GRID),
        "resamples": RESAMPLES,
        "dice": {
            name: means(result.means(dice))
            for name, dice in {"model": result.dice, **result.baselines}.items()
        },
        "presence": {name: _finite_all(stats._asdict()) for name, stats in result.presence.items()},
        "reliability": {
            name: {
                "error": curve.error,
                **{
                    key: [_finite(value) for value in getattr(curve, key).tolist()]
                    for key in ("predicted", "observed", "share")
                },
            }
            for name, curve in result.reliability().items()
        },
        "reliability_bins": BINS,
        "calibration_error": _calibration_errors(result, None),
        "frequency": _frequencies(result, None),
        "confusion": {
            label: _finite_all(dict(zip((*names, "nothing"), row, strict=True)))
            for label, row in zip(names, result.confusion.tolist(), strict=True)
        },
        "by": {
            grouping: {
                name: {
                    "scenes": len(scenes),
                    "dice": means(result.means(result.dice, scenes)),
                    "frequency": _frequencies(result, scenes),
                    "calibration_error": _calibration_errors(result, scenes),
                }
                for name, scenes in group_scenes(result.records, grouping).items()
            }
            for grouping in GROUPINGS
        },
        "best": [_scene(result, index) for index in best],
        "worst": [_scene(result, index) for index in worst],
        "problems": {
            "counts": dict(count_problems(result.problems)),
            "all": [problem.where for problem in result.problems],
        },
    }


def people_numbers(
    comparisons: Mapping[str, Comparison], everywhere: Comparison, evaluated: int
) -> dict[str, Any]:
    """Convert comparisons with annotators to values for `json.dumps`.

    Args:
        comparisons: of each candidate, by its name, on the scenes that have a picture.
        everywhere: of any candidate, on all practice scenes; only what concerns people is used.
        evaluated: number of the scenes that the model is evaluated on, too.
    """
    first = next(iter(comparisons.values()))
    return {
        "scenes": first.scenes,
        "scenes_judged": evaluated,
        "people": first.people,
        "least_scenes": MIN_SCENES,
        "two_people": _two_people(first),
        "candidates": {
            name: {
                "contest": _candidate(comparison.contest),
                "drawn": _candidate(comparison.drawn),
                "threes": comparison.candidate_union_of_three,
            }
            for name, comparison in comparisons.items()
        },
        "all_practice_scenes": people_alone(everywhere),
    }


def people_alone(comparison: Comparison) -> dict[str, Any]:
    """Convert the agreement of people with one another to values for `json.dumps`."""
    return {
        "scenes": comparison.scenes,
        "people": comparison.people,
        "two_people": _two_people(comparison),
    }


def _two_people(comparison: Comparison) -> dict[str, Any]:
    measures = {"contest": comparison.contest, "drawn": comparison.drawn}
    return {
        name: _interval(measure.inter_annotator) | {"patterns": _finite_all(measure.inter_annotator_patterns)}
        for name, measure in measures.items()
    } | {"threes": comparison.union_of_three}


def _candidate(measure: Measure) -> dict[str, Any]:
    return _interval(measure.candidate) | {
        "patterns": _finite_all(measure.candidate_patterns),
        "difference": _interval(measure.difference),
        "as_well": measure.as_well,
        "of_people": len(measure.annotators),
        "standings": [each._asdict() for each in measure.annotators],
    }


def _calibration_errors(result: ModelEvaluation, scenes: Sequence[int] | None) -> dict[str, Any]:
    presence = result.presence_error(scenes)
    return {
        name: {"pixels": curve.error, "presence": _finite(presence[name])}
        for name, curve in result.reliability(scenes).items()
    }


def _frequencies(result: ModelEvaluation, scenes: Sequence[int] | None) -> dict[str, Any]:
    return {
        pattern: {
            kind: {
                "labelled": value.labelled,
                "hard": value.hard,
                "expected": _finite(value.expected),
                "hard_bias": _interval(value.hard_bias),
                "expected_bias": _interval(value.expected_bias) if math.isfinite(value.expected) else None,
            }
            for kind, value in kinds.items()
        }
        for pattern, kinds in frequencies(result, scenes).items()
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {"mean": _finite(interval.mean), "interval": [_finite(interval.low), _finite(interval.high)]}


def _scene(result: ModelEvaluation, index: int) -> dict[str, Any]:
    record, dice = result.records[index], result.dice[index]
    return {
        "image": record.image,
        "satellite": record.satellite,
        "date": str(record.day or ""),
        "region": record.region,
        "dice": float(dice.mean()),
        "patterns": dict(zip(result.patterns, dice.tolist(), strict=True)),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _finite_all(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}
