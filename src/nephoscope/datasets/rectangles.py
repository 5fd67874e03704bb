"""Rectangles that annotators drew around patterns, and the masks made of them.

The contest's labels were made of them: a scene's mask of a pattern is the union of its rectangles of that
pattern, without the pixels that have no data. Corners are in pixels of the contest's label grid.

Source: Rasp, Schulz, Bony and Stevens 2020, "Combining crowdsourcing and deep learning to explore the
mesoscale organization of shallow convection", BAMS, doi:10.1175/BAMS-D-19-0324.1.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, LocationError
from nephoscope.core.geo import ATLANTIC, EAST_PACIFIC, WEST_PACIFIC, Overpass, parse_bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, GridShape, Mask
from nephoscope.datasets.rle import centres
from nephoscope.datasets.tables import read_rows

FOLDER = "annotators"
BOXES = "boxes.csv.xz"
PRACTICE_BOXES = "practice_boxes.csv.xz"
PRACTICE_CLASSIFICATIONS = "practice_classifications.csv.xz"

REGIONS = {"1": ATLANTIC, "2": WEST_PACIFIC, "3": EAST_PACIFIC}
"""The contest's regions by their number in the files: east of Barbados, and two boxes of the Pacific."""

_OVERPASS = ("satellite", "date", "region")
_CORNERS = ("x0", "y0", "x1", "y1")
_EXTENT = ("x", "y", "width", "height")


class Rectangle(NamedTuple):
    """A rectangle around one pattern, in pixels of the label grid; may extend beyond the scene."""

    left: float
    top: float
    right: float
    bottom: float
    pattern: str


@dataclass(frozen=True)
class PracticeScene:
    """A scene of the practice round, which many people annotated.

    Attributes:
        image: file name of its picture in the contest; empty where the contest does not have it.
        answers: rectangles by annotator; an empty tuple from those who drew none.
    """

    overpass: Overpass
    image: str
    answers: dict[str, tuple[Rectangle, ...]]

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the annotators, sorted."""
        return tuple(sorted(self.answers))


def read_rectangles(source: Path, patterns: Sequence[str] = DEFAULT_NAMES) -> dict[Overpass, list[Rectangle]]:
    """Read the rectangles of all annotators, by overpass.

    The source is a folder with `boxes.csv.xz`, or a CSV in its form, plain or compressed (`.gz`, `.xz`):
    `satellite,date,region,x0,y0,x1,y1,pattern`. A region is the contest's by its number, a region's name, or
    `"west,south,east,north"`. An overpass without rectangles has a row without corners.

    Raises:
        DatasetError: the file has another form, or a value is wrong, such as a name not in `patterns`.
        OSError: the file cannot be read.
    """
    path = source / BOXES if source.is_dir() else source
    by_overpass: dict[Overpass, list[Rectangle]] = defaultdict(list)
    for where, row in read_rows(path, (*_OVERPASS, *_CORNERS, "pattern")):
        rectangles = by_overpass[_overpass(row, where)]
        if row["pattern"]:
            rectangles.append(_rectangle(row, _CORNERS, patterns, where))
    return dict(by_overpass)


def read_practice(folder: Path, patterns: Sequence[str] = DEFAULT_NAMES) -> list[PracticeScene]:
    """Read the practice round: the rectangles of each annotator in each scene, scenes in order of time.

    Where a person annotated a scene twice the first answer counts: the second is not independent of it. The
    folder has `practice_boxes.csv.xz`, and `practice_classifications.csv.xz`, which also lists the answers
    without a rectangle.

    Raises:
        DatasetError: a file has another form, a value is wrong, or a rectangle belongs to no answer.
        OSError: a file cannot be read.
    """
    answer_of: dict[tuple[Overpass, str], str] = {}
    images: dict[Overpass, str] = {}
    drawn: dict[str, list[Rectangle]] = {}
    columns = ("classification", "annotator", "image", *_OVERPASS)
    for where, row in read_rows(folder / PRACTICE_CLASSIFICATIONS, columns):
        overpass = _overpass(row, where)
        images[overpass] = row["image"]
        answer_of.setdefault((overpass, row["annotator"]), row["classification"])
        drawn[row["classification"]] = []
    for where, row in read_rows(folder / PRACTICE_BOXES, ("classification", *_EXTENT, "pattern")):
        if row["classification"] not in drawn:
            raise DatasetError(f"{where}: {PRACTICE_CLASSIFICATIONS} has no answer {row['classification']}")
        if row["pattern"]:
            left, top, width, height, pattern = _rectangle(row, _EXTENT, patterns, where)
            rectangle = Rectangle(left, top, left + width, top + height, pattern)
            drawn[row["classification"]].append(rectangle)
    answers: dict[Overpass, dict[str, tuple[Rectangle, ...]]] = defaultdict(dict)
    for (overpass, person), classification in answer_of.items():
        answers[overpass][person] = tuple(drawn[classification])
    return [PracticeScene(overpass, images[overpass], answers[overpass]) for overpass in sorted(answers)]


def span(rectangle: Rectangle, grid: GridShape) -> tuple[int, int, int, int]:
    """First row, row after the last, first column, column after the last of a rectangle on any grid.

    A pixel belongs to a rectangle that contains its centre, as when masks are decoded onto a coarser grid.
    """
    rows, columns = (centres(fine, coarse) for fine, coarse in zip(LABEL_GRID, grid, strict=True))
    y0, y1 = np.searchsorted(rows, np.round((rectangle.top, rectangle.bottom))).tolist()
    x0, x1 = np.searchsorted(columns, np.round((rectangle.left, rectangle.right))).tolist()
    return y0, y1, x0, x1


def masks_of(
    rectangles: Iterable[Rectangle],
    grid: GridShape,
    valid: Mask | None = None,
    patterns: Sequence[str] = DEFAULT_NAMES,
) -> NDArray[np.bool_]:
    """Draw the masks of one scene's patterns: the union of each's rectangles, where pixels are valid.

    By default all pixels are, else `valid` has the shape `grid`. Masks are boolean, in the order of
    `patterns`, shape (patterns, height, width).
    """
    masks = np.zeros((len(patterns), *grid), np.bool_)
    for rectangle in rectangles:
        y0, y1, x0, x1 = span(rectangle, grid)
        masks[patterns.index(rectangle.pattern), y0:y1, x0:x1] = True
    if valid is not None:
        masks &= valid
    return masks


def _overpass(row: dict[str, str], where: str) -> Overpass:
    try:
        bounds = REGIONS.get(row["region"]) or parse_bounds(row["region"])
    except LocationError as error:
        raise DatasetError(
            f"{where}: unknown region {row['region']!r}; available: {', '.join(REGIONS)}, a region's name, "
            "or bounds as west,south,east,north"
        ) from error
    try:
        day = date.fromisoformat(row["date"])
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error
    return Overpass(row["satellite"], day, bounds)


def _rectangle(
    row: dict[str, str], columns: tuple[str, ...], patterns: Sequence[str], where: str
) -> Rectangle:
    if row["pattern"] not in patterns:
        raise DatasetError(f"{where}: unknown pattern {row['pattern']!r}; available: {', '.join(patterns)}")
    try:
        first, second, third, fourth = (float(row[name]) for name in columns)
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error
    if not all(map(math.isfinite, (first, second, third, fourth))):
        raise DatasetError(f"{where}: {', '.join(columns)} must be finite numbers")
    return Rectangle(first, second, third, fourth, row["pattern"])
