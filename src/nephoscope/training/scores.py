"""Dice of a run's starting model and of its finished model, on new and on older scenes: `scores.json`.

Both are measured on the run's validation scenes and, with `--replay`, on those of the older data, which are
never trained on. Each model has the rules of its own card. Dice is the contest's, over the patterns that a
model and the labels share.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nephoscope.core.errors import DatasetError, TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import SCORE_GRID, Progress, ProgressFactory
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.datasets.labels import Problem
from nephoscope.datasets.splits import folds_for, split
from nephoscope.evaluation.metrics import dice
from nephoscope.evaluation.statistics import bootstrap
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import ENDING
from nephoscope.inference.segmentation import apply_rules
from nephoscope.training.checkpoint import save_weights
from nephoscope.training.distillation import mean_of
from nephoscope.training.export import export
from nephoscope.training.settings import Settings

FILE = "scores.json"


@dataclass(frozen=True)
class Score:
    """Mean Dice of a model on labelled scenes.

    Attributes:
        data: name of the folder of the scenes.
        scenes: their number.
        days: number of groups of scenes that belong together.
        mean: over scenes and patterns.
        interval: 95 %, days of a region resampled; both ends are `mean` where there is one day.
        by_pattern: mean over scenes.
        rules: where the rules of the model come from.
    """

    data: str
    scenes: int
    days: int
    mean: float
    interval: tuple[float, float]
    by_pattern: dict[str, float]
    rules: str

    def in_words(self, which: str) -> str:
        """The score of `new` or `older` scenes in one line."""
        low, high = self.interval
        return f"mean Dice {self.mean:.4f} ({low:.3f} to {high:.3f}) on {self.on} of {self.data} ({which})"

    @property
    def on(self) -> str:
        """The number of scenes, and of days where several scenes share one."""
        # Scenes without a day are groups of their own.
        return f"{self.scenes:,} scenes" + (f" of {self.days:,} days" if self.days < self.scenes else "")


Scores = dict[str, Score]
"""Of one model by data: `new`, and `older` with `--replay`; without data that share no pattern with it."""


def score_start(
    settings: Settings, run: Path, progress: ProgressFactory = lambda _: lambda *_: None
) -> Scores:
    """Score the model of the initial weights, before training, and begin `scores.json`.

    Raises:
        TrainingError: the weights cannot be read or made into a model.
    """
    scores = _score(_starting_model(settings), settings, "before", progress)
    _write(run, {"before": scores})
    return scores


def score_finish(
    model: Model, settings: Settings, run: Path, progress: ProgressFactory = lambda _: lambda *_: None
) -> Scores:
    """Score the finished model and add it to `scores.json`."""
    scores = _score(model, settings, "after", progress)
    _write(run, {**read_scores(run), "after": scores})
    return scores


def read_scores(run: Path) -> dict[str, Scores]:
    """Scores by time, `before` and `after`; empty where the run did not start from weights.

    Raises:
        TrainingError: the file is damaged.
    """
    path = run / FILE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
        return {
            time: {
                which: Score(**{**entries, "interval": tuple(entries["interval"])})
                for which, entries in scores.items()
            }
            for time, scores in content.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrainingError(f"{path}: cannot be read: {error}") from error


def _write(run: Path, times: dict[str, Scores]) -> None:
    content = {
        time: {which: asdict(score) for which, score in scores.items()} for time, scores in times.items()
    }
    atomic_write(run / FILE, (json.dumps(content, indent=2) + "\n").encode())


def _starting_model(settings: Settings) -> Model:
    """The model file that `--from` names; else a model exported from the weights that it names."""
    first, *others = settings.start_from
    if Path(first).suffix == ENDING and not others and settings.card is None:
        return Model.load(first, threads=1)
    trained = mean_of(settings.start_from, settings.card)
    with tempfile.TemporaryDirectory() as folder:
        weights, model = (Path(folder) / f"start{ending}" for ending in (".safetensors", ENDING))
        save_weights(weights, trained.weights, trained.card)
        export([weights], model)
        return Model.from_bytes(model.read_bytes(), trained.card.name, threads=1)


def _score(model: Model, settings: Settings, time: str, progress: ProgressFactory) -> Scores:
    folders = {"new": settings.data} | ({"older": settings.replay} if settings.replay else {})
    scores = {}
    for which, folder in folders.items():
        dataset = read_dataset(folder)
        folds = settings.split if which == "new" else folds_for(dataset.records)
        _, validation = split(dataset.records, folds)
        step = progress(f"scores {time} training, {which} scenes")
        scores[which] = score_model(model, dataset.select(validation), step)
    return {which: score for which, score in scores.items() if score is not None}


def score_model(model: Model, dataset: Dataset, progress: Progress | None = None) -> Score | None:
    """Mean Dice of a model under its own rules; None where it shares no pattern with the labels.

    Raises:
        DatasetError: no scene can be read.
    """
    shared = [name for name in dataset.patterns if name in model.card.patterns]
    if not shared:
        return None
    problems: list[Problem] = []
    pairs = list(dataset.map(partial(_dice, model, dataset, shared), problems, progress=progress))
    if not pairs:
        raise DatasetError(f"{dataset.folder}: none of {len(problems)} validation scenes can be read")
    groups = [dataset.records[index].group for index, _ in pairs]
    values = np.array([row for _, row in pairs])
    mean, low, high = bootstrap(values.mean(axis=1)[:, None], groups)[0]
    return Score(
        data=dataset.folder.name,
        scenes=len(pairs),
        days=len(set(groups)),
        mean=mean,
        interval=(low, high),
        by_pattern=dict(zip(shared, values.mean(axis=0).tolist(), strict=True)),
        rules=str(model.card.training.get("rules", "not stated")),
    )


def _dice(model: Model, dataset: Dataset, patterns: Sequence[str], record: Record) -> list[float]:
    segmentation = apply_rules(model.predict(dataset.scene(record.image)))
    truth = dict(zip(dataset.patterns, dataset.masks(record.image, SCORE_GRID), strict=True))
    return [dice(segmentation.mask(name, SCORE_GRID), truth[name]) for name in patterns]
