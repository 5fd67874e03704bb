"""`zooniverse`: the export of classifications, with the rectangles that each person drew.

The labels of this project were made so: see `rectangles`.

Source: "Data exports", help.zooniverse.org.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, LabelError
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.dataset import ENDINGS
from nephoscope.datasets.exchange.drawing import Drawing, Picture, check_canvas
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import last_part
from nephoscope.datasets.exchange.polygons import as_points, fill, rectangle
from nephoscope.datasets.exchange.reading import Candidate, Reading, check_bytes
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.rectangles import Rectangle, masks_of
from nephoscope.datasets.tables import read_rows

COLUMNS = ("user_name", "annotations", "subject_data")


def accepts(candidate: Candidate) -> bool:
    """Whether a CSV has the columns of a classification export."""
    try:
        next(read_rows(candidate.path, COLUMNS), None)
    except DatasetError:
        return False
    return True


def read(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read a row a classification; of one person in one picture the first counts."""
    for path in files:
        with reading.entry(path.name):
            check_bytes(path)
            try:
                for where, row in read_rows(path, COLUMNS):
                    where = where.removeprefix(f"{path.parent}/")
                    with reading.entry(where):
                        yield _read_row(where, row, reading)
            except DatasetError as error:
                raise LabelError(f"a damaged file: {error}") from error


def _read_row(where: str, row: dict[str, str], reading: Reading) -> Drawing:
    picture = _find_picture(_parsed(row["subject_data"]), reading)
    metadata = _parsed(row.get("metadata") or "{}")
    size = _size(metadata) or picture.size
    check_canvas(size, picture)
    regions = Regions(picture, reading)
    marks = [mark for task in _parsed(row["annotations"]) for mark in _marks(task)]
    for number, mark in enumerate(marks, 1):
        with regions.entry(f"{where}: drawing {number}"):
            _draw(regions.masks, mark, size, reading)
    return regions.drawing(row["user_name"].strip() or row.get("user_ip", "").strip())


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise LabelError("a malformed entry: nested too deeply") from None


def _find_picture(subjects: Any, reading: Reading) -> Picture:
    """The picture of a subject: a value of its data that ends as a picture's name does."""
    return reading.pictures.find_first(
        last_part(value)
        for subject in subjects.values()
        for value in subject.values()
        if isinstance(value, str) and Path(value).suffix.lower() in ENDINGS
    )


def _size(metadata: Any) -> tuple[int, int] | None:
    """Height and width of the picture as it was shown."""
    for frame in (*(metadata.get("subject_dimensions") or []), metadata):
        if frame and frame.get("naturalHeight") and frame.get("naturalWidth"):
            return int(frame["naturalHeight"]), int(frame["naturalWidth"])
    return None


def _marks(task: Any) -> Iterator[Any]:
    """What was drawn in a task; questions and texts have no list of marks, combined tasks one of tasks."""
    value = task["value"]
    for mark in value if isinstance(value, list) else []:
        if isinstance(mark, dict) and "task" in mark:
            inner = mark.get("value")
            yield from (each for each in inner if isinstance(each, dict)) if isinstance(inner, list) else ()
        elif isinstance(mark, dict):
            yield mark


def _draw(masks: NDArray[np.bool_], mark: Any, size: tuple[int, int], reading: Reading) -> None:
    if mark.get("tool_label"):
        index = reading.pattern(mark["tool_label"])
    else:
        index = reading.numbered_pattern(mark["tool"])
    if "points" in mark:
        ring = as_points([(float(point["x"]), float(point["y"])) for point in mark["points"]])
        fill(masks[index], [ring], (size[1], size[0]))
        return
    ring = rectangle(*(float(mark[name]) for name in ("x", "y", "width", "height")))
    (left, top), (right, bottom) = np.sort(ring[[0, 2]], axis=0) * LABEL_GRID[::-1] / size[::-1]
    name = reading.patterns[index]
    masks |= masks_of([Rectangle(left, top, right, bottom, name)], LABEL_GRID, patterns=reading.patterns)


FORMAT = LabelFormat(
    name="zooniverse",
    description="Zooniverse's export of classifications: rectangles and polygons of many people",
    endings=(".csv", ".csv.gz", ".csv.xz", ".csv.zip"),
    accepts=accepts,
    read=read,
    people=True,
)
