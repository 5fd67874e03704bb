"""The people of a data set: who annotated which scenes, and how far they agree."""

from collections.abc import Iterable, Sequence

from nephoscope.core.errors import LabelError
from nephoscope.datasets.annotations import FILE, Annotation, by_image, read_annotations
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.labels import Problem
from nephoscope.datasets.rectangles import FOLDER, PRACTICE_CLASSIFICATIONS, PracticeScene, read_practice
from nephoscope.evaluation.agreement import MAJORITY, Comparison, agreement, compare
from nephoscope.evaluation.cells import AnnotatedScene

MIN_ANNOTATORS = 10
"""Practice scenes with fewer annotators are left out: they say little about agreement."""

MIN_PEOPLE = 2
"""People who annotated a scene of one's own data set, where there may be no more."""

ManyPeople = list[PracticeScene] | list[AnnotatedScene]


def scenes_of_people(dataset: Dataset) -> ManyPeople:
    """Scenes that several people annotated: those of the practice round, else those of `annotations.csv`.

    Raises:
        DatasetError: the annotations have another form.
        OSError: a file cannot be read.
    """
    folder = dataset.folder / FOLDER
    if (folder / PRACTICE_CLASSIFICATIONS).is_file():
        return with_enough_annotators(read_practice(folder, dataset.patterns))
    path = dataset.folder / FILE
    return annotated_scenes(read_annotations(path, dataset.patterns)) if path.is_file() else []


def with_enough_annotators(scenes: Sequence[PracticeScene]) -> list[PracticeScene]:
    """Scenes with at least `MIN_ANNOTATORS` annotators."""
    return [scene for scene in scenes if len(scene.answers) >= MIN_ANNOTATORS]


def annotated_scenes(annotations: Iterable[Annotation]) -> list[AnnotatedScene]:
    """Scenes that at least `MIN_PEOPLE` people annotated, in the order of their names."""
    return [
        AnnotatedScene(image, tuple(drawn))
        for image, drawn in sorted(by_image(annotations).items())
        if len(drawn) >= MIN_PEOPLE
    ]


def compare_people(scenes: ManyPeople, patterns: Sequence[str], problems: list[Problem]) -> Comparison | None:
    """Compare people with one another; swath gaps count as well.

    Args:
        scenes: of several people each.
        patterns: names.
        problems: scenes whose run lengths are wrong are added.

    Returns:
        The comparison of `MAJORITY` with people; None without scenes.
    """
    agreements = []
    for scene in scenes:
        try:
            agreements.append(agreement(scene, {}, patterns))
        except LabelError as error:
            problems.append(Problem("wrong run lengths", str(error)))
    return compare(agreements, MAJORITY) if agreements else None
