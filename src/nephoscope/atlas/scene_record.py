"""The record of a scene that is done: what tables and checks need beside its arrays.

All of it is of the whole picture, with its margin, as the model saw it. A margin is part of the neighbouring
boxes' pictures, too, so a region near an edge may be recorded twice: `kept` is its share in the kept part.
"""

import math
from typing import Any

import numpy as np

from nephoscope.atlas.arrays import BoxGrid
from nephoscope.imagery.worldview import Picture
from nephoscope.inference.regions import Region
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.organisation import region_metrics

_DIGITS = 4  # of shares, scores and seconds, as in the `json` output
_DEGREES = 3  # digits of degrees: 0.1 km


def done_record(
    segmentation: Segmentation,
    unbiased: Segmentation | None,
    picture: Picture,
    grid: BoxGrid,
    *,
    organisation: bool = False,
) -> dict[str, Any]:
    """What a scene's record says once it is done, beside the scene itself and its arrays' checksums.

    `presence` is empty where the model is not calibrated or there is no data, `cover_unbiased` missing where
    it has no unbiased rules. On request every region has the metrics of its organisation.
    """
    with_data = bool(segmentation.valid_mask.any())
    record: dict[str, Any] = {
        "status": "done",
        "valid": round(float(segmentation.valid_mask.mean()), _DIGITS),
        "cover": _rounded(segmentation.area_fractions),
        "score": _rounded(segmentation.scores),
        "presence": _rounded(segmentation.presence_probabilities if with_data else {}),
        "warnings": segmentation.warnings,
        "regions": [_region(region, segmentation, grid) for region in segmentation.regions],
        "bytes": len(picture.content),
        "sha256": picture.sha256,
        "url": picture.url,
        "from_cache": picture.from_cache,
    }
    if organisation:
        for region, metrics in zip(record["regions"], region_metrics(segmentation), strict=True):
            known = {name: value for name, value in metrics.items() if not math.isnan(value)}
            region["organisation"] = _rounded(known)
    if unbiased is not None:
        record["cover_unbiased"] = _rounded(unbiased.area_fractions)
    return record


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in values.items()}


def _region(region: Region, segmentation: Segmentation, grid: BoxGrid) -> dict[str, Any]:
    assert region.bounds is not None  # the picture's name states where it is
    area, longitude, latitude = region.area_km2, region.longitude, region.latitude
    assert area is not None
    assert longitude is not None
    assert latitude is not None
    return {
        "pattern": region.pattern,
        "area_km2": round(area, 1),
        "area_fraction": round(region.area_fraction, _DIGITS),
        "longitude": round(longitude, _DEGREES),
        "latitude": round(latitude, _DEGREES),
        "box": [round(edge, _DEGREES) for edge in region.bounds],
        "mean_probability": round(region.mean_probability, _DIGITS),
        "kept": round(_kept_share(region, segmentation, grid), _DIGITS),
    }


def _kept_share(region: Region, segmentation: Segmentation, grid: BoxGrid) -> float:
    """Share of a region's pixels that lie in the kept part of its box."""
    (rows, columns), (height, width) = grid.model, segmentation.scene.size
    left, top = round(region.box[0] * columns / width), round(region.box[1] * rows / height)
    whole = np.zeros(grid.model, np.bool_)
    whole[top : top + region.mask.shape[0], left : left + region.mask.shape[1]] = region.mask
    return float(grid.keep(whole).sum() / region.mask.sum())
