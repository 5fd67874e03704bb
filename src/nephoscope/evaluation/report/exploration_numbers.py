"""The numbers of the report on labelled data, as `explore.json` has them."""

from collections import defaultdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import SCORE_GRID, GridShape
from nephoscope.datasets.dataset import count_problems
from nephoscope.evaluation.exploration import SPECK, Exploration
from nephoscope.evaluation.groups import GROUPINGS, group_scenes

POSITION_GRID: GridShape = (14, 21)
"""Cells of the mean masks in JSON; in the contest's scenes a cell is a degree wide and high."""


def numbers(result: Exploration) -> dict[str, Any]:
    """Convert an exploration to values for `json.dumps`; None where there is nothing to measure.

    Shares are from 0 to 1, areas in pixels of 350x525, brightness from 0 to 255. A distribution has a count,
    mean, 5th, 25th, 50th, 75th and 95th percentile, and largest value.
    """
    names, overlap = result.patterns, result.overlap
    per_scene = result.present.sum(axis=1)
    by_kind = defaultdict(list)
    for problem in result.problems:
        by_kind[problem.kind].append(problem.where)
    return {
        "scenes": len(result.records),
        "grid": list(SCORE_GRID),
        "speck_below_pixels": SPECK,
        "patterns": {name: _pattern(result, index) for index, name in enumerate(names)},
        "patterns_per_scene": {
            str(count): int((per_scene == count).sum()) for count in range(len(names) + 1)
        },
        "scenes_with_both": {
            name: dict(zip(names, row, strict=True))
            for name, row in zip(names, result.cooccurrence.tolist(), strict=True)
        },
        "share_of_pixels_shared": {
            name: {
                other: _finite(overlap[row, column]) for column, other in enumerate(names) if column != row
            }
            for row, name in enumerate(names)
        },
        "brightness": _distribution(result.brightness),
        "gaps": _distribution(result.nodata) | {"scenes_with_a_gap": int((result.nodata > 0).sum())},
        "by": {grouping: _groups(result, grouping) for grouping in GROUPINGS},
        "examples": {
            kind: [result.records[index].image for index in indices]
            for kind, indices in result.examples().items()
        },
        "problems": {"counts": dict(count_problems(result.problems)), "all": dict(by_kind)},
    }


def _pattern(result: Exploration, index: int) -> dict[str, Any]:
    present = result.present[:, index]
    fractions, areas = result.area_fractions[:, index], result.component_areas[index]
    objects = areas[areas >= SPECK]
    nodata = result.nodata_inside[:, index]
    readable = np.isfinite(nodata)
    marked = float(fractions[readable].sum())
    rows, columns = POSITION_GRID
    mean_mask = cv2.resize(result.mean_masks[index], (columns, rows), interpolation=cv2.INTER_AREA)
    return {
        "scenes": int(present.sum()),
        "presence": _mean(present),
        "cover_of_all_scenes": _mean(fractions),
        "cover_where_present": _distribution(fractions[present]),
        "objects_per_scene_where_present": _distribution(result.counts()[present, index]),
        "object_pixels": _distribution(objects),
        "specks": len(areas) - len(objects),
        "scenes_with_specks": int((result.counts(specks=True)[:, index] > 0).sum()),
        "speck_share_of_mask": _finite(areas[areas < SPECK].sum() / areas.sum()) if len(areas) else None,
        "brightness_inside": _mean(result.brightness_inside[:, index]),
        "brightness_outside": _mean(result.brightness_outside[:, index]),
        "share_of_mask_without_data": _finite(nodata[readable].sum() / marked) if marked else None,
        "mean_mask": np.round(mean_mask.astype(np.float64), 4).tolist(),
    }


def _groups(result: Exploration, grouping: str) -> dict[str, Any]:
    present, fractions = result.present, result.area_fractions
    return {
        name: {
            "scenes": len(scenes),
            "presence": {pattern: _mean(present[scenes, i]) for i, pattern in enumerate(result.patterns)},
            "median_cover_where_present": {
                pattern: _distribution(fractions[scenes, i][present[scenes, i]])["percentile_50"]
                for i, pattern in enumerate(result.patterns)
            },
            "brightness": _mean(result.brightness[scenes]),
            "gaps": _mean(result.nodata[scenes]),
        }
        for name, scenes in group_scenes(result.records, grouping).items()
    }


def _distribution(values: NDArray[Any]) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    stats: dict[str, Any] = {"count": len(values), "mean": _mean(values)}
    for percent in (5, 25, 50, 75, 95):
        stats[f"percentile_{percent}"] = float(np.percentile(values, percent)) if len(values) else None
    return stats | {"largest": float(values.max()) if len(values) else None}


def _mean(values: NDArray[Any]) -> float | None:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
