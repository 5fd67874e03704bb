"""The measurements behind docs/decisions.md.

python -m benchmarks.studies decode|rectangles|rules|int8|scope FOLDER_OF_LABELLED_SCENES
"""

import csv
import json
import lzma
import sys
import tempfile
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from nephoscope.catalogue import split as date_split
from nephoscope.dataset import read_dataset
from nephoscope.labels import SCORE_GRID, read_labels
from nephoscope.metrics import dice
from nephoscope.model import Model
from nephoscope.patterns import NAMES
from nephoscope.postprocess import find_groups, presence_score
from nephoscope.scene import find_gaps, read_scene
from nephoscope.scope import measure, oddities
from nephoscope.segmentation import segment_scene
from nephoscope.training.cache import open_scenes
from nephoscope.training.checkpoint import scope_of
from nephoscope.training.quantise import quantise


def decode(data: Path) -> None:
    """How well masks after a reduced decode agree with those after a full one, on full-size pictures."""
    model = Model.load()
    for what, least in {"a quarter": (350, 525), "a half": (640, 960)}.items():
        scores = []
        for path in sorted((data / "full_size").iterdir()):
            full = segment_scene(read_scene(path), model)
            reduced = segment_scene(read_scene(path, least=lambda *_, to=least: to), model)
            either = set(full.present) | set(reduced.present)
            scores += [dice(full.mask(name), reduced.mask(name)) for name in either]
        print(f"{what:<10} mean Dice {np.mean(scores):.3f} over {len(scores)} masks that either has")


def rectangles(data: Path) -> None:
    """How small the rectangles are that people drew on dated scenes up to 2015, in pixels of 350x525."""
    areas: dict[str, list[float]] = {name: [] for name in NAMES}
    with lzma.open(data / "annotators" / "boxes.csv.xz", "rt") as file:
        for row in csv.DictReader(file):
            if row["x0"] and row["date"][:4] <= "2015":
                width, height = float(row["x1"]) - float(row["x0"]), float(row["y1"]) - float(row["y0"])
                areas[row["pattern"]].append(width * height / 16)
    for name, values in areas.items():
        print(f"{name:<8}{len(values):6} rectangles, 1st percentile {np.percentile(values, 1):7.0f}")


def rules(data: Path) -> None:
    """What searching thresholds and presence on validation scenes gives on them, and on held-out days."""
    fields, truth, days = validation(data)
    thresholds, presences, covers = np.arange(0.2, 0.51, 0.05), np.arange(0.6, 0.95, 0.02), (0, 8000, 16000)
    choices = list(product(range(len(thresholds)), presences, covers))
    folds = {
        day: fold % 10 for fold, day in enumerate(np.random.default_rng(0).permutation(sorted(set(days))))
    }
    fold = np.array([folds[day] for day in days])
    seen, held_out = [], []
    for index in range(len(NAMES)):
        scores = np.array([presence_score(field, 4000) for field in fields[:, index]])
        masks = [fields[:, index] > threshold for threshold in thresholds]
        sizes = np.array([mask.sum(axis=(1, 2)) for mask in masks])
        overlaps = np.array(
            [[dice(*pair) for pair in zip(mask, truth[:, index], strict=True)] for mask in masks]
        )
        empty = ~truth[:, index].any(axis=(1, 2))
        table = np.array(
            [
                np.where((scores >= presence) & (sizes[at] >= cover), overlaps[at], empty)
                for at, presence, cover in choices
            ]
        )
        seen.append(table.mean(axis=1).max())
        best = [table[:, fold != k].mean(axis=1).argmax() for k in range(10)]
        held_out.append(np.mean([table[best[k], at] for at, k in enumerate(fold)]))
    print(f"mean Dice on the scenes searched {np.mean(seen):.3f}, on held-out days {np.mean(held_out):.3f}")
    card = Model.load().card
    for area in (0, 1000, 2000, 4000, 5000):
        changed = {name: {**vars(card.rules[name]), "minimum_area": area} for name in NAMES}
        print(f"minimum area {area:5}: {score(fields, truth, changed):.4f}")


def int8(data: Path) -> None:
    """What 8-bit convolutions cost the default model, under the same rules."""
    dataset = read_dataset(data)
    training, validation = (dataset.select(part) for part in date_split(dataset.records))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        before, after = quantise("default", training, validation, path, tolerance=1.0)
        print(f"{path.stat().st_size / 1e6:.1f} MB, mean Dice {after:.4f}, {before:.4f} before")


def scope(data: Path) -> None:
    """The usual ranges by which odd pictures are warned of, and how many real scenes are called odd."""
    scenes = open_scenes(data, Model.load().card.input_size)
    training, held_out = scenes.split(None, 0)
    usual = scope_of(scenes, training)
    print(json.dumps(usual))
    for what, part in (("trained on", training), ("validated on", held_out)):
        pictures = (np.ascontiguousarray(scenes.pictures[index]) for index in part)
        odd = [oddities(measure(picture, ~find_gaps(picture)), usual) for picture in pictures]
        print(f"{sum(map(bool, odd))} of {len(odd):,} scenes {what} are warned of")


def split(data: Path) -> list[dict[str, str]]:
    with (data / "scenes.csv").open() as file:
        return list(csv.DictReader(file))


@cache
def validation(data: Path, path: Path | str = "default") -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Probabilities and truth, shape (scenes, patterns, 350, 525), and the scenes' days."""
    model, labels = Model.load(path), read_labels(data / "train.csv.xz")
    chosen = [row for row in split(data) if row["split"] == "val"]
    scenes = [read_scene(data / "train_images" / row["image"]) for row in chosen]
    fields = np.stack([segment_scene(scene, model).probabilities for scene in scenes])
    truth = np.array([[labels.mask(row["image"], name, SCORE_GRID) for name in NAMES] for row in chosen])
    return fields, truth, [row["date"] for row in chosen]


def score(fields: np.ndarray, truth: np.ndarray, changed: dict[str, dict[str, float]]) -> float:
    rule = type(next(iter(Model.load().card.rules.values())))
    return float(
        np.mean(
            [
                dice(find_groups(field, rule(**changed[name]))[0] > 0, mask)
                for scene, masks in zip(fields, truth, strict=True)
                for name, field, mask in zip(NAMES, scene, masks, strict=True)
            ]
        )
    )


if __name__ == "__main__":
    studies = {"decode": decode, "rectangles": rectangles, "rules": rules, "int8": int8, "scope": scope}
    studies[sys.argv[1]](Path(sys.argv[2]))
