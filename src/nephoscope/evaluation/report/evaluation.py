"""The report on a model: `evaluation.html`, its figures as PNG and its numbers as `evaluation.json`."""

import json
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nephoscope import __version__
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID, Mask, Progress
from nephoscope.datasets.annotations import FOLDER, PRACTICE_CLASSIFICATIONS, PracticeScene, read_practice
from nephoscope.datasets.catalogue import Record, split
from nephoscope.datasets.dataset import Dataset
from nephoscope.evaluation.agreement import (
    MAJORITY,
    Comparison,
    SceneAgreement,
    agreement,
    compare,
    worth_comparing,
)
from nephoscope.evaluation.baselines import mean_mask
from nephoscope.evaluation.evaluator import ModelEvaluation, answer, evaluate_model, with_data
from nephoscope.evaluation.exploration import UNKNOWN
from nephoscope.evaluation.report import evaluation_sections as sections
from nephoscope.evaluation.report import page
from nephoscope.evaluation.report.evaluation_numbers import numbers, people_numbers
from nephoscope.evaluation.report.report import Report, Section
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import segment
from nephoscope.plotting import drawing

Part = Literal["val", "train", "all"]

_SCENE_WIDTH = 525  # px; two of them fill the page


def write_report(
    model: Model,
    dataset: Dataset,
    folder: Path,
    *,
    part: Part = "val",
    folds: int | None = None,
    fold: int = 0,
    tta: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Hold a model against labels, baselines and people, and write the report.

    People's rectangles are read from the folder `annotators` in the data set's, where there is one.

    Args:
        model: the network and its rules; workers share it.
        dataset: all labelled scenes, also those that are not judged: the mean mask is made from them.
        folder: where to; made if it is not there. `evaluation.html` needs none of the other files.
        part: which scenes to judge on, by `catalogue.split`.
        folds: see there; as the model was trained.
        fold: likewise.
        tta: mean over each picture and its mirror images.
        workers: scenes worked on at the same time.
        progress: told the scenes segmented so far and in all.

    Returns:
        The page's path, and the numbers that `evaluation.json` holds.

    Raises:
        DatasetError: no scene can be read.
        DatasetError: the scenes cannot be split.
        DatasetError: people's rectangles are not in their form.
        ModelError: the model gives no probabilities.
        OSError: a file cannot be read or written.
    """
    judged, others = _parts(dataset, part, folds, fold)
    practice = _practice(dataset)
    at_hand = [scene for scene in practice if scene.image and dataset.picture(scene.image).is_file()]
    total = len(judged.records) + len(at_hand)

    def step(done: int, _of: int) -> None:
        if progress:
            progress(done, total)

    reference = mean_mask(others) if others.records else None
    found = evaluate_model(model, judged, reference, tta=tta, workers=workers, progress=step)
    agreed = _agreements(model, dataset, at_hand, tta, workers)
    step(total, total)
    comparisons = (
        {name: compare(agreed, name) for name in ("model", MAJORITY, "label", "all empty")} if agreed else {}
    )
    told = {
        "made_with": __version__,
        "model": model.card.name,
        "data": dataset.folder.resolve().name,
        "split": part if folds is None else f"{part}, fold {fold} of {folds}",
        "tta": tta,
        **numbers(found),
        "people": _people_numbers(comparisons, practice, at_hand, judged),
    }
    report = Report("evaluation", found, told)
    parts = [
        sections.in_short(report),
        sections.score(report),
        sections.people(report, comparisons),
        sections.presence(report),
        sections.reliability(report),
        sections.confusion(report),
        sections.groups(report),
        _examples(report, model, dataset, tta),
        _about(report, model),
    ]
    path = folder / "evaluation.html"
    subtitle = (
        f"Model {model.card.name}, folder {told['data']}, "
        f"{'all scenes' if part == 'all' else 'split ' + told['split']}, {date.today().isoformat()}, "
        f"nephoscope {__version__}"
    )
    content = page.page("How well the model does", subtitle, parts)
    for name, picture in report.pictures.items():
        atomic_write(folder / name, picture)
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(folder / "evaluation.json", f"{text}\n".encode())
    atomic_write(path, content)
    return path, told


def _parts(dataset: Dataset, part: Part, folds: int | None, fold: int) -> tuple[Dataset, Dataset]:
    """The scenes to judge on, and the others."""
    if part == "all":
        return dataset, dataset.select([])
    train, val = split(dataset.records, folds, fold)
    judged, others = (val, train) if part == "val" else (train, val)
    return dataset.select(judged), dataset.select(others)


def _practice(dataset: Dataset) -> list[PracticeScene]:
    folder = dataset.folder / FOLDER
    return worth_comparing(read_practice(folder)) if (folder / PRACTICE_CLASSIFICATIONS).is_file() else []


def _agreements(
    model: Model, dataset: Dataset, practice: list[PracticeScene], tta: bool, workers: int
) -> list[SceneAgreement]:
    """People, model, label and an empty answer on each practice scene whose picture and label can be read."""
    scenes_of = {scene.image: scene for scene in practice}

    def work(record: Record) -> SceneAgreement:
        segmentation = segment(dataset.scene(record.image), model, tta=tta)
        label = _masks(dataset, record.image)
        candidates = {
            "model": answer(segmentation),
            "label": np.stack([label[name] for name in DEFAULT_NAMES]),
            "all empty": np.zeros((len(DEFAULT_NAMES), *SCORE_GRID), np.bool_),
        }
        return agreement(scenes_of[record.image], candidates, with_data(segmentation))

    places = {record.image: index for index, record in enumerate(dataset.records)}
    labelled = dataset.select([places[scene.image] for scene in practice if scene.image in places])
    return [agreed for _, agreed in labelled.map(work, [], workers=workers)]


def _people_numbers(
    comparisons: dict[str, Comparison],
    practice: list[PracticeScene],
    at_hand: list[PracticeScene],
    judged: Dataset,
) -> dict[str, Any] | None:
    if not comparisons:
        return None
    empty = {"all empty": np.zeros((len(DEFAULT_NAMES), *SCORE_GRID), np.bool_)}
    everywhere = compare([agreement(scene, empty) for scene in practice], MAJORITY)
    images = {record.image for record in judged.records}
    return people_numbers(comparisons, everywhere, sum(scene.image in images for scene in at_hand))


def _examples(report: Report[ModelEvaluation], model: Model, dataset: Dataset, tta: bool) -> Section:
    patterns = model.card.styled_patterns
    legend = drawing.png(drawing.legend(patterns, 700))
    parts = [
        page.paragraph("The three scenes with the highest mean Dice, then the three with the lowest."),
        report.figure("scenes_legend", legend, "What the colours stand for."),
    ]
    for kind in ("best", "worst"):
        for number, told in enumerate(report.numbers[kind], 1):
            segmentation = segment(dataset.scene(told["image"]), model, tta=tta)
            found = {name: segmentation.mask(name) for name in DEFAULT_NAMES}
            drawn = drawing.side_by_side(
                [
                    drawing.draw_scene(segmentation.prediction.raster, patterns, masks, _SCENE_WIDTH, title)
                    for title, masks in (
                        ("label", _masks(dataset, told["image"])),
                        (f"model, Dice {told['dice']:.2f}", found),
                    )
                ]
            )
            where = [told["image"], told["date"], told["satellite"], told["region"].replace(UNKNOWN, "")]
            each = ", ".join(f"{name} {value:.2f}" for name, value in told["patterns"].items())
            caption = f"{kind.capitalize()} {number}: {', '.join(filter(None, where))}. Dice of {each}."
            png, jpeg = drawing.png(drawn), drawing.jpeg(drawn, 85)
            parts.append(report.figure(f"{kind}_{number}", png, caption, jpeg))
    return "Best and worst scenes", parts


def _masks(dataset: Dataset, image: str) -> dict[str, Mask]:
    bits = dataset.bits(image, SCORE_GRID)
    return {name: (bits >> index & 1).view(np.bool_) for index, name in enumerate(DEFAULT_NAMES)}


def _about(report: Report[ModelEvaluation], model: Model) -> Section:
    training = model.card.training
    parts = [page.paragraph(f"{model.card.name}: {model.card.description}.")]
    if isinstance(training.get("split"), str):
        parts.append(page.paragraph(f"What its card says of its split: {training['split']}."))
    problems = report.numbers["problems"]["all"]
    if problems:
        parts.append(page.paragraph(f"Scenes left out, as they cannot be read: {'; '.join(problems)}."))
    return "The model", parts
