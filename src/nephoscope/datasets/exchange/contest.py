"""`csv`: the contest's label file, in every dialect that `read_labels` takes."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nephoscope.core.errors import LabelError
from nephoscope.datasets.dataset import LABEL_FILES
from nephoscope.datasets.exchange.drawing import Drawing, blank, draw
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import plain_name
from nephoscope.datasets.exchange.reading import Candidate, Reading, check_bytes
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
    labels = read_labels(path, problems=reading.problems, patterns=reading.patterns)
    named = [type(each)(each.kind, f"{path.name}: {each.where}") for each in reading.problems[before:]]
    reading.problems[before:] = named
    for image in labels.images:
        where = f"{path.name}: {image}"
        with reading.entry(where):
            picture = reading.pictures.find(plain_name(image))
            masks = blank(len(reading.patterns))
            for index, pattern in enumerate(reading.patterns):
                if labels.texts.get((image, pattern)):
                    with reading.entry(f"{where}_{pattern}"):
                        try:
                            mask = labels.mask(image, pattern)
                        except LabelError as error:
                            reason = str(error).removeprefix(f"{path}: row {image}_{pattern}: ")
                            raise LabelError(f"wrong run lengths: {reason}") from error
                        draw(masks, index, mask)
            yield Drawing(picture, "", masks)


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
    file_name=LABEL_FILES[0],
)
