"""An exploration's numbers as JSON holds them, and as the page's tables read them."""

from collections import defaultdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID, GridShape
from nephoscope.datasets.dataset import count_problems
from nephoscope.evaluation.exploration import KNOWN, SPECK, Exploration

POSITION_GRID: GridShape = (14, 21)
"""Cells that JSON tells the mean masks on; the contest's scenes span a degree each way in one."""


def numbers(found: Exploration) -> dict[str, Any]:
    """All figures of an exploration, ready for `json.dumps`; None where there is nothing to measure.

    Shares are from 0 to 1, areas in pixels of 350x525, brightness from 0 to 255. A distribution is told by
    its count, mean, 5th, 25th, 50th, 75th and 95th percentile, and its largest value.
    """
    present, overlap = found.present, found.overlap
    names = dict(enumerate(DEFAULT_NAMES))
    together = found.together
    return {
        "scenes": len(found.records),
        "grid": list(SCORE_GRID),
        "speck_below_pixels": SPECK,
        "patterns": {name: _pattern(found, index) for index, name in names.items()},
        "patterns_per_scene": {
            str(count): int((present.sum(axis=1) == count).sum()) for count in range(len(DEFAULT_NAMES) + 1)
        },
        "scenes_with_both": {
            name: dict(zip(DEFAULT_NAMES, together[index].tolist(), strict=True))
            for index, name in names.items()
        },
        "share_of_pixels_shared": {
            name: {other: _finite(overlap[index, place]) for place, other in names.items() if other != name}
            for index, name in names.items()
        },
        "brightness": _distribution(found.brightness),
        "gaps": _distribution(found.gaps) | {"scenes_with_a_gap": int((found.gaps > 0).sum())},
        "by": {what: _groups(found, what) for what in KNOWN},
        "examples": {
            kind: [found.records[index].image for index in indices]
            for kind, indices in found.examples().items()
        },
        "problems": _problems(found),
    }


def _pattern(found: Exploration, index: int) -> dict[str, Any]:
    here = found.present[:, index]
    cover, areas = found.cover[:, index], found.areas[index]
    objects = areas[areas >= SPECK]
    stray, read = found.stray[:, index], np.isfinite(found.stray[:, index])
    marked = float(cover[read].sum())
    rows, columns = POSITION_GRID
    position = cv2.resize(found.position[index], (columns, rows), interpolation=cv2.INTER_AREA)
    return {
        "scenes": int(here.sum()),
        "presence": _share(here),
        "cover_of_all_scenes": _finite(cover.mean()) if len(cover) else None,
        "cover_where_present": _distribution(cover[here]),
        "objects_per_scene_where_present": _distribution(found.counts()[here, index]),
        "object_pixels": _distribution(objects),
        "specks": len(areas) - len(objects),
        "scenes_with_specks": int((found.counts(specks=True)[:, index] > 0).sum()),
        "speck_share_of_mask": _finite(areas[areas < SPECK].sum() / areas.sum()) if len(areas) else None,
        "brightness_inside": _mean(found.inside[:, index]),
        "brightness_outside": _mean(found.outside[:, index]),
        "share_of_mask_without_data": _finite(stray[read].sum() / marked) if marked else None,
        "mean_mask": np.round(position.astype(np.float64), 4).tolist(),
    }


def _groups(found: Exploration, what: str) -> dict[str, Any]:
    present, cover = found.present, found.cover
    return {
        name: {
            "scenes": len(scenes),
            "presence": {pattern: _share(present[scenes, i]) for i, pattern in enumerate(DEFAULT_NAMES)},
            "median_cover_where_present": {
                pattern: _distribution(cover[scenes, i][present[scenes, i]])["percentile_50"]
                for i, pattern in enumerate(DEFAULT_NAMES)
            },
            "brightness": _mean(found.brightness[scenes]),
            "gaps": _mean(found.gaps[scenes]),
        }
        for name, scenes in found.by(what).items()
    }


def _problems(found: Exploration) -> dict[str, Any]:
    named = defaultdict(list)
    for problem in found.problems:
        named[problem.kind].append(problem.where)
    return {"counts": dict(count_problems(found.problems)), "all": dict(named)}


def _distribution(values: NDArray[Any]) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    told: dict[str, Any] = {"count": len(values), "mean": _mean(values)}
    for percent in (5, 25, 50, 75, 95):
        told[f"percentile_{percent}"] = float(np.percentile(values, percent)) if len(values) else None
    return told | {"largest": float(values.max()) if len(values) else None}


def _mean(values: NDArray[Any]) -> float | None:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


def _share(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
