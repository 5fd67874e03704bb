"""Encoding of `pattern_flags`: a byte a cell, with one bit for each pattern and one for no data.

Patterns may overlap, so bits add up. 255 marks cells that are not segmented yet.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import AtlasError
from nephoscope.core.types import Mask

if TYPE_CHECKING:
    import xarray as xr

Flags = NDArray[np.uint8]

FLAGS = "pattern_flags"
NOT_SEGMENTED = 255

UNCLASSIFIED = "Unclassified"
"""Data without any of the patterns, as C3ONTEXT's level 3 calls it."""

_NO_DATA_NAME = "no_data"
_RESERVED = {_NO_DATA_NAME, UNCLASSIFIED, "coverage", "hours", "reason", "satellite"}  # our columns, too
_MAX_PATTERNS = 7  # a byte has room for these and for the bit of no data


class DecodedFlags(NamedTuple):
    """What flags mean, each a mask of their shape: `present` has one for each pattern."""

    valid: Mask
    present: list[Mask]
    unclassified: Mask
    not_segmented: Mask


def check_patterns(patterns: Sequence[str]) -> None:
    """Check that a store can hold these patterns.

    Raises:
        AtlasError: there are too many, or a name is one of the store's own.
    """
    if len(patterns) > _MAX_PATTERNS:
        raise AtlasError(f"the model has {len(patterns)} patterns; a store holds at most {_MAX_PATTERNS}")
    if reserved := _RESERVED.intersection(patterns):
        raise AtlasError(f"the pattern name {min(reserved)!r} is reserved in a store; rename the pattern")


def flag_attributes(patterns: Sequence[str]) -> dict[str, str | list[int]]:
    """The CF attributes that name the bits."""
    return {
        "flag_masks": [1 << bit for bit in range(len(patterns) + 1)],
        "flag_meanings": " ".join([*patterns, _NO_DATA_NAME]),
    }


def patterns_of(flags: "xr.DataArray") -> tuple[str, ...]:
    """The patterns that a store's `flag_meanings` names, in the order of their bits.

    Raises:
        AtlasError: the attribute is missing or not as a store has it.
    """
    *patterns, last = str(flags.attrs.get("flag_meanings", "")).split() or [""]
    if not patterns or last != _NO_DATA_NAME:
        raise AtlasError(f"{FLAGS} lacks flag_meanings that name its patterns: not an atlas, or damaged")
    return tuple(patterns)


def encode(masks: Mask, valid_mask: Mask) -> Flags:
    """Encode masks, shape (patterns, height, width), and where there is data, shape (height, width)."""
    bits = (1 << np.arange(len(masks), dtype=np.uint8))[:, None, None]
    flags: Flags = np.bitwise_or.reduce(masks * bits, axis=0)
    flags[~valid_mask] = 1 << len(masks)
    return flags


def decode(flags: Flags, patterns: int) -> DecodedFlags:
    """Decode flags of so many patterns."""
    valid = flags & (1 << patterns) == 0
    present = [(flags >> bit & 1).astype(np.bool_) & valid for bit in range(patterns)]
    return DecodedFlags(valid, present, flags == 0, flags == NOT_SEGMENTED)
