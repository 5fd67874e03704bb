"""The measurements behind docs/decisions.md.

python -m experiments.studies decode|rectangles|areas|int8|scope|organisation FOLDER_OF_LABELLED_SCENES
"""

import csv
import json
import lzma
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import read_labels
from nephoscope.datasets.splits import split as date_split
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.scene import find_nodata
from nephoscope.inference.input_check import measure, out_of_range
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import segment_pattern
from nephoscope.outputs.organisation import FORMAT
from nephoscope.outputs.organisation_iorg import iorg, nearest_neighbour_distances
from nephoscope.outputs.organisation_metrics import cloud_mask, find_objects
from nephoscope.training.cache import open_scenes
from nephoscope.training.job import scope_of
from nephoscope.training.quantization import quantise


def decode(data: Path) -> None:
    """Agreement of masks from a reduced decode with those from a full one, on full-size pictures."""
    model = Model.load()
    for what, least in {"a quarter": (350, 525), "a half": (640, 960)}.items():
        scores = []
        for path in sorted((data / "full_size").iterdir()):
            scene = open_scene(path)
            full, reduced = (
                segment(replace(scene, _decode=lambda _, scene=scene, shape=shape: scene.read(shape)), model)
                for shape in (None, least)
            )
            either = set(full.present) | set(reduced.present)
            scores += [dice(full.mask(name), reduced.mask(name)) for name in either]
        print(f"{what:<10} mean Dice {np.mean(scores):.3f} over {len(scores)} masks that either has")


def rectangles(data: Path) -> None:
    """Small areas of annotators' rectangles on scenes up to 2015, in pixels of 350x525."""
    areas: dict[str, list[float]] = defaultdict(list)
    with lzma.open(data / "annotators" / "boxes.csv.xz", "rt") as file:
        for row in csv.DictReader(file):
            if row["x0"] and row["date"][:4] <= "2015":
                width, height = float(row["x1"]) - float(row["x0"]), float(row["y1"]) - float(row["y0"])
                areas[row["pattern"]].append(width * height / 16)
    for name, values in sorted(areas.items()):
        print(f"{name:<8}{len(values):6} rectangles, 1st percentile {np.percentile(values, 1):7.0f}")


def areas(data: Path) -> None:
    """Score of the default model with other minimum areas."""
    fields, truth = validation(data)
    card = Model.load().card
    for area in (0, 1000, 2000, 4000, 8000):
        changed = {name: {**vars(card.rules[name]), "minimum_area": area} for name in card.patterns}
        print(f"minimum area {area:5}: {score(fields, truth, changed):.4f}")


def int8(data: Path) -> None:
    """Score of the default model with 8-bit convolutions, under the same rules."""
    dataset = read_dataset(data)
    training, validation = (dataset.select(part) for part in date_split(dataset.records))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        before, after = quantise("default", training, validation, path, tolerance=1.0)
        print(f"{path.stat().st_size / 1e6:.1f} MB, mean Dice {after:.4f}, {before:.4f} before")


def scope(data: Path) -> None:
    """Training ranges of the input check, and the number of real scenes outside of them."""
    scenes = open_scenes(data, Model.load().card.input_size)
    training, held_out = scenes.split()
    usual = scope_of(scenes, training)
    print(json.dumps(usual))
    for what, part in (("trained on", training), ("validated on", held_out)):
        pictures = (np.ascontiguousarray(scenes.pictures[index]) for index in part)
        odd = [out_of_range(measure(picture, ~find_nodata(picture)), usual) for picture in pictures]
        print(f"{sum(map(bool, odd))} of {len(odd):,} scenes {what} are outside the training ranges")


def organisation(data: Path) -> None:
    """Time of the format `organisation`, single-pixel objects, and Iorg of random points in real regions."""
    model, rng, sizes = Model.load(), np.random.default_rng(0), []
    values: dict[tuple[str, int], list[float]] = defaultdict(list)
    for path in sorted((data / "full_size").iterdir()):
        segmentation = segment(path, model)
        start = time.perf_counter()
        (content,) = FORMAT.render(segmentation)
        took, rows = time.perf_counter() - start, content.decode().splitlines()[1:]
        height, width = segmentation.scene.size
        print(f"{width}x{height}: {len(segmentation.regions)} regions, {len(rows)} rows in {took:.2f} s")
        raster = segmentation.scene.read((700, 1050))
        sizes += find_objects(cloud_mask(raster.pixels, raster.valid_mask)).areas.tolist()
        for region, count in product(segmentation.regions, (3, 10, 100, 1000) * 20):
            y, x = np.divmod(rng.choice(np.flatnonzero(region.mask), count), region.mask.shape[1])
            points = np.stack([x, y], axis=1) + rng.random((count, 2))
            share = np.pi * nearest_neighbour_distances(points) ** 2 / np.count_nonzero(region.mask)
            values["mask", count].append(iorg(points, region.mask))
            values["plane", count].append(float(np.mean(np.exp(-count * share))))
    print(f"{np.mean(np.array(sizes) <= 2):.0%} of {len(sizes):,} objects have one or two pixels")
    for (domain, count), found in values.items():
        print(
            f"{count:5} random points in a region, against those of the {domain}: Iorg {np.mean(found):.2f}"
        )


def split(data: Path) -> list[dict[str, str]]:
    with (data / "scenes.csv").open() as file:
        return list(csv.DictReader(file))


def validation(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and truth, shape (scenes, patterns, 350, 525)."""
    model, labels = Model.load(), read_labels(data / "train.csv.xz")
    chosen = [row["image"] for row in split(data) if row["split"] == "val"]
    scenes = [open_scene(data / "train_images" / image) for image in chosen]
    fields = np.stack([model.predict(scene).probabilities for scene in scenes])
    names = model.card.patterns
    truth = np.array([[labels.mask(image, name, SCORE_GRID) for name in names] for image in chosen])
    return fields, truth


def score(fields: np.ndarray, truth: np.ndarray, changed: dict[str, dict[str, float]]) -> float:
    rule = type(next(iter(Model.load().card.rules.values())))
    return float(
        np.mean(
            [
                dice(segment_pattern(field, rule(**changed[name]))[0] > 0, mask)
                for scene, masks in zip(fields, truth, strict=True)
                for name, field, mask in zip(changed, scene, masks, strict=True)
            ]
        )
    )


if __name__ == "__main__":
    studies = (decode, rectangles, areas, int8, scope, organisation)
    {study.__name__: study for study in studies}[sys.argv[1]](Path(sys.argv[2]))
