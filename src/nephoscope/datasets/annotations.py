"""The rectangles that people drew around patterns, and the masks they make.

The contest's labels were made of them: a scene's mask of a pattern is the union of its rectangles of that
pattern, less the gaps between satellite swaths. Rectangles count in pixels of the contest's label grid.

Source: Rasp, Schulz, Bony and Stevens 2020, "Combining crowdsourcing and deep learning to explore the
mesoscale organization of shallow convection", BAMS, doi:10.1175/BAMS-D-19-0324.1.
"""

import csv
import gzip
import lzma
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, LocationError
from nephoscope.core.geo import ATLANTIC, EAST_PACIFIC, WEST_PACIFIC, Overpass, parse_bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, GridShape, Mask
from nephoscope.datasets.rle import centres

FOLDER = "annotators"
BOXES = "boxes.csv.xz"
PRACTICE_BOXES = "practice_boxes.csv.xz"
PRACTICE_CLASSIFICATIONS = "practice_classifications.csv.xz"

REGIONS = {"1": ATLANTIC, "2": WEST_PACIFIC, "3": EAST_PACIFIC}
"""The contest's regions by their number in the files: east of Barbados, and two boxes of the Pacific."""

_CORNERS = ("x0", "y0", "x1", "y1")
_EXTENT = ("x", "y", "width", "height")


class Rectangle(NamedTuple):
    """What one person drew around one pattern, in pixels of the label grid; may reach past its edges."""

    left: float
    top: float
    right: float
    bottom: float
    pattern: str


@dataclass(frozen=True)
class PracticeScene:
    """A scene that many people labelled in the practice round.

    Attributes:
        overpass: where and when.
        image: file name of its picture in the contest; empty where it is not among the contest's.
        answers: each person's rectangles, none where they saw no pattern.
    """

    overpass: Overpass
    image: str
    answers: dict[str, tuple[Rectangle, ...]]


def read_rectangles(source: Path) -> dict[Overpass, list[Rectangle]]:
    """All rectangles behind labels, whoever drew them, by overpass.

    Args:
        source: a folder with `boxes.csv.xz`, or a CSV in its form, plain or packed (`.gz`, `.xz`):
            `satellite,date,region,x0,y0,x1,y1,pattern`, the region one of the contest's by its number, a
            region's name or `"west,south,east,north"`. An overpass that somebody looked at without drawing
            has a row without corners.

    Raises:
        DatasetError: the file is not in its form.
        OSError: it cannot be read.
    """
    path = source / BOXES if source.is_dir() else source
    found: dict[Overpass, list[Rectangle]] = defaultdict(list)
    for number, row in _rows(path, ("satellite", "date", "region", *_CORNERS, "pattern")):
        rectangles = found[_overpass(row, path, number)]
        if row["pattern"]:
            rectangles.append(_rectangle(row, _CORNERS, path, number))
    return dict(found)


def read_practice(folder: Path) -> list[PracticeScene]:
    """The practice round: who drew what in which scene, in the scenes' order in time.

    Of two answers of one person to one scene the first counts: the second was given with the first in mind.

    Args:
        folder: with `practice_boxes.csv.xz` and `practice_classifications.csv.xz`, which also lists the
            answers without a rectangle.

    Raises:
        DatasetError: a file is not in its form, or a rectangle belongs to no answer.
        OSError: a file cannot be read.
    """
    path = folder / PRACTICE_CLASSIFICATIONS
    answer_of: dict[tuple[Overpass, str], str] = {}
    images: dict[Overpass, str] = {}
    drawn: dict[str, list[Rectangle]] = {}
    for number, row in _rows(path, ("classification", "annotator", "image", "satellite", "date", "region")):
        overpass = _overpass(row, path, number)
        images[overpass] = row["image"]
        answer_of.setdefault((overpass, row["annotator"]), row["classification"])
        drawn[row["classification"]] = []
    path = folder / PRACTICE_BOXES
    for number, row in _rows(path, ("classification", *_EXTENT, "pattern")):
        if row["classification"] not in drawn:
            raise DatasetError(
                f"{path}: line {number}: {PRACTICE_CLASSIFICATIONS} has no answer {row['classification']}"
            )
        if row["pattern"]:
            left, top, width, height, pattern = _rectangle(row, _EXTENT, path, number)
            rectangle = Rectangle(left, top, left + width, top + height, pattern)
            drawn[row["classification"]].append(rectangle)
    answers: dict[Overpass, dict[str, tuple[Rectangle, ...]]] = defaultdict(dict)
    for (overpass, person), classification in answer_of.items():
        answers[overpass][person] = tuple(drawn[classification])
    return [PracticeScene(overpass, images[overpass], answers[overpass]) for overpass in sorted(answers)]


def span(rectangle: Rectangle, grid: GridShape) -> tuple[int, int, int, int]:
    """First row, row after the last, first column, column after the last of a rectangle on any grid.

    A pixel belongs to a rectangle that holds its centre, as when masks are read onto a coarser grid.
    """
    rows, columns = (centres(fine, coarse) for fine, coarse in zip(LABEL_GRID, grid, strict=True))
    y0, y1 = np.searchsorted(rows, np.round((rectangle.top, rectangle.bottom))).tolist()
    x0, x1 = np.searchsorted(columns, np.round((rectangle.left, rectangle.right))).tolist()
    return y0, y1, x0, x1


def masks_of(
    rectangles: Iterable[Rectangle], grid: GridShape, valid: Mask | None = None
) -> NDArray[np.bool_]:
    """Each pattern's mask: the union of its rectangles, less the gaps.

    Args:
        rectangles: of one scene.
        grid: height and width to draw on.
        valid: where there is data, shape `grid`; everywhere if left out.

    Returns:
        Boolean, shape (patterns, height, width), patterns in `DEFAULT_NAMES`' order.
    """
    masks = np.zeros((len(DEFAULT_NAMES), *grid), np.bool_)
    for rectangle in rectangles:
        y0, y1, x0, x1 = span(rectangle, grid)
        masks[DEFAULT_NAMES.index(rectangle.pattern), y0:y1, x0:x1] = True
    if valid is not None:
        masks &= valid
    return masks


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV, plain or packed, with their line numbers."""
    try:
        with _open(path) as file:
            rows = csv.DictReader(file)
            if missing := [name for name in columns if name not in (rows.fieldnames or ())]:
                raise DatasetError(f"{path}: no column {', '.join(missing)}")
            for row in rows:
                if None in row.values():
                    raise DatasetError(f"{path}: line {rows.line_num}: cut short")
                yield rows.line_num, row
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: damaged, or not a CSV: {error}") from error


def _open(path: Path) -> TextIO:
    encoding = "utf-8-sig"
    match path.suffix:
        case ".gz":
            return gzip.open(path, "rt", newline="", encoding=encoding)
        case ".xz":
            return lzma.open(path, "rt", newline="", encoding=encoding)
        case _:
            return path.open(newline="", encoding=encoding)


def _overpass(row: dict[str, str], path: Path, number: int) -> Overpass:
    try:
        bounds = REGIONS.get(row["region"]) or parse_bounds(row["region"])
    except LocationError as error:
        raise DatasetError(
            f"{path}: line {number}: no region {row['region']!r}; there are {', '.join(REGIONS)}, regions by "
            "name, and boxes as west,south,east,north"
        ) from error
    try:
        day = date.fromisoformat(row["date"])
    except ValueError as error:
        raise DatasetError(f"{path}: line {number}: {error}") from error
    return Overpass(row["satellite"], day, bounds)


def _rectangle(row: dict[str, str], numbers: tuple[str, ...], path: Path, line: int) -> Rectangle:
    if row["pattern"] not in DEFAULT_NAMES:
        known = ", ".join(DEFAULT_NAMES)
        raise DatasetError(f"{path}: line {line}: no pattern {row['pattern']!r}; there are {known}")
    try:
        first, second, third, fourth = (float(row[name]) for name in numbers)
    except ValueError as error:
        raise DatasetError(f"{path}: line {line}: {error}") from error
    if not all(map(math.isfinite, (first, second, third, fourth))):
        raise DatasetError(f"{path}: line {line}: a corner is no number")
    return Rectangle(first, second, third, fourth, row["pattern"])
