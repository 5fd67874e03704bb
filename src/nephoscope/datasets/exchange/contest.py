"""`csv`: the contest's label file, in every dialect that `read_labels` takes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nephoscope.core.errors import LabelError
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.dataset import LABEL_FILES
from nephoscope.datasets.exchange.drawing import Drawing, draw
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import plain_name
from nephoscope.datasets.exchange.reading import Candidate, Reading, check_bytes
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.label_rows import read_label_rows
from nephoscope.datasets.labels import format_labels, read_labels
from nephoscope.datasets.rle import encode


def accepts(candidate: Candidate) -> bool:
    """Whether the first line names the contest's columns."""
    try:
        next(read_label_rows(candidate.path), None)
    except LabelError:
        return False
    return True


def read(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read the masks of every picture that has a row."""
    for path in files:
        with reading.entry(path.name):
            check_bytes(path)
            yield from _read_file(path, reading)


def _read_file(path: Path, reading: Reading) -> Iterator[Drawing]:
    before = len(reading.problems)
    # A data set's own file has this grid whatever its masks; of others the runs tell (see `read_labels`).
    grid = LABEL_GRID if path.name in LABEL_FILES else None
    labels = read_labels(path, grid, problems=reading.problems, patterns=reading.patterns)
    reading.notes += [f"{path.name}: {note}" for note in labels.notes]
    if labels.grid != LABEL_GRID:
        height, width = labels.grid
        reading.notes.append(
            f"{path.name}: all run lengths fit into {height}x{width}, the grid of submissions, and are read "
            f"so; rename the file to {LABEL_FILES[0]} if they are on {LABEL_GRID[0]}x{LABEL_GRID[1]}"
        )
    named = [replace(each, where=f"{path.name}: {each.where}") for each in reading.problems[before:]]
    reading.problems[before:] = named
    for image in labels.images:
        where = f"{path.name}: {image}"
        with reading.entry(where):
            regions = Regions(reading.pictures.find(plain_name(image)), reading)
            for index, pattern in enumerate(reading.patterns):
                if labels.texts.get((image, pattern)):
                    with regions.entry(f"{where}_{pattern}"):
                        try:
                            mask = labels.mask(image, pattern)
                        except LabelError as error:
                            reason = str(error).removeprefix(f"{path}: row {image}_{pattern}: ")
                            raise LabelError(f"wrong run lengths: {reason}") from error
                        draw(regions.masks, index, mask)
            yield regions.drawing()


def collect(scenes: Iterable[ExportedScene]) -> bytes:
    """A label file, on the label grid."""
    return format_labels(
        (scene.name, name, encode(mask))
        for scene in scenes
        for name, mask in zip(scene.patterns, scene.masks, strict=True)
    )


FORMAT = LabelFormat(
    name="csv",
    description="Run lengths in the form of the contest of 2019, in any dialect of CSV",
    endings=(".csv", ".csv.gz", ".csv.xz", ".csv.zip"),
    accepts=accepts,
    read=read,
    collect=collect,
    file=LABEL_FILES[0],
)
