"""Tables of the shipped models for the documents: `python -m experiments.tables NAME DATA`.

NAME is `about` (size, held-out scores and calibration of the shipped models, mostly from their cards), `dice`
(of the default model by region, season and satellite), `compared` (with baselines and with people), `short`
(a row a model) or `robustness`. Prints Markdown.
"""

import hashlib
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from nephoscope.core.io import available_cpus
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import split
from nephoscope.evaluation.report.evaluation import Options, write_report
from nephoscope.evaluation.robustness import agreements, rejected_noise
from nephoscope.inference import input_check
from nephoscope.inference.card import HELD_OUT, HELD_OUT_SPREAD
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import shipped

from .seasons import REGIONS

SEASONS = {"DJF": "December to February", "MAM": "March to May", "SON": "September to November"}
BASELINES = ("all empty", "everything present", "mean mask")
EVERY = 100  # of the small scenes, one is taken


def about(data: Path) -> None:
    models = [Model.load(name, threads=1) for name in shipped()]
    print(f"| | {' | '.join(shipped())} |")
    print("|---|" + "---|" * len(models))
    warned = [warnings(model, data) for model in models]
    rows: dict[str, list[str]] = {
        "SHA-256": [f"`{hashlib.sha256(model.content).hexdigest()[:12]}`" for model in models],
        "parameters": [f"{parameters(model) / 1e6:.1f} million" for model in models],
        "file": [f"{len(model.content) / 1e6:.1f} MB" for model in models],
        "pictures": ["{1}x{0} px".format(*model.card.input_size) for model in models],
        "mean Dice, held-out seasons": [
            " ± ".join(figures(model, HELD_OUT) + figures(model, HELD_OUT_SPREAD)) for model in models
        ],
        **{
            f"{pattern}, held-out seasons": [
                " ".join(figures(model, f"Dice of {pattern}, held-out folds")) for model in models
            ]
            for pattern in models[0].card.patterns
        },
        "mean Dice on `val`, rules of other days": [
            " ".join(figures(model, "mean Dice")) for model in models
        ],
        "calibration error of pixels": [errors(model, "pixels") for model in models],
        "calibration error of presence": [errors(model, "presence") for model in models],
        "these errors are from": [
            next(each["on"] for each in model.card.figures if each["what"].startswith("calibration error"))
            for model in models
        ],
        **{f"scenes with a warning, {part}": [each[part] for each in warned] for part in ("train", "val")},
    }
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cell or 'not measured' for cell in cells)} |")


def figures(model: Model, what: str) -> list[str]:
    return [f"{figure['value']:.3f}" for figure in model.card.figures if figure["what"] == what]


def errors(model: Model, of: str) -> str:
    own = [
        each["value"] for each in model.card.figures if each["what"].startswith(f"calibration error of {of},")
    ]
    return f"{min(own):.3f} to {max(own):.3f}, by pattern"


def parameters(model: Model) -> int:
    """Of the network, without the constants of the graph around it."""
    tensors = onnx.load_from_string(model.content).graph.initializer
    return sum(math.prod(tensor.dims) for tensor in tensors if len(tensor.dims) > 0)


def warnings(model: Model, data: Path) -> dict[str, str]:
    """By split, how many scenes get a warning of the input check."""
    dataset = read_dataset(data)
    counts = {}
    for name, indices in zip(("train", "val"), split(dataset.records), strict=True):
        rasters = (
            dataset.scene(dataset.records[index].image).read(model.card.input_size) for index in indices
        )
        measured = (input_check.measure(each.pixels, each.valid_mask) for each in rasters)
        warned = [input_check.out_of_range(each, model.card.scope) for each in measured]
        counts[name] = f"{sum(map(bool, warned)):,} of {len(warned):,}"
    return counts


def dice(data: Path) -> None:
    numbers = evaluated(Model.load(threads=1), data)
    patterns = list(numbers["reliability"])
    print(f"| | scenes | mean | {' | '.join(patterns)} |")
    print("|---|---|---|" + "---|" * len(patterns))
    groups = {"all": {"scenes": numbers["scenes"], "dice": numbers["dice"]["model"]}}
    for grouping in ("region", "season", "satellite"):
        groups |= numbers["by"][grouping]
    for name, group in groups.items():
        low, high = group["dice"]["interval"]
        cells = [
            REGIONS.get(name, SEASONS.get(name, name)),
            str(group["scenes"]),
            f"{group['dice']['mean']:.3f} ({low:.3f} to {high:.3f})",
            *(f"{group['dice']['patterns'][pattern]['mean']:.3f}" for pattern in patterns),
        ]
        print(f"| {' | '.join(cells)} |")


def compared(data: Path) -> None:
    model = Model.load(threads=1)
    numbers = evaluated(model, data)
    people, both = numbers["people"], numbers["people"]["candidates"]
    two, scenes = people["two_people"]["contest"]["mean"], people["scenes"]
    other_days = next(figure for figure in model.card.figures if figure["what"] == "mean Dice")
    rows = {
        "the model, rules chosen on these scenes": numbers["dice"]["model"]["mean"],
        "the model, rules chosen on other days (`nephoscope calibrate`)": other_days["value"],
        **{f"{name} as the answer": numbers["dice"][name]["mean"] for name in BASELINES},
        f"two people, {scenes} scenes of the practice round": two,
        "a person and the model, same scenes": both["model"]["contest"]["mean"],
        "a person and an empty answer, same scenes": both["all empty"]["contest"]["mean"],
    }
    print("| agreement of | mean Dice |")
    print("|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value:.3f} |")
    for measure, where in (("contest", ""), ("drawn", ", where either drew something")):
        for name, words in (("model", "the model"), ("all empty", "an empty answer")):
            own = both[name][measure]
            share = f"{own['as_well']} of {own['of_people']}"
            print(f"| people who agree with {words} at least as well as with other people{where} | {share} |")


def short(data: Path) -> None:
    models = {name: Model.load(name, threads=1) for name in shipped()}
    known = {
        name: {figure["what"]: figure["value"] for figure in model.card.figures}
        for name, model in models.items()
    }
    by_season = any(HELD_OUT in each for each in known.values())
    patterns = models["default"].card.patterns
    heads = ["model", "SHA-256", "MB", *(["held-out seasons"] if by_season else []), "`val`", *patterns]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for name, model in models.items():
        dice, own = evaluated(model, data)["dice"]["model"], known[name]
        number = hashlib.sha256(model.content).hexdigest()[:12]
        cells = [f"`{name}`", f"`{number}`", f"{len(model.content) / 1e6:.1f}"]
        if by_season:
            cells.append(f"{own[HELD_OUT]:.3f} ± {own[HELD_OUT_SPREAD]:.3f}" if HELD_OUT in own else "")
        means = [dice["mean"], *(each["mean"] for each in dice["patterns"].values())]
        print(f"| {' | '.join([*cells, *(f'{mean:.3f}' for mean in means)])} |")


def robustness(data: Path) -> None:
    models = [Model.load(name, threads=1) for name in shipped()]
    print(f"| the same scene | {' | '.join(shipped())} |")
    print("|---|" + "---|" * len(models))
    for row in zip(*(agreements(model, data, EVERY) for model in models), strict=True):
        print(f"| {row[0][0]} | {' | '.join(f'{agreement:.2f}' for _, agreement in row)} |")
    rejected = " | ".join(f"{rejected_noise(model):.2f}" for model in models)
    print(f"| noise in which it finds no pattern | {rejected} |")


def evaluated(model: Model, data: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return write_report(model, read_dataset(data), Path(folder), Options(workers=available_cpus()))[1]


TABLES: dict[str, Callable[[Path], None]] = {
    "about": about,
    "dice": dice,
    "compared": compared,
    "short": short,
    "robustness": robustness,
}


if __name__ == "__main__":
    TABLES[sys.argv[1]](Path(sys.argv[2]))
