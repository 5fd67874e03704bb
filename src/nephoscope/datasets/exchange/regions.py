"""The regions that one person drew in one picture, read one after another from a label file."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from nephoscope.core.errors import LabelError
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.exchange.drawing import Drawing, Picture
from nephoscope.datasets.exchange.reading import Reading


class Regions:
    """Regions of one picture, which become one drawing.

    Attributes:
        picture: that they are in.
        masks: on the label grid, shape (patterns, 1400, 2100); empty at first.
    """

    def __init__(self, picture: Picture, reading: Reading) -> None:
        self.picture = picture
        self.masks = np.zeros((len(reading.patterns), *LABEL_GRID), np.bool_)
        self._reading = reading
        self._left_out = 0

    @contextmanager
    def entry(self, where: str) -> Iterator[None]:
        """Leave out a region that cannot be used, and go on; see `Reading.entry`."""
        before = len(self._reading.problems)
        with self._reading.entry(where):
            yield
        self._left_out += len(self._reading.problems) - before

    def drawing(self, annotator: str = "") -> Drawing:
        """All of them together.

        Raises:
            LabelError: regions were left out, and no other has a pixel: this person drew something.
        """
        if self._left_out and not self.masks.any():
            raise LabelError(f"a drawing without a usable region: {self.picture.path.name}")
        return Drawing(self.picture, annotator, self.masks)
