"""Import label files into a data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nephoscope.core.errors import DatasetError, LabelError, SceneError
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.collection import REPLACED, Collection, LabelledScene
from nephoscope.datasets.dataset import LABEL_FILES
from nephoscope.datasets.exchange.drawing import Drawing
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import Pictures
from nephoscope.datasets.exchange.reading import Reading
from nephoscope.datasets.exchange.registry import find_files
from nephoscope.datasets.exchange.transfer import Transfer
from nephoscope.datasets.labels import Problem, read_labels
from nephoscope.imagery.reading import open_scene

UNNAMED = "imported"
"""Annotator of labels whose file does not say who drew them."""

_COARSE = (1, 1)  # pixels; a JPEG is decoded at an eighth


def import_labels(
    source: Path,
    folder: Path,
    *,
    pictures: Path | None = None,
    format_name: str | None = None,
    annotator: str = UNNAMED,
    patterns: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    bounds: Bounds | None = None,
) -> Transfer:
    """Import label files and their pictures into a data set, which is created if missing.

    What the same people drew in the same pictures before is replaced. What cannot be used is left out.

    Args:
        source: a label file, or a folder of them.
        folder: the data set.
        pictures: folder of the pictures. Default: that of the source; then the data set's own.
        format_name: of the label files. Default: by the files.
        annotator: who drew what does not say so itself.
        patterns: names of a new data set's patterns. Default: the four of the contest.
        classes: names of class numbers or tools, in order, where files have no names. Default: the patterns.
        bounds: of all pictures in degrees. Default: from the pictures or their catalogue.

    Raises:
        DatasetError: no label file, an unknown format, or nothing can be used.
        LabelError: the data set's own label file has another form.
        MissingExtraError: the format needs a library that is not installed.
        OSError: a file cannot be read or written.
    """
    collection = Collection(folder, patterns or _patterns_of(folder))
    beside = source if source.is_dir() else source.parent
    problems: list[Problem] = []
    reading = Reading(collection.patterns, Pictures([pictures or beside, folder], bounds), problems, classes)
    chosen, files = find_files(source, reading, format_name)
    result = Transfer(chosen.name, problems=problems)
    saved = collection.save_all(_scenes(chosen, files, reading, annotator, result.people))
    if not saved.names:
        hint = "" if pictures else "; --pictures FOLDER names the folder of the pictures"
        raise DatasetError(f"{source}: nothing can be imported: {result.in_words or 'no label'}{hint}")
    result.scenes = len(set(saved.names))
    result.notes += reading.notes
    if saved.replaced:
        result.notes.append(
            f"{saved.replaced:,} of these scenes had labels of no annotator: they are in {REPLACED} now"
        )
    return result


def _patterns_of(folder: Path) -> tuple[str, ...]:
    path = folder / LABEL_FILES[0]
    return read_labels(path, LABEL_GRID).patterns if path.is_file() else DEFAULT_NAMES


def _scenes(
    chosen: LabelFormat, files: Sequence[Path], reading: Reading, unnamed: str, people: set[str]
) -> Iterator[LabelledScene]:
    """What was drawn, ready to be saved; the first drawing of a person in a picture counts."""
    drawn: set[tuple[Path, str]] = set()
    for drawing in chosen.read(files, reading):
        name = drawing.annotator or unnamed
        path = drawing.picture.path
        if (path, name) in drawn:
            reading.problems.append(Problem("another drawing of the same person", f"{path.name}: {name}"))
            continue
        with reading.entry(path.name):
            scene = _labelled(drawing, name)
            drawn.add((path, name))
            people.add(name)
            yield scene


def _labelled(drawing: Drawing, annotator: str) -> LabelledScene:
    path = drawing.picture.path
    try:
        content = path.read_bytes()
        open_scene(content, name=path.name).read(_COARSE)  # a file that is cut short shows only now
    except OSError as error:
        raise LabelError(f"a picture that cannot be read: {path.name}: {error.strerror}") from error
    except SceneError as error:
        raise LabelError(f"a picture that cannot be read: {error}") from error
    return LabelledScene(path.name, content, annotator, drawing.masks, drawing.picture.record)
