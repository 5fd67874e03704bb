"""A labelled picture on its way out of a data set."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.geo import Bounds
from nephoscope.core.types import GridShape, Mask
from nephoscope.datasets.collection import on_grid


@dataclass(frozen=True, eq=False)
class ExportedScene:
    """A picture and its labels.

    Attributes:
        name: file name of the picture.
        stem: what its files are named after: the name without its ending, where no other picture has that.
        size: height and width of the picture in pixels.
        bounds: of the picture in degrees, where known.
        patterns: names.
        masks: on the label grid, shape (patterns, 1400, 2100).
        annotator: whose masks they are; empty for a label of all.
        drawings: masks by person, where the data set knows them.
    """

    name: str
    stem: str
    size: GridShape
    bounds: Bounds | None
    patterns: tuple[str, ...]
    masks: NDArray[np.bool_]
    annotator: str
    drawings: dict[str, NDArray[np.bool_]]

    def sized(self) -> Iterator[tuple[str, Mask]]:
        """Each pattern and its mask at the picture's own size."""
        for name, mask in zip(self.patterns, self.masks, strict=True):
            yield name, on_grid(mask, self.size)
