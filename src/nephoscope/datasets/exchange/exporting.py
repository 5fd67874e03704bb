"""Export the labels of a data set to files of other tools."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nephoscope.core.errors import DatasetError, LabelError, OutputConflictError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import LABEL_GRID, Progress
from nephoscope.datasets.annotations import FILE, Annotation, by_image, read_annotations
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.registry import get_format
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.exchange.transfer import Transfer
from nephoscope.datasets.labels import Problem

Annotations = Mapping[str, Sequence[Annotation]]
"""By picture."""


def export_labels(
    folder: Path,
    output: Path,
    format_name: str,
    *,
    annotator: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Export the labels of a data set.

    Args:
        folder: the data set.
        output: folder to write to, created if missing.
        format_name: of the label files.
        annotator: export what this person drew, of the pictures that they annotated. Default: the labels,
            which are the union of all people's; a format that says who drew what has them one by one.
        overwrite: replace files.
        progress: called with the scenes exported so far and in all.

    Raises:
        DatasetError: no data set, an unknown format or person, or nothing can be exported.
        OutputConflictError: a file exists, or the folder is the data set; nothing was written.
        MissingExtraError: the format needs a library that is not installed.
        OSError: a file cannot be read or written.
    """
    chosen = get_format(format_name, written=True)
    dataset = read_dataset(folder)
    if unsafe := [name for name in dataset.patterns if set(name) & set("/\\\0")]:
        raise DatasetError(f"{folder}: the pattern {unsafe[0][:60]!r} cannot be part of a file's name")
    annotations = _annotations(dataset)
    if annotator is not None:
        dataset = _annotated_by(dataset, annotations, annotator)
    result = Transfer(chosen.name, problems=list(dataset.problems))
    stems = _stems(dataset.records)
    if output.resolve() == dataset.folder.resolve():
        raise OutputConflictError(f"{output}: is the data set itself; give another folder by -o FOLDER")
    if not overwrite:
        _refuse_existing(output, chosen, stems.values(), dataset.patterns)
    exported = _scenes(dataset, stems, annotations, annotator, result, progress)
    if chosen.collect:
        content = chosen.collect(result.counted(scene) for scene in exported)
        if result.scenes:
            atomic_write(output / chosen.file, content)
    elif chosen.render:
        for scene in exported:
            try:
                contents = chosen.render(scene, result.problems)
            except LabelError as error:
                result.problems.append(Problem(str(error), scene.name))
                continue
            names = chosen.file_names(scene.stem, scene.patterns)
            for name, content in zip(names, contents, strict=True):
                atomic_write(output / name, content)
            result.counted(scene)
    if not result.scenes:
        raise DatasetError(f"{folder}: nothing can be exported: {result.in_words}")
    return result


def _annotations(dataset: Dataset) -> Annotations:
    path = dataset.folder / FILE
    return by_image(read_annotations(path, dataset.patterns) if path.is_file() else [])


def _annotated_by(dataset: Dataset, annotations: Annotations, annotator: str) -> Dataset:
    """The scenes that a person annotated."""
    people = {each.annotator for every in annotations.values() for each in every}
    if annotator not in people:
        names = ", ".join(sorted(people)) or f"none: there is no {FILE}"
        raise DatasetError(f"{dataset.folder}: unknown annotator {annotator!r}; available: {names}")
    return dataset.select(
        [
            index
            for index, record in enumerate(dataset.records)
            if any(each.annotator == annotator for each in annotations.get(record.image, ()))
        ]
    )


def _scenes(
    dataset: Dataset,
    stems: Mapping[str, str],
    annotations: Annotations,
    annotator: str | None,
    result: Transfer,
    progress: Progress | None,
) -> Iterator[ExportedScene]:
    """Scenes one after another; those that cannot be read are added to the problems."""

    def one(record: Record) -> ExportedScene:
        scene = dataset.scene(record.image)
        drawings = {
            each.annotator: each.masks(dataset.patterns, LABEL_GRID)
            for each in annotations.get(record.image, ())
            if annotator in (None, each.annotator)
        }
        return ExportedScene(
            name=record.image,
            stem=stems[record.image],
            size=scene.size,
            bounds=record.bounds or scene.bounds,
            patterns=dataset.patterns,
            masks=dataset.masks(record.image, LABEL_GRID) if annotator is None else drawings[annotator],
            annotator=annotator or "",
            drawings=drawings,
        )

    for _, scene in dataset.map(one, result.problems, workers=1, progress=progress):
        yield scene


def _stems(records: Iterable[Record]) -> dict[str, str]:
    """By picture, the name without its ending; the whole name where several pictures share that."""
    images = [record.image for record in records]
    counts = Counter(Path(image).stem.casefold() for image in images)
    return {image: image if counts[Path(image).stem.casefold()] > 1 else Path(image).stem for image in images}


def _refuse_existing(
    output: Path, chosen: LabelFormat, stems: Iterable[str], patterns: Sequence[str]
) -> None:
    """Check the names of all files before the first is written."""
    for stem in stems:
        for name in chosen.file_names(stem, patterns):
            if (output / name).exists():
                raise OutputConflictError(f"{output / name}: exists; --overwrite replaces such files")
