"""The arrays of a store: a byte a cell, and exactly one chunk of each array a scene.

| array | of each cell |
|---|---|
| `pattern_flags` | the patterns by the model's own rules (`flags`), on the grid of the rules |
| `pattern_flags_unbiased` | the same by its unbiased rules, if it has any |
| `pattern_probability` | mean probability of each pattern over the data of a coarse cell |
| `data_share` | share with data of a coarse cell |

A mean over larger areas or several scenes is the mean of `pattern_probability` weighted by `data_share` and
area.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nephoscope.atlas.flags import FLAGS, NOT_SEGMENTED, Flags, encode, flag_attributes
from nephoscope.atlas.layout import Layout
from nephoscope.atlas.plan import BOX, Plan
from nephoscope.core.errors import AtlasError
from nephoscope.core.types import GridShape
from nephoscope.inference.card import Card
from nephoscope.inference.postprocess import resample
from nephoscope.inference.segmentation import Segmentation

UNBIASED = "pattern_flags_unbiased"
PROBABILITY = "pattern_probability"
DATA_SHARE = "data_share"

COARSE = 0.25
"""Degrees of a coarse cell at most, unless the model's own cells are larger."""

_STEPS = 250  # of a share or a probability from 0 to 1 in a byte
_FINE, _ROUGH = ("lat", "lon"), ("lat_coarse", "lon_coarse")


@dataclass(frozen=True)
class BoxGrid:
    """Grids of a box: what a model makes of it, and what is kept without the box's margin.

    Raises:
        AtlasError: the margin is no multiple of the model's cells.
    """

    plan: Plan
    model: GridShape  # of the whole box

    def __post_init__(self) -> None:
        _ = self.margin

    @cached_property
    def margin(self) -> GridShape:
        """Rows and columns that the margin takes on each side."""
        exact = [self.plan.margin * cells / degrees for cells, degrees in zip(self.model, BOX, strict=True)]
        rows, columns = (round(cells) for cells in exact)
        if not np.allclose(exact, (rows, columns), atol=1e-6):
            raise AtlasError(
                f"the margin must be a multiple of the model's cells of {BOX[0] / self.model[0]:g}°, got "
                f"{self.plan.margin:g}°"
            )
        return rows, columns

    @cached_property
    def kept(self) -> GridShape:
        """Rows and columns of the kept part."""
        (height, width), (top, left) = self.model, self.margin
        return height - 2 * top, width - 2 * left

    @cached_property
    def coarse(self) -> GridShape:
        """Rows and columns of coarse cells: as few as fill the kept part exactly and are small enough."""
        rows, columns = (
            min(cells, math.ceil(round(degrees / COARSE, 6)))
            for cells, degrees in zip(self.kept, self.plan.step, strict=True)
        )
        return rows, columns

    def keep(self, values: Any) -> Any:
        """Cut the margin off an array whose last two axes are the whole box's."""
        top, left = self.margin
        return values[..., top : self.model[0] - top, left : self.model[1] - left]


@dataclass(frozen=True)
class ArraySpec:
    """One array of a store: its dimensions after time and satellite, and the shape of a scene in them."""

    dimensions: tuple[str, ...]
    scene_shape: tuple[int, ...]
    attributes: dict[str, Any]

    @property
    def chunks(self) -> tuple[int, ...]:
        """One chunk a scene."""
        return (1, 1, *self.scene_shape)

    def shape(self, layout: Layout) -> tuple[int, ...]:
        """Of the whole array."""
        *patterns, height, width = self.scene_shape
        rows, columns = layout.plan.shape
        return (len(layout.days), len(layout.satellites), *patterns, rows * height, columns * width)


def array_specs(card: Card, grid: BoxGrid) -> dict[str, ArraySpec]:
    """The arrays that a new store of a model has, by name."""
    flags = {
        "long_name": "patterns of mesoscale cloud organisation",
        **flag_attributes(card.patterns),
        "comment": "patterns may overlap, so bits add up; 255 has not been segmented yet",
        "grid_mapping": "crs",
    }
    specs = {FLAGS: ArraySpec(_FINE, grid.kept, flags)}
    if card.unbiased_rules:
        unbiased = "as pattern_flags, by the model's unbiased rules: areas as people draw them"
        specs[UNBIASED] = ArraySpec(_FINE, grid.kept, {**flags, "comment": f"{unbiased}; {flags['comment']}"})
    rows, columns = (kept / cells for kept, cells in zip(grid.plan.step, grid.coarse, strict=True))
    packed = {"units": "1", "scale_factor": 1 / _STEPS, "grid_mapping": "crs"}
    about = "calibrated" if card.calibration else "not calibrated: the network's own output"
    probability = {
        "long_name": "mean probability of the pattern",
        "comment": f"{about}; mean over the data of cells of {rows:.6g} x {columns:.6g} degrees; missing "
        f"where nothing is segmented or there is no data. Weight by {DATA_SHARE} and area.",
        "calibrated": int(bool(card.calibration)),
        "ancillary_variables": DATA_SHARE,
    }
    share = {"long_name": "share with data", "comment": "of the cell's area; missing where not segmented"}
    specs[PROBABILITY] = ArraySpec(
        ("pattern", *_ROUGH), (len(card.patterns), *grid.coarse), {**probability, **packed}
    )
    specs[DATA_SHARE] = ArraySpec(_ROUGH, grid.coarse, {**share, **packed})
    return specs


def scene_arrays(
    segmentation: Segmentation, unbiased: Segmentation | None, grid: BoxGrid
) -> dict[str, Flags]:
    """A scene's part of every array, north first, without the box's margin.

    `unbiased` is the segmentation by the unbiased rules, if the model has any.
    """
    arrays = {FLAGS: grid.keep(encode(segmentation.masks, segmentation.valid_mask))}
    if unbiased is not None:
        arrays[UNBIASED] = grid.keep(encode(unbiased.masks, unbiased.valid_mask))
    # Pixels of a cell weigh the same: their areas differ by less than 0.5 % up to 45 degrees of latitude.
    share = resample(grid.keep(segmentation.valid_mask).astype(np.float32), grid.coarse)
    sums = np.stack([resample(field, grid.coarse) for field in grid.keep(segmentation.probabilities)])
    arrays[DATA_SHARE] = _packed(share)
    with_data = arrays[DATA_SHARE] > 0
    means = np.divide(sums, share, out=np.zeros_like(sums), where=with_data)
    arrays[PROBABILITY] = np.where(with_data, _packed(means), np.uint8(NOT_SEGMENTED))
    return arrays


def checksums(arrays: Mapping[str, Flags]) -> dict[str, str]:
    """The CRC-32 of each array's bytes: of what a chunk holds, however it is compressed."""
    return {name: f"{zlib.crc32(array.tobytes()):08x}" for name, array in arrays.items()}


def _packed(values: Any) -> Flags:
    return np.asarray(np.round(np.clip(values, 0, 1) * _STEPS), np.uint8)
