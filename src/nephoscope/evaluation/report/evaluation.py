"""The report on a model: `evaluation.html`, its figures as PNG and its numbers as `evaluation.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nephoscope.core.types import SCORE_GRID, Progress
from nephoscope.core.version import __version__
from nephoscope.datasets.annotations import FILE
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.rectangles import FOLDER, PracticeScene
from nephoscope.datasets.splits import OWN_SPLIT, Folds, split
from nephoscope.evaluation.agreement import (
    MAJORITY,
    Comparison,
    SceneAgreement,
    agreement,
    compare,
)
from nephoscope.evaluation.baselines import mean_mask
from nephoscope.evaluation.cells import AnnotatedScene
from nephoscope.evaluation.evaluator import (
    ModelEvaluation,
    check_patterns,
    evaluate_model,
    score_masks,
    score_valid_mask,
)
from nephoscope.evaluation.groups import describe_record
from nephoscope.evaluation.people import (
    MIN_ANNOTATORS,
    MIN_PEOPLE,
    ManyPeople,
    compare_people,
    scenes_of_people,
)
from nephoscope.evaluation.report import evaluation_charts
from nephoscope.evaluation.report.evaluation_numbers import numbers, people_numbers
from nephoscope.evaluation.report.page import Report
from nephoscope.evaluation.report.scenes import add_legend, add_scenes
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import apply_rules
from nephoscope.plotting import charts


@dataclass(frozen=True)
class Options:
    """How to evaluate a model.

    Attributes:
        part: which scenes to evaluate on, by `splits.split`.
        folds: see there; as the model was trained.
        tta: mean over each picture and its mirror images.
        workers: the number of threads.
    """

    part: Literal["val", "train", "all"] = "val"
    folds: Folds = OWN_SPLIT
    tta: bool = False
    workers: int = 1

    @property
    def split(self) -> str:
        """The scenes in words."""
        return self.part if self.folds.count is None else f"{self.part}, {self.folds}"


def write_report(
    model: Model, dataset: Dataset, folder: Path, options: Options, progress: Progress | None = None
) -> tuple[Path, dict[str, Any]]:
    """Compare a model with labels, baselines and annotators, and write the report.

    What people drew is read from the folder `annotators` in the data set's, where there is one, else from its
    `annotations.csv`.

    Args:
        model: the network and its rules; threads share it.
        dataset: all labelled scenes; the mean mask is made from those that are not evaluated on.
        folder: created if missing. `evaluation.html` needs none of the other files.
        options: how to evaluate.
        progress: called with the scenes segmented so far and in all.

    Returns:
        The page's path, and the numbers that `evaluation.json` has.

    Raises:
        DatasetError: the model has other patterns, the scenes cannot be split, none can be read, or the
            people's annotations have another form.
        ModelError: the model returns values outside [0, 1].
        OSError: a file cannot be read or written.
    """
    check_patterns(model, dataset)
    evaluated, others = _parts(dataset, options)
    of_people = scenes_of_people(dataset)
    with_picture = [scene for scene in of_people if scene.image and dataset.picture(scene.image).is_file()]
    total = len(evaluated.records) + len(with_picture)
    step = (lambda done, _: progress(done, total)) if progress else None
    reference = mean_mask(others) if others.records else None
    result = evaluate_model(
        model, evaluated, reference, tta=options.tta, workers=options.workers, progress=step
    )
    comparisons = _compare(model, dataset, with_picture, options)
    if progress:
        progress(total, total)
    report = Report(
        "evaluation",
        {
            "made_with": __version__,
            "model": model.card.name,
            "data": dataset.folder.resolve().name,
            "split": options.split,
            "tta": options.tta,
            **numbers(result),
            "people": _people(comparisons, of_people, with_picture, evaluated),
        },
    )
    _add_charts(report, result, dataset, comparisons)
    path = report.write(
        folder,
        card=model.card,
        today=date.today().isoformat(),
        patterns=list(result.patterns),
        examples=_add_examples(report, result, model, dataset, options.tta),
    )
    return path, report.numbers


def _parts(dataset: Dataset, options: Options) -> tuple[Dataset, Dataset]:
    """Divide the scenes into those to evaluate on and the others."""
    if options.part == "all":
        return dataset, dataset.select([])
    train, val = (dataset.select(part) for part in split(dataset.records, options.folds))
    return (val, train) if options.part == "val" else (train, val)


def _compare(
    model: Model, dataset: Dataset, of_people: Sequence[PracticeScene | AnnotatedScene], options: Options
) -> dict[str, Comparison]:
    """Compare model, majority, label and an empty mask with annotators, where there are any.

    Scenes whose picture or label cannot be read are left out.
    """
    by_image = {scene.image: scene for scene in of_people}

    def work(record: Record) -> SceneAgreement:
        segmentation = apply_rules(model.predict(dataset.scene(record.image), tta=options.tta))
        labels = dataset.masks(record.image, SCORE_GRID)
        candidates = {
            "model": score_masks(segmentation, dataset.patterns),
            "label": labels,
            "all empty": np.zeros_like(labels),
        }
        valid = score_valid_mask(segmentation)
        return agreement(by_image[record.image], candidates, dataset.patterns, valid)

    index_of = {record.image: index for index, record in enumerate(dataset.records)}
    labelled = dataset.select([index_of[scene.image] for scene in of_people if scene.image in index_of])
    agreements = [result for _, result in labelled.map(work, [], workers=options.workers)]
    names = ("model", MAJORITY, "label", "all empty") if agreements else ()
    return {name: compare(agreements, name) for name in names}


def _people(
    comparisons: Mapping[str, Comparison],
    of_people: ManyPeople,
    with_picture: Sequence[PracticeScene | AnnotatedScene],
    evaluated: Dataset,
) -> dict[str, Any] | None:
    everywhere = compare_people(of_people, evaluated.patterns, []) if comparisons else None
    if everywhere is None:
        return None
    images = {record.image for record in evaluated.records}
    own = isinstance(of_people[0], AnnotatedScene)
    return people_numbers(comparisons, everywhere, sum(scene.image in images for scene in with_picture)) | {
        "from": FILE if own else FOLDER,
        "least_people": MIN_PEOPLE if own else MIN_ANNOTATORS,
    }


def _add_charts(
    report: Report, result: ModelEvaluation, dataset: Dataset, comparisons: Mapping[str, Comparison]
) -> None:
    names = result.patterns
    titles = {"model": "the model", "mean mask": "the mean mask"}
    intervals = {
        titles.get(name, name): result.means(dice)
        for name, dice in {"model": result.dice, **result.baselines}.items()
    }
    report.add_figure("dice", evaluation_charts.intervals(["All", *names], intervals, "mean Dice"))
    if comparisons and comparisons["model"].contest.annotators:
        model = comparisons["model"]
        measures = {"By the contest's Dice": model.contest.annotators, "Where drawn": model.drawn.annotators}
        report.add_figure("people", evaluation_charts.annotators(measures))
    curves = dict(zip(dataset.styled_patterns, result.reliability().values(), strict=True))
    report.add_figure("reliability", evaluation_charts.reliability(curves))
    columns = (*names, "nothing")
    heat_map = charts.heat_map(names, columns, result.confusion, "label", "answer", share=True)
    report.add_figure("confusion", heat_map)


def _add_examples(
    report: Report, result: ModelEvaluation, model: Model, dataset: Dataset, tta: bool
) -> dict[str, str]:
    """Add drawings of the best and worst scenes; return their captions by the figures' names."""
    add_legend(report, dataset.styled_patterns)
    captions = {}
    for kind, indices in zip(("best", "worst"), result.extremes(), strict=True):
        for number, index in enumerate(indices, 1):
            record, dice = result.records[index], result.dice[index]
            segmentation = apply_rules(model.predict(dataset.scene(record.image), tta=tta))
            picture = segmentation.prediction.raster
            predicted = np.stack([segmentation.mask(name) for name in dataset.patterns])
            drawings = [
                (picture, dataset.masks(record.image, SCORE_GRID), "label"),
                (picture, predicted, f"model, Dice {dice.mean():.2f}"),
            ]
            name = f"{kind}_{number}"
            add_scenes(report, name, dataset.styled_patterns, drawings)
            scores = zip(result.patterns, dice, strict=True)
            by_pattern = ", ".join(f"{pattern} {value:.2f}" for pattern, value in scores)
            captions[name] = f"{kind.capitalize()} {number}: {describe_record(record)}. Dice of {by_pattern}."
    return captions
