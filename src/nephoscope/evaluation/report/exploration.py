"""The report on labelled data: `explore.html`, its figures as PNG and its numbers as `explore.json`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES, styled_patterns
from nephoscope.core.types import SCORE_GRID, Image, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset
from nephoscope.evaluation.exploration import UNKNOWN, Exploration, explore
from nephoscope.evaluation.report import exploration_sections as sections
from nephoscope.evaluation.report import page
from nephoscope.evaluation.report.exploration_numbers import numbers
from nephoscope.evaluation.report.exploration_sections import number, percent
from nephoscope.evaluation.report.report import Report, Section
from nephoscope.plotting import charts, drawing

_SCENE_WIDTH = 525  # px; two of them fill the page
_GROUPS = 12  # regions or years in one figure; more could not be read
_NAMED = 20  # problems of a kind that the page names; JSON has all


def write_report(
    dataset: Dataset, folder: Path, progress: Progress | None = None
) -> tuple[Path, dict[str, Any]]:
    """Explore labelled data and write the report.

    Args:
        dataset: the scenes.
        folder: where to; made if it is not there. `explore.html` needs none of the other files.
        progress: told the scenes measured so far and in all.

    Returns:
        The page's path, and the numbers that `explore.json` holds.

    Raises:
        OSError: a file cannot be written.
    """
    found = explore(dataset, progress)
    report = Report("explore", found, numbers(found))
    parts = [
        sections.in_short(report),
        sections.presence(report),
        sections.together(report),
        sections.cover(report),
        sections.objects(report),
        sections.position(report),
        sections.brightness(report),
        sections.gaps(report),
        *_known(report),
        _examples(report, dataset),
        _problems(report),
    ]
    subtitle = (
        f"Folder {dataset.folder.resolve().name}, {len(found.records):,} scenes, "
        f"masks measured on {SCORE_GRID[0]}x{SCORE_GRID[1]} pixels"
    )
    for name, content in report.pictures.items():
        atomic_write(folder / name, content)
    text = json.dumps(report.numbers, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(folder / "explore.json", f"{text}\n".encode())
    path = folder / "explore.html"
    atomic_write(path, page.page("What the labels look like", subtitle, parts))
    return path, report.numbers


def _known(report: Report[Exploration]) -> list[Section]:
    """A section for each of region, season, year and satellite that is known, one sentence for the others."""
    headings = {"region": "Regions", "season": "Seasons", "year": "Years", "satellite": "Satellites"}
    meant = {
        "region": "A region is a scene's box in degrees, west to east and south to north.",
        "season": "Seasons are named by the first letters of their months, DJF for December to February.",
        "year": "A year begins with its December, so that no season is cut in two.",
        "satellite": "Terra passes in the morning, Aqua in the afternoon.",
    }
    sections: list[Section] = []
    missing = []
    for what, heading in headings.items():
        groups = report.numbers["by"][what]
        if groups:
            sections.append((heading, _compared(report, what, meant[what], groups)))
        else:
            missing.append(what)
    if missing:
        text = f"Of no scene the {' or the '.join(missing)} is known: scenes.csv would tell."
        sections.append(("Not known", [page.paragraph(text)]))
    return sections


def _compared(report: Report[Exploration], what: str, meant: str, groups: dict[str, Any]) -> list[str]:
    largest = sorted(groups, key=lambda name: -groups[name]["scenes"])[:_GROUPS]
    shown = {name: told for name, told in groups.items() if name in largest}
    if len(shown) < len(groups):
        meant += f" The {len(shown)} with the most scenes of {len(groups)} are shown; explore.json has all."
    how_often = [
        (
            name,
            f"{told['scenes']:,}",
            *(percent(told["presence"][pattern]) for pattern in DEFAULT_NAMES),
            number(told["brightness"]),
            percent(told["gaps"]),
        )
        for name, told in shown.items()
    ]
    how_much = [
        (name, *(percent(told["median_cover_where_present"][pattern]) for pattern in DEFAULT_NAMES))
        for name, told in shown.items()
    ]
    figure = charts.grouped_bars(
        [name.replace(" ", "\n") for name in shown],
        {pattern: [told["presence"][pattern] for told in shown.values()] for pattern in DEFAULT_NAMES},
        "share of scenes",
        share=True,
    )
    return [
        page.paragraph(meant),
        page.table((what.capitalize(), "Scenes", *DEFAULT_NAMES, "Brightness", "Gaps"), how_often),
        page.paragraph(
            "Number of scenes; share of them that have the pattern, in percent; their mean brightness, 0 to "
            "255; their mean share without data."
        ),
        report.figure(what, figure, f"Share of the scenes of each {what} that have the pattern, in percent."),
        page.table((f"Cover by {what}", *DEFAULT_NAMES), how_much),
        page.paragraph("Median cover, in percent of the scene, of the scenes that have the pattern."),
    ]


def _examples(report: Report[Exploration], dataset: Dataset) -> Section:
    legend = drawing.png(drawing.legend(styled_patterns(dataset.patterns, dataset.styles), 700))
    parts = [
        page.paragraph("Scenes of each kind, chosen by chance, with the masks as people drew them."),
        report.figure("scenes_legend", legend, "What the colours stand for."),
    ]
    for kind, indices in report.found.examples().items():
        records = [report.found.records[index] for index in indices]
        drawn = drawing.side_by_side([_drawn(dataset, record) for record in records])
        parts.append(
            report.figure(
                f"scenes_{kind.replace(' ', '_').lower()}",
                drawing.png(drawn),
                f"{kind.capitalize()}: {'; '.join(_told(record) for record in records)}.",
                drawing.jpeg(drawn, 85),
            )
        )
    return "Scenes of each kind", parts


def _drawn(dataset: Dataset, record: Record) -> Image:
    scene = dataset.scene(record.image).read(SCORE_GRID)
    bits = dataset.bits(record.image, SCORE_GRID)
    masks = {name: (bits >> index & 1).view(np.bool_) for index, name in enumerate(DEFAULT_NAMES)}
    return drawing.draw_scene(
        scene, styled_patterns(dataset.patterns, dataset.styles), masks, _SCENE_WIDTH, _told(record)
    )


def _told(record: Record) -> str:
    known = [record.image, str(record.day or ""), record.satellite, record.region.replace(UNKNOWN, "")]
    return ", ".join(part for part in known if part)


def _problems(report: Report[Exploration]) -> Section:
    problems = report.numbers["problems"]
    counts = problems["counts"]
    if not counts:
        return "Label problems", [
            page.paragraph("None: each picture has its rows, each row its picture, and all masks are sound.")
        ]
    parts = [
        page.paragraph(
            "What is wrong was left out above; only a scene whose picture cannot be read counts by its masks."
        ),
        page.table(("Problem", "How many"), [(kind, f"{count:,}") for kind, count in counts.items()]),
    ]
    for kind, places in problems["all"].items():
        more = f", and {len(places) - _NAMED:,} more (explore.json names all)" if len(places) > _NAMED else ""
        parts.append(page.paragraph(f"{kind[:1].upper()}{kind[1:]}: {'; '.join(places[:_NAMED])}{more}."))
    return "Label problems", parts
