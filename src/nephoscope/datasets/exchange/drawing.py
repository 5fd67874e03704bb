"""What one person drew in one picture, as masks on the label grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.types import LABEL_GRID, GridShape, Mask
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.collection import on_grid
from nephoscope.imagery.scene import MAX_PIXELS


@dataclass(frozen=True)
class Picture:
    """A picture that labels belong to.

    Attributes:
        path: of its file.
        size: height and width in pixels.
        record: its satellite, day and bounds, where known.
    """

    path: Path
    size: GridShape
    record: Record


@dataclass(frozen=True, eq=False)
class Drawing:
    """What one person drew in one picture.

    Attributes:
        picture: the picture.
        annotator: name of the person; empty where the file does not say.
        masks: on the label grid, shape (patterns, 1400, 2100).
    """

    picture: Picture
    annotator: str
    masks: NDArray[np.bool_]


def check_canvas(size: GridShape, picture: Picture | None = None) -> None:
    """Check height and width that a file states, before anything of this size is made.

    Labels may have been drawn on a smaller or larger copy of their picture, but not on a cropped one.

    Raises:
        LabelError: no size, too large, or of another aspect than its picture.
    """
    height, width = size
    if height < 1 or width < 1:
        raise LabelError(f"a canvas without pixels: {width} x {height} px")
    if height * width > MAX_PIXELS:
        raise LabelError(f"a canvas of more than {MAX_PIXELS:,} pixels: {width} x {height} px")
    if picture is None:
        return
    rows, columns = picture.size
    # A copy's sides are rounded to whole pixels: of either, the other.
    if abs(height * columns - width * rows) > max(rows, columns, height, width):
        raise LabelError(
            f"a canvas of another aspect than its picture: {width} x {height} px, the picture "
            f"{columns} x {rows} px"
        )


def stated_canvas(entry: Mapping[str, Any], picture: Picture) -> GridShape:
    """Height and width that an entry of a file states, or those of the picture; checked by `check_canvas`."""
    height, width = picture.size
    size = int(entry.get("height") or height), int(entry.get("width") or width)
    check_canvas(size, picture)
    return size


def draw(masks: NDArray[np.bool_], index: int, mask: Mask) -> None:
    """Add a mask of any size to the masks on the label grid."""
    masks[index] |= on_grid(mask, LABEL_GRID)
