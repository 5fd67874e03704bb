"""Frequency of patterns by season and region, of a model and of labels.

python -m experiments.seasons DATA [-o FILE.png]

On the dated validation scenes of a folder of labelled scenes: the share of the area with data that each
pattern covers, in the model's masks and in the labels. The default model's network was not trained on these
scenes, but its thresholds were chosen on them. Labelled months differ between regions, so the seasons are
different mixes of regions.

Days of a region are resampled for the intervals, Terra's and Aqua's pictures together; model and labels are
resampled alike, so that their difference has an interval of its own.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nephoscope.core.geo import SEASONS
from nephoscope.core.io import available_cpus, map_in_order
from nephoscope.core.patterns import Pattern
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.evaluation.evaluator import score_masks, score_valid_mask
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
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
    groups = groups_of(records)
    patterns = dataset.styled_patterns
    summaries = {name: summary(counts, records, chosen) for name, chosen in groups.items()}
    print_table(summaries, groups, records, patterns)
    if asked.figure:
        asked.figure.write_bytes(draw(summaries, groups, records, patterns))


def measure(model: Model, dataset: Dataset, records: list[Record]) -> np.ndarray:
    """Count pixels of 350x525 with data, then those of each pattern in the model's masks and in the labels.

    Shape (scenes, 1 + 2 x patterns); where the picture has no data, a label does not count.
    """

    def one(record: Record) -> list[int]:
        result = segment(dataset.scene(record.image), model)
        valid = score_valid_mask(result)
        masks = (*score_masks(result, dataset.patterns), *dataset.masks(record.image, SCORE_GRID))
        return [np.count_nonzero(valid), *(np.count_nonzero(mask & valid) for mask in masks)]

    return np.array(list(map_in_order(one, records, available_cpus())), float)


def region(record: Record) -> str:
    return REGIONS.get(record.region, record.region)


def groups_of(records: list[Record]) -> dict[str, np.ndarray]:
    """All records, those of each season, and those of each region: a mask each."""
    groups = {"all": np.ones(len(records), bool)}
    groups |= by(records, lambda record: record.season, SEASONS)
    return groups | by(records, region, tuple(REGIONS.values()))


def by(records: list[Record], key: Callable[[Record], str], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    keys = np.array([key(record) for record in records])
    return {name: keys == name for name in (*names, *sorted(set(keys) - set(names))) if (keys == name).any()}


def summary(counts: np.ndarray, records: list[Record], chosen: np.ndarray) -> np.ndarray:
    """Frequency and interval, shape (model and label and difference, patterns, 3), from 0 to 1."""
    days = np.unique([record.group for record in records], return_inverse=True)[1][chosen]
    days = np.unique(days, return_inverse=True)[1]
    sums = np.zeros((days.max() + 1, counts.shape[1]))
    np.add.at(sums, days, counts[chosen])
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES)
    totals = np.concatenate([np.ones((1, len(sums))), drawn]) @ sums
    shares = (totals[:, 1:] / totals[:, :1]).reshape(len(totals), 2, -1)
    shares = np.concatenate([shares, shares[:, :1] - shares[:, 1:]], axis=1)
    return np.stack([shares[0], *np.percentile(shares[1:], LEFT_OUT, axis=0)], axis=-1)


def print_table(
    summaries: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
    records: list[Record],
    patterns: Sequence[Pattern],
) -> None:
    years = sorted({record.season_year for record in records})
    print(
        f"{len(records)} dated validation scenes, season-year {', '.join(years)}; share of the area with data"
    )
    print(f"{'':<14}{'scenes':>6}{'days':>6}  {'pattern':<8}{'model':>20}{'labels':>20}{'difference':>24}")
    for name, numbers in summaries.items():
        days = len({record.group for record, inside in zip(records, groups[name], strict=True) if inside})
        begin = f"{name:<14}{groups[name].sum():>6}{days:>6}"
        for index, pattern in enumerate(patterns):
            texts = [
                f"{100 * mean:5.1f} ({100 * low:.1f}-{100 * high:.1f})"
                for mean, low, high in numbers[:2, index]
            ]
            mean, low, high = 100 * numbers[2, index]
            texts.append(f"{mean:+5.1f} ({low:+.1f} to {high:+.1f})")
            print(f"{begin:<26}  {pattern.name:<8}{texts[0]:>20}{texts[1]:>20}{texts[2]:>24}")
            begin = ""


def draw(
    summaries: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
    records: list[Record],
    patterns: Sequence[Pattern],
) -> bytes:
    from matplotlib.ticker import PercentFormatter

    names = [name for name in summaries if name != "all"]
    seasons = sum(name in SEASONS for name in names)
    places = np.array([index + (0.6 if index >= seasons else 0) for index in range(len(names))])
    rows = -(-len(patterns) // 2)
    figure, panels = new_figure(rows, 2, 3.1 * rows, sharex=True, sharey=True)
    for index, (axes, pattern) in enumerate(zip(panels, patterns, strict=False)):
        colour = tuple(part / 255 for part in pattern.colour)
        for which, shift, face, marker in ((1, -0.15, "white", "s"), (0, 0.15, colour, "o")):
            mean, low, high = np.stack([summaries[name][which, index] for name in names]).T
            axes.errorbar(
                places + shift,
                mean,
                [mean - low, high - mean],
                fmt="none",
                ecolor=EDGE,
                elinewidth=1,
                capsize=2.5,
            )
            label = ("model", "labels")[which]
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
    for axes in panels[-2:]:
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
        "number). The network was not trained on them,\nits thresholds were chosen on them. Bars: 95 % "
        "intervals, a region's days resampled."
    )
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=FAINT)
    return png(figure)


if __name__ == "__main__":
    main()
