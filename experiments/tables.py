"""Tables of the default model for the documents: `python -m experiments.tables NAME DATA`.

NAME is `dice` (by region, season and satellite), `short` (one row) or `robustness`. Prints Markdown.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nephoscope.core.io import available_cpus
from nephoscope.datasets.dataset import read_dataset
from nephoscope.evaluation.report.evaluation import Options, write_report
from nephoscope.evaluation.robustness import agreements, rejected_noise
from nephoscope.inference.model import Model

from .seasons import REGIONS

SEASONS = {"DJF": "December to February", "MAM": "March to May", "SON": "September to November"}
EVERY = 100  # of the small scenes, one is taken


def dice(data: Path) -> None:
    numbers = evaluated(data)
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


def short(data: Path) -> None:
    model = evaluated(data)["dice"]["model"]
    print(f"| mean Dice | {' | '.join(model['patterns'])} |")
    print("|---|" + "---|" * len(model["patterns"]))
    means = [model["mean"], *(each["mean"] for each in model["patterns"].values())]
    print(f"| {' | '.join(f'{mean:.3f}' for mean in means)} |")


def robustness(data: Path) -> None:
    model = Model.load(threads=1)
    print("| the same scene | agreement |")
    print("|---|---|")
    for change, agreement in agreements(model, data, EVERY):
        print(f"| {change} | {agreement:.2f} |")
    print(f"| noise in which it finds no pattern | {rejected_noise(model):.2f} |")


def evaluated(data: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        model = Model.load(threads=1)
        return write_report(model, read_dataset(data), Path(folder), Options(workers=available_cpus()))[1]


TABLES: dict[str, Callable[[Path], None]] = {"dice": dice, "short": short, "robustness": robustness}


if __name__ == "__main__":
    TABLES[sys.argv[1]](Path(sys.argv[2]))
