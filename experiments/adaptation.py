"""Training on from the default model in a domain that it does not know, from few corrected scenes.

python -m experiments.adaptation run DATA FOLDER [--only NAME]    the missing pieces, one after another
python -m experiments.adaptation table FOLDER                     what is there, with intervals
python -m experiments.adaptation rules FOLDER [--model MODEL]     on how many scenes rules can be chosen
python -m experiments.adaptation kept FOLDER NAME                 a piece with its start's rules, and others

The domain is another sensor, made of real scenes: grey, blurred by 1.6 px of 480x320, half of the contrast,
lifted by 60 of 255; no data stays black. Corrected scenes are drawn from 400 dated training scenes of DATA.
150 validation scenes, which nothing is trained on, are measured in both domains.

Ways: `untouched` is the default model; `default` trains on from it (`--from default`, preset `few`); `replay`
does so with 400 older scenes (`--replay`), half as many epochs and so as many steps, and keeps the mean of
the trained and the first weights; `imagenet` starts from ImageNet's weights, with the same steps and
averages. Of a random 200 of the 400 scenes, another 200 a seed, 20, 50 or 100 are taken at random, or the 50
that `nephoscope suggest` ranks first.

Two figures of each model: under the rules that it comes with (the default model's, which are kept; with
`imagenet`, those found on its own few validation scenes), and under rules chosen on nine tenths of the days
of the 150 scenes and judged on the tenth, the honest one. The default model's own rules were chosen on
validation scenes of the old domain, these among them, so its figure there is too high, and so is, by less,
that of models that keep its rules. The default model has learned the labels of the 400 scenes in the old
domain, so there is less left to learn.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnx

from nephoscope.core.io import atomic_write
from nephoscope.core.types import Image
from nephoscope.datasets.catalogue import Record, format_catalogue
from nephoscope.datasets.dataset import CATALOGUE, PICTURES, Dataset, read_dataset
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.splits import group_kfold, split
from nephoscope.evaluation.evaluator import evaluate_model
from nephoscope.evaluation.statistics import bootstrap
from nephoscope.imagery.scene import find_nodata
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import model_file
from nephoscope.inference.pipeline import segment
from nephoscope.inference.suggestion import candidate_of, suggest
from nephoscope.training.calibration import calibrate, calibrated, choose_rules
from nephoscope.training.checkpoint import save_weights
from nephoscope.training.config import FEW, make_recipe
from nephoscope.training.distillation import mean_of
from nephoscope.training.export import export, with_card
from nephoscope.training.finish import MODEL, finish
from nephoscope.training.job import BEST
from nephoscope.training.run import begin, resume
from nephoscope.training.scored_scenes import score_scenes
from nephoscope.training.settings import Settings

BLUR, CONTRAST, LIFT = 1.6, 0.5, 60.0  # px of 480x320, factor, of 255
POOL, OFFERED, HELD_OUT, OLDER, OLDER_VAL = 400, 200, 150, 400, 200  # scenes
WAYS = ("default", "replay", "imagenet")
COUNTS, SEEDS, SUGGESTED = (20, 50, 100), (0, 1, 2), 50
FOLDS, DRAWS = 10, 40
ARRAYS = ("by_mask", "areas", "scores", "empty", "pixels")
EPOCHS, REPLAY_EPOCHS = 20, 10
RESULTS = "results.jsonl"
IMAGENET = {"size": "320x480", "batch": 8, "ema": 0.95, "ema_warm_up": True, "patience": 6}


class Piece(NamedTuple):
    """One model to measure."""

    way: str
    count: int = 0
    seed: int = 0
    choice: str = "random"

    @property
    def name(self) -> str:
        return f"{self.way}-{self.count}-{self.choice}-{self.seed}"


PIECES = (
    Piece("untouched"),
    *(
        piece
        for seed in SEEDS
        for piece in (
            *(Piece(way, count, seed) for count in COUNTS for way in WAYS[:2]),
            Piece("default", SUGGESTED, seed, "suggested"),
        )
    ),
    *(Piece(WAYS[2], count, seed) for seed in SEEDS for count in COUNTS),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs, *others = (commands.add_parser(name) for name in ("run", "table", "rules", "kept"))
    runs.add_argument("data", type=Path, metavar="DATA")
    for command in (runs, *others):
        command.add_argument("folder", type=Path, metavar="FOLDER")
    runs.add_argument("--only", metavar="NAME", help=f"one of {', '.join(piece.name for piece in PIECES)}")
    others[1].add_argument("--model", default="default")
    others[2].add_argument("piece", metavar="NAME", help="of a piece whose training is finished")
    asked = parser.parse_args()
    if asked.command == "run":
        run(asked.data, asked.folder, asked.only)
    elif asked.command == "rules":
        rules(Model.load(asked.model, threads=1), read_dataset(asked.folder / "new"))
    elif asked.command == "kept":
        kept(asked.folder, asked.piece)
    else:
        table(read_results(asked.folder))


def run(data: Path, folder: Path, only: str | None) -> None:
    if not (folder / "older").is_dir():
        make_folders(data, folder)
    done = {result["name"] for result in read_results(folder)}
    for piece in PIECES:
        if piece.name in done or only not in (None, piece.name):
            continue
        started = time.monotonic()
        model, facts = trained(piece, folder)
        facts["training_seconds"] = round(time.monotonic() - started)
        domains = {domain: measure(model, read_dataset(folder / domain)) for domain in ("new", "old")}
        line = {"name": piece.name, **piece._asdict(), **facts, **domains}
        with (folder / RESULTS).open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(describe(line), flush=True)


def describe(line: dict[str, Any]) -> str:
    figures = "  ".join(
        f"{domain} {np.mean(line[domain]['own']):.4f} (other days {line[domain]['other_days']:.4f})"
        for domain in ("new", "old")
    )
    return f"{line['name']:<28}{figures}  {line['training_seconds']} s"


def sensor(pixels: Image) -> Image:
    """The picture of another sensor: red, green, blue of shape (height, width, 3)."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY).astype(np.float32)
    blurred = cv2.GaussianBlur(grey, (0, 0), BLUR * pixels.shape[0] / 320)
    levels = np.clip(LIFT + CONTRAST * blurred, 0, 255).round().astype(np.uint8)
    levels[find_nodata(np.ascontiguousarray(pixels))] = 0
    return np.repeat(levels[..., None], 3, axis=2)


def make_folders(data: Path, folder: Path) -> None:
    """Write `pool` and `new` in the new domain, `old` and `older` in the old one; `older` comes last."""
    dataset = read_dataset(data)
    training, validation = ([dataset.records[index] for index in side] for side in split(dataset.records))
    rng = np.random.default_rng(0)
    dated = rng.permutation(np.array([record.image for record in training if record.day])).tolist()
    held_out = rng.permutation(np.array([record.image for record in validation])).tolist()
    pool, older = dated[:POOL], dated[POOL : POOL + OLDER]
    write_folder(dataset, pool, folder / "pool", sensor)
    write_folder(dataset, held_out[:HELD_OUT], folder / "new", sensor)
    write_folder(dataset, held_out[:HELD_OUT], folder / "old")
    splits = dict.fromkeys(older, "train") | dict.fromkeys(held_out[-OLDER_VAL:], "val")
    write_folder(dataset, splits, folder / "older", splits=splits)


def write_folder(
    dataset: Dataset,
    images: Iterable[str],
    folder: Path,
    change: Callable[[Image], Image] | None = None,
    splits: dict[str, str] | None = None,
) -> None:
    """Write some scenes of a data set as one of its own; pictures are links unless they change."""
    chosen, records = set(images), []
    for record in dataset.records:
        if record.image not in chosen:
            continue
        source, path = dataset.picture(record.image), folder / PICTURES / record.image
        path.parent.mkdir(parents=True, exist_ok=True)
        if change is not None:
            pixels = change(dataset.scene(record.image).read().pixels)
            content = cv2.imencode(".jpg", pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 95))[1]
            atomic_write(path, content.tobytes())
        elif not path.exists():
            path.symlink_to(source.resolve())
        records.append(replace(record, split=(splits or {}).get(record.image, "")))
    rows = [
        (record.image, name, dataset.labels.texts[record.image, name])
        for record in records
        for name in dataset.patterns
    ]
    atomic_write(folder / CATALOGUE, format_catalogue(records))
    write_labels(folder / "train.csv", rows)


def trained(piece: Piece, folder: Path) -> tuple[Model, dict[str, Any]]:
    """The model of a piece, trained or trained further if it is not there."""
    if piece.way == "untouched":
        return Model.load(threads=1), {}
    place = folder / "runs" / piece.name
    if not (place / MODEL).is_file():
        options: dict[str, Any] = {"cache": folder / "cache", "log": print}
        if Settings.exist(place):
            resume(place, **options)
        else:
            begin(settings_of(piece, corrected(piece, folder), folder), place, **options)
        finish(place, print)
    model = Model.load(place / MODEL, threads=1)
    training = model.card.training
    return model, {"epoch": training["epoch"], "rules": training["rules"]}


def settings_of(piece: Piece, data: Path, folder: Path) -> Settings:
    shared: dict[str, Any] = {"panel_every": EPOCHS}
    if piece.way == "imagenet":
        recipe = make_recipe(epochs=EPOCHS, seed=piece.seed, **IMAGENET)
        return Settings(str(data), recipe, folds=5, **shared)
    replays = piece.way == "replay"
    recipe = make_recipe(FEW, epochs=REPLAY_EPOCHS if replays else EPOCHS, seed=piece.seed)
    older = str((folder / "older").resolve()) if replays else None
    return Settings(
        str(data.resolve()), recipe, start_from=(str(model_file("default")),), replay=older, **shared
    )


def corrected(piece: Piece, folder: Path) -> Path:
    """The folder of the corrected scenes of a piece; written if it is not there."""
    place = folder / "corrected" / f"{piece.count}-{piece.choice}-{piece.seed}"
    if (place / "train.csv").is_file():
        return place
    pool = read_dataset(folder / "pool")
    images = [record.image for record in pool.records]
    offered = np.random.default_rng(piece.seed).permutation(np.array(images)).tolist()[:OFFERED]
    if piece.choice == "suggested":
        records = {record.image: record for record in pool.records}
        offered = suggested(pool, [records[image] for image in sorted(offered)], piece.count)
    write_folder(pool, offered[: piece.count], place)
    return place


def suggested(pool: Dataset, records: Sequence[Record], count: int) -> list[str]:
    """Names of the pictures that `nephoscope suggest` ranks first."""
    model = Model.load(threads=1)

    def candidate(record: Record) -> Any:
        scene = pool.scene(record.image).with_location(record.bounds, record.day, None)
        return candidate_of(record.image, segment(scene, model))

    candidates = [each for _, each in replace(pool, records=tuple(records)).map(candidate, [])]
    return [each.candidate.source for each in suggest(candidates, count)]


def measure(model: Model, dataset: Dataset) -> dict[str, Any]:
    """Dice of each scene under the model's own rules, and in the mean under rules of other days."""
    evaluation = evaluate_model(model, dataset, workers=2)
    groups = [record.group for record in evaluation.records]
    results = choose_rules(score_scenes(model, dataset), group_kfold(groups, FOLDS))
    return {
        "own": evaluation.dice.mean(axis=1).round(5).tolist(),
        "other_days": float(np.mean([result.held_out_dice for result in results])),
        "groups": groups,
    }


def rules(model: Model, dataset: Dataset) -> None:
    """Rules of a model chosen on some scenes of the new domain, judged on the others."""
    own = evaluate_model(model, dataset, workers=2).dice
    scored = score_scenes(model, dataset)
    rng, count = np.random.default_rng(0), len(own)
    print(f"{count} scenes; Dice on the scenes not chosen on, less that under the model's own rules")
    for number in (10, 20, 50, 75, 100):
        gains = []
        for _ in range(DRAWS):
            inside = np.isin(np.arange(count), rng.choice(count, number, replace=False))
            part = replace(scored, **{name: getattr(scored, name)[..., inside] for name in ARRAYS})
            chosen = choose_rules(part, (np.arange(number) % min(FOLDS, number)).tolist())
            dice = [
                np.where(
                    scored.scores[index, rule.kind] >= rule.cut,
                    scored.by_mask[index, rule.mask],
                    scored.empty[index],
                )
                for index, rule in enumerate(chosen)
            ]
            gains.append(float((np.mean(dice, axis=0) - own.mean(axis=1))[~inside].mean()))
        low, high = np.percentile(gains, (5, 95))
        print(
            f"{number:>4} scenes  {np.mean(gains):+.4f}, {low:+.4f} to {high:+.4f} in 90 % of {DRAWS} draws"
        )


def kept(folder: Path, name: str) -> None:
    """A piece without `--replay`, and its mean with its start, under the start's rules, and under others."""
    start, model = Model.load(threads=1), Model.load(folder / "runs" / name / MODEL, threads=1)
    older = read_dataset(folder / "older")
    scenes = older.select(split(older.records)[1])
    chosen = {each: calibrated(each.card, calibrate(each, scenes), "older scenes") for each in (start, model)}
    print(f"{name}: mean Dice by domain; rules chosen on {len(scenes.records)} older scenes, or those kept")
    for label, each, card in (
        ("untouched, rules kept", start, start.card),
        ("untouched, rules chosen", start, chosen[start]),
        ("trained, rules kept", model, start.card),
        ("trained, rules chosen", model, chosen[model]),
        ("mean of both, rules kept", mean_with_start(folder / "runs" / name / BEST), start.card),
    ):
        ruled = with_rules(each, card)
        figures = (
            evaluate_model(ruled, read_dataset(folder / domain), workers=2).dice.mean()
            for domain in ("new", "old")
        )
        print(f"{label:<26}" + "  ".join(f"{figure:.4f}" for figure in figures))


def mean_with_start(weights: Path) -> Model:
    """The mean of the weights of the default model and of a run.

    Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903.
    """
    mean = mean_of((str(model_file("default")), str(weights)), None)
    with tempfile.TemporaryDirectory() as place:
        averaged, exported = Path(place) / "mean.safetensors", Path(place) / "mean.onnx"
        save_weights(averaged, mean.weights, mean.card)
        export([averaged], exported)
        return Model.from_bytes(exported.read_bytes(), "mean", threads=1)


def with_rules(model: Model, card: Card) -> Model:
    """A model with the rules and the calibration of another card."""
    changes = {"rules": card.rules, "calibration": card.calibration, "unbiased_rules": card.unbiased_rules}
    changed = replace(model.card, **changes)
    content = with_card(onnx.load_from_string(model.content), changed)
    return Model.from_bytes(content, changed.name, threads=1)


def read_results(folder: Path) -> list[dict[str, Any]]:
    path = folder / RESULTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def table(results: Sequence[dict[str, Any]]) -> None:
    by_piece: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for result in results:
        by_piece.setdefault((result["way"], result["count"], result["choice"]), []).append(result)
    untouched = by_piece[("untouched", 0, "random")]
    print("mean Dice under own rules; difference to the untouched model with its 95 % interval (days of a")
    print("region resampled, mean over seeds); range over seeds; under rules chosen on other days")
    for domain in ("new", "old"):
        print(
            f"\n{domain} domain\n{'':<24}{'seeds':>6}{'Dice':>8}  {'difference':<30}{'range':<16}other days"
        )
        for (way, count, choice), pieces in sorted(by_piece.items(), key=lambda item: item[0][1:]):
            label = f"{way} {count or ''}{' suggested' if choice == 'suggested' else ''}"
            means = [float(np.mean(piece[domain]["own"])) for piece in pieces]
            other = float(np.mean([piece[domain]["other_days"] for piece in pieces]))
            spread = f"{min(means):.3f}-{max(means):.3f}"
            gain = "" if way == "untouched" else difference(pieces, untouched, domain)
            print(f"{label:<24}{len(pieces):>6}{np.mean(means):>8.4f}  {gain:<30}{spread:<16}{other:.4f}")
    pairs = [by_piece.get(("default", SUGGESTED, choice), []) for choice in ("suggested", "random")]
    if all(pairs):
        print(f"\n{SUGGESTED} suggested less {SUGGESTED} random, new domain: {difference(*pairs, 'new')}")


def difference(pieces: list[dict[str, Any]], others: list[dict[str, Any]], domain: str) -> str:
    """Mean difference of the Dice of two ways on the same scenes, with its 95 % interval."""
    one, other = (np.mean([piece[domain]["own"] for piece in each], axis=0) for each in (pieces, others))
    mean, low, high = bootstrap((one - other)[:, None], pieces[0][domain]["groups"])[0]
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
