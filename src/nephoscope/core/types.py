"""Array types, grids of labels and scores, and progress callbacks."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""Red, green, blue from 0 to 255, shape (height, width, 3)."""

Mask = NDArray[np.bool_]
"""Boolean, shape (height, width)."""

Probabilities = NDArray[np.float32]
"""From 0 to 1, shape (height, width) or (patterns, height, width)."""

ComponentLabels = NDArray[np.int32]
"""Number of the connected component of each pixel, from 1; 0 where the mask is off."""

GridShape = tuple[int, int]
"""Height and width in pixels."""

LABEL_GRID: GridShape = (1400, 2100)
"""Of the contest's pictures and labels (`train.csv`)."""

SCORE_GRID: GridShape = (350, 525)
"""Of the contest's submissions, on which Dice is measured."""

Progress = Callable[[int, int], None]
"""Callback with the number of finished items, and of all."""

ProgressFactory = Callable[[str], Progress]
"""Makes a progress callback for a named piece of work."""
