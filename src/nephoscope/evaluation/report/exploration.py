"""The report on labelled data: `explore.html`, its figures as PNG and its numbers as `explore.json`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.patterns import Pattern
from nephoscope.core.types import SCORE_GRID, Progress
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.labels import Problem
from nephoscope.evaluation.exploration import COUNT_WORDS, SPECK, Exploration, explore
from nephoscope.evaluation.groups import GROUPINGS, describe_record
from nephoscope.evaluation.people import compare_people, scenes_of_people
from nephoscope.evaluation.report.evaluation_numbers import people_alone
from nephoscope.evaluation.report.exploration_numbers import numbers
from nephoscope.evaluation.report.page import Report
from nephoscope.evaluation.report.scenes import add_legend, add_scenes
from nephoscope.plotting import charts

Patterns = tuple[Pattern, ...]

_SCENE_PIXELS = SCORE_GRID[0] * SCORE_GRID[1]
_GROUPS = 12  # regions or years in one figure; more could not be read


def write_report(
    dataset: Dataset, folder: Path, progress: Progress | None = None
) -> tuple[Path, dict[str, Any]]:
    """Explore labelled data and write the report.

    Args:
        dataset: the scenes.
        folder: created if missing. `explore.html` needs none of the other files.
        progress: called with the scenes measured so far and in all.

    Returns:
        The page's path, and the numbers that `explore.json` has.

    Raises:
        DatasetError: no scene has valid masks.
        OSError: a file cannot be written.
    """
    result = explore(dataset, progress)
    problems: list[Problem] = []
    people = compare_people(scenes_of_people(dataset), dataset.patterns, problems)
    result = replace(result, problems=(*result.problems, *problems))
    report = Report("explore", numbers(result) | {"people": people and people_alone(people)})
    patterns = dataset.styled_patterns
    _add_presence(report, result, patterns)
    _add_areas(report, result, patterns)
    if report.numbers["brightness"]["count"]:
        _add_pixels(report, result)
    shown = {grouping: _largest(report.numbers["by"][grouping]) for grouping in GROUPINGS}
    for grouping, names in shown.items():
        if names:
            _add_groups(report, patterns, grouping, names)
    path = report.write(
        folder,
        folder_name=dataset.folder.resolve().name,
        patterns=list(result.patterns),
        patterns_per_scene=float(result.present.sum(axis=1).mean()),
        days=sorted(record.day for record in result.records if record.day),
        scene_pixels=_SCENE_PIXELS,
        wide_gaps=int((result.nodata > 0.2).sum()),
        shown=shown,
        unknown=[grouping for grouping, names in shown.items() if not names],
        examples=_add_examples(report, result, dataset),
    )
    return path, report.numbers


def _by_pattern(result: Exploration, patterns: Patterns, values: NDArray[Any]) -> dict[Pattern, NDArray[Any]]:
    """Values of the scenes that have each pattern, from an array of shape (scenes, patterns)."""
    return {pattern: values[result.present[:, i], i] for i, pattern in enumerate(patterns)}


def _add_presence(report: Report, result: Exploration, patterns: Patterns) -> None:
    presence = {each: report.numbers["patterns"][each.name]["presence"] for each in patterns}
    report.add_figure("presence", charts.bars(presence, "share of scenes", share=True))
    counts = {COUNT_WORDS[int(n)]: count for n, count in report.numbers["patterns_per_scene"].items()}
    report.add_figure("patterns_per_scene", charts.bars(counts, "scenes"))
    both = result.cooccurrence
    alone = both.diagonal()[:, None]
    shares = np.where(alone > 0, both / np.maximum(1, alone), np.nan)
    np.fill_diagonal(shares, np.nan)
    shares = np.concatenate([shares, result.present.mean(axis=0, keepdims=True)])
    rows = [*(f"with {pattern}" for pattern in patterns), "all"]
    heat_map = charts.heat_map(rows, patterns, shares, "of the scenes", "have the pattern", share=True)
    report.add_figure("together", heat_map)


def _add_areas(report: Report, result: Exploration, patterns: Patterns) -> None:
    fractions = _by_pattern(result, patterns, result.area_fractions)
    histogram = charts.histograms(
        fractions, np.linspace(0, 1, 26), "cover of the scene", "scenes", share=True
    )
    report.add_figure("cover", histogram)
    counts = _by_pattern(result, patterns, result.counts())
    most = max((int(values.max()) for values in counts.values() if len(values)), default=1)
    histogram = charts.histograms(counts, np.arange(-0.5, most + 1), "objects in a scene", "scenes")
    report.add_figure("objects", histogram)
    areas = zip(patterns, result.component_areas, strict=True)
    doublings = 2.0 ** np.arange(np.ceil(np.log2(_SCENE_PIXELS)) + 1) - 0.5  # areas are whole numbers
    histogram = charts.histograms(
        {name: each / _SCENE_PIXELS for name, each in areas},
        doublings / _SCENE_PIXELS,
        "share of the scene",
        "groups",
        log=True,
        share=True,
        line=SPECK / _SCENE_PIXELS,
    )
    report.add_figure("sizes", histogram)
    mean_masks = dict(zip(patterns, result.mean_masks, strict=True))
    report.add_figure("position", charts.maps(mean_masks, "share of all scenes", share=True))


def _add_pixels(report: Report, result: Exploration) -> None:
    """Add the figures of brightness and of areas without data."""
    patterns = report.numbers["patterns"].values()
    means = {
        title: [float(stats[key] or np.nan) for stats in patterns]
        for title, key in (
            ("inside the mask", "brightness_inside"),
            ("rest of the scene", "brightness_outside"),
        )
    }
    axis = "brightness, 0 to 255"
    report.add_figure("brightness", charts.grouped_bars(result.patterns, means, axis))
    brightness, nodata = {"All scenes": result.brightness}, {"All scenes": result.nodata}
    bins = np.linspace(0, 255, 52)
    report.add_figure("scene_brightness", charts.histograms(brightness, bins, axis, "scenes"))
    axis, bins = "share of the scene without data", np.linspace(0, 1, 101)
    report.add_figure("gaps", charts.histograms(nodata, bins, axis, "scenes", share=True))


def _largest(groups: dict[str, Any]) -> list[str]:
    """Names of the groups with the most scenes, in the order of the groups."""
    largest = sorted(groups, key=lambda name: -groups[name]["scenes"])[:_GROUPS]
    return [name for name in groups if name in largest]


def _add_groups(report: Report, patterns: Patterns, grouping: str, names: list[str]) -> None:
    groups = report.numbers["by"][grouping]
    presence = {each: [groups[name]["presence"][each.name] for name in names] for each in patterns}
    labels = [name.replace(" ", "\n") for name in names]
    report.add_figure(grouping, charts.grouped_bars(labels, presence, "share of scenes", share=True))


def _add_examples(report: Report, result: Exploration, dataset: Dataset) -> dict[str, str]:
    """Add drawings of a few scenes of each kind; return their captions by the figures' names."""
    add_legend(report, dataset.styled_patterns)
    captions = {}
    for kind, indices in result.examples().items():
        records = [result.records[index] for index in indices]
        drawings = [
            (
                dataset.scene(record.image).read(SCORE_GRID),
                dataset.masks(record.image, SCORE_GRID),
                describe_record(record),
            )
            for record in records
        ]
        name = f"scenes_{kind.replace(' ', '_').lower()}"
        add_scenes(report, name, dataset.styled_patterns, drawings)
        captions[name] = f"{kind.capitalize()}: {'; '.join(map(describe_record, records))}."
    return captions
