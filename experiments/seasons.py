"""A model's climatology beside the annotators': `python -m experiments.seasons DATA [-o FILE.png]`.

On the dated validation scenes of a folder of labelled scenes, the share of the area with data that each
pattern covers is counted by season and by region, once as the model says and once as people labelled. The
default model's network never saw these scenes, but its thresholds were chosen on them. Which months were
labelled differs from region to region, so the seasons are not the same mix of regions.

Days of a region are resampled for the intervals, Terra's and Aqua's pictures together; model and labels are
resampled alike, so that their difference has an interval of its own.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nephoscope.core.geo import SEASONS
from nephoscope.core.io import available_cpus
from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.evaluation.evaluator import answer, with_data
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import segment
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, new_figure, png, quieten

RESAMPLES = 2000
LEFT_OUT = (2.5, 97.5)
REGIONS = {
    "61°W-40°W 10°N-24°N": "Atlantic",
    "159°E-180°E 8°N-22°N": "West Pacific",
    "135°W-114°W 15°S-1°S": "East Pacific",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("-o", type=Path, metavar="FILE.png", dest="figure")
    asked = parser.parse_args()
    dataset = read_dataset(asked.data)
    records = [record for record in dataset.records if record.split == "val" and record.day]
    counts = measure(Model.load(threads=1), dataset, records)
    groups = {"all": np.ones(len(records), bool)}
    groups |= by(records, lambda record: record.season, SEASONS)
    groups |= by(records, region, tuple(REGIONS.values()))
    found = {name: summary(counts, records, chosen) for name, chosen in groups.items()}
    print_table(found, groups, records)
    if asked.figure:
        asked.figure.write_bytes(draw(found, groups, records))


def measure(model: Model, dataset: Dataset, records: list[Record]) -> np.ndarray:
    """Pixels of 350x525 with data, then those of each pattern by the model and by the label.

    Shape (scenes, 1 + 2 x patterns); where the picture has no data, a label does not count.
    """

    def one(record: Record) -> list[int]:
        found = segment(dataset.scene(record.image), model)
        valid = with_data(found)
        label = dataset.bits(record.image, SCORE_GRID)
        labelled = [np.count_nonzero((label >> index & 1) * valid) for index in range(len(DEFAULT_NAMES))]
        return [
            np.count_nonzero(valid),
            *(np.count_nonzero(mask & valid) for mask in answer(found)),
            *labelled,
        ]

    with ThreadPoolExecutor(available_cpus()) as pool:
        return np.array(list(pool.map(one, records)), float)


def region(record: Record) -> str:
    return REGIONS.get(record.region, record.region)


def by(records: list[Record], key: Callable[[Record], str], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    told = np.array([key(record) for record in records])
    return {name: told == name for name in (*names, *sorted(set(told) - set(names))) if (told == name).any()}


def summary(counts: np.ndarray, records: list[Record], chosen: np.ndarray) -> np.ndarray:
    """Frequency and interval, shape (model and label and difference, patterns, 3), from 0 to 1."""
    days = np.unique([record.group for record in records], return_inverse=True)[1][chosen]
    days = np.unique(days, return_inverse=True)[1]
    sums = np.zeros((days.max() + 1, counts.shape[1]))
    np.add.at(sums, days, counts[chosen])
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES)
    totals = np.concatenate([np.ones((1, len(sums))), drawn]) @ sums
    shares = (totals[:, 1:] / totals[:, :1]).reshape(len(totals), 2, len(DEFAULT_NAMES))
    shares = np.concatenate([shares, shares[:, :1] - shares[:, 1:]], axis=1)
    return np.stack([shares[0], *np.percentile(shares[1:], LEFT_OUT, axis=0)], axis=-1)


def print_table(found: dict[str, np.ndarray], groups: dict[str, np.ndarray], records: list[Record]) -> None:
    years = sorted({record.season_year for record in records})
    print(
        f"{len(records)} dated validation scenes, season-year {', '.join(years)}; share of the area with data"
    )
    print(f"{'':<14}{'scenes':>6}{'days':>6}  {'pattern':<8}{'model':>20}{'labels':>20}{'difference':>24}")
    for name, numbers in found.items():
        days = len({record.group for record, inside in zip(records, groups[name], strict=True) if inside})
        begin = f"{name:<14}{groups[name].sum():>6}{days:>6}"
        for index, pattern in enumerate(DEFAULT_NAMES):
            texts = [
                f"{100 * mean:5.1f} ({100 * low:.1f}-{100 * high:.1f})"
                for mean, low, high in numbers[:2, index]
            ]
            mean, low, high = 100 * numbers[2, index]
            texts.append(f"{mean:+5.1f} ({low:+.1f} to {high:+.1f})")
            print(f"{begin:<26}  {pattern:<8}{texts[0]:>20}{texts[1]:>20}{texts[2]:>24}")
            begin = ""


def draw(found: dict[str, np.ndarray], groups: dict[str, np.ndarray], records: list[Record]) -> bytes:
    from matplotlib.ticker import PercentFormatter

    names = [name for name in found if name != "all"]
    seasons = sum(name in SEASONS for name in names)
    places = np.array([index + (0.6 if index >= seasons else 0) for index in range(len(names))])
    figure, panels = new_figure(2, 2, 6.2, sharex=True, sharey=True)
    for index, (axes, pattern) in enumerate(zip(panels, DEFAULT_PATTERNS, strict=True)):
        colour = tuple(part / 255 for part in pattern.colour)
        for which, shift, face, marker in ((1, -0.15, "white", "s"), (0, 0.15, colour, "o")):
            mean, low, high = np.stack([found[name][which, index] for name in names]).T
            axes.errorbar(
                places + shift,
                mean,
                [mean - low, high - mean],
                fmt="none",
                ecolor=EDGE,
                elinewidth=1,
                capsize=2.5,
            )
            label = ("model", "people's labels")[which]
            axes.plot(
                places + shift, mean, marker, mfc=face, mec=EDGE, mew=0.9, ms=6.5, label=label, zorder=3
            )
        axes.axvline(seasons - 0.2, color=LINE, lw=1)
        axes.set_title(pattern.name, loc="left", fontsize=10, color=INK)
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper right", ncols=2, handletextpad=0.2)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.grid(axis="y", color=LINE, lw=0.8)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\N{NBSP}%"))
        quieten(axes)
    panels[0].set_ylim(0, panels[0].get_ylim()[1] * 1.12)
    words = [f"{name.replace(' ', chr(10))}\n({groups[name].sum()})" for name in names]
    for axes in panels[2:]:
        axes.set_xticks(places, words)
        axes.tick_params(axis="x", labelsize=8)
    for axes in panels[::2]:
        axes.set_ylabel("share of area with data", fontsize=9)
    days = len({record.group for record in records})
    years = sorted({record.season_year for record in records})
    figure.suptitle(
        "Model and labels by season and region", x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold"
    )
    note = (
        f"{len(records)} scenes of {days} region-days in season-year {', '.join(years)} (below names: their "
        "number). The network never saw them,\nits thresholds were chosen on them. Bars: 95 % intervals, "
        "a region's days resampled."
    )
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=FAINT)
    return png(figure)


if __name__ == "__main__":
    main()
