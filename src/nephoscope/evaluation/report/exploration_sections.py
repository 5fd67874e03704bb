"""Sections of the report on labelled data: a function each, every number explained beside it."""

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.evaluation.exploration import SPECK, Exploration
from nephoscope.evaluation.report import page
from nephoscope.evaluation.report.report import Report, Section
from nephoscope.plotting import charts

_SCENE_PIXELS = SCORE_GRID[0] * SCORE_GRID[1]


def in_short(report: Report[Exploration]) -> Section:
    """What there is, in a few sentences."""
    found = report.found
    scenes, problems = len(found.records), sum(report.numbers["problems"]["counts"].values())
    mean = number(float(found.present.sum(axis=1).mean()), 2)
    days = sorted(record.day for record in found.records if record.day)
    seen = f"The day is known of {len(days):,} of them, from {days[0]} to {days[-1]}." if days else ""
    wrong = f"{problems:,} label problems are named at the end." if problems else "No label is wrong."
    return "In short", [
        page.paragraph(
            f"{scenes:,} scenes have a picture and sound masks; a scene has {mean} of the {len(DEFAULT_NAMES)} "
            f"patterns on average. {seen} {wrong} explore.json, beside this page, has all numbers."
        )
    ]


def presence(report: Report[Exploration]) -> Section:
    """How many scenes have a pattern, and how many patterns a scene has."""
    patterns = report.numbers["patterns"]
    shares = {name: patterns[name]["presence"] or 0 for name in DEFAULT_NAMES}
    held = report.numbers["patterns_per_scene"]
    caption = "Share of all scenes that have the pattern, in percent."
    rows = [
        (name, f"{patterns[name]['scenes']:,}", percent(patterns[name]["presence"])) for name in DEFAULT_NAMES
    ]
    counts = {("none", "one", "two", "three", "four")[int(key)]: count for key, count in held.items()}
    return "How often", [
        page.paragraph("A scene has a pattern where its mask has at least one pixel on the grid of 350x525."),
        page.table(("Pattern", "Scenes with it", "Share of all scenes"), rows),
        report.figure("presence", charts.bars(shares, "share of scenes", share=True), caption),
        page.paragraph("A scene may have several patterns at once: their masks are independent."),
        report.figure(
            "patterns_per_scene",
            charts.bars(counts, "scenes"),
            "Number of scenes that have none, one, two, three or all four of the patterns.",
        ),
    ]


def together(report: Report[Exploration]) -> Section:
    """Which patterns share scenes and pixels."""
    both, shared = report.numbers["scenes_with_both"], report.numbers["share_of_pixels_shared"]
    together = report.found.together
    own = np.maximum(1, together.diagonal())[:, None]
    given = np.where(together.diagonal()[:, None] > 0, together / own, np.nan)
    np.fill_diagonal(given, np.nan)
    everywhere = report.found.present.mean(axis=0, keepdims=True)
    shares = np.concatenate([given, everywhere])
    rows = [*(f"with {name}" for name in DEFAULT_NAMES), "all"]
    heat = charts.heat_map(rows, DEFAULT_NAMES, shares, "of the scenes", "have the pattern", share=True)
    return "Which together", [
        page.table(
            ("Scenes that have both", *DEFAULT_NAMES),
            [(name, *(f"{both[name][other]:,}" for other in DEFAULT_NAMES)) for name in DEFAULT_NAMES],
        ),
        page.paragraph(
            "Number of scenes with the row's and the column's pattern; on the diagonal, with that pattern."
        ),
        report.figure(
            "together",
            heat,
            "Share of the scenes with the row's pattern that also have the column's, in percent. The last "
            "row is their share of all scenes: where a row is above it, the two like to come together.",
        ),
        page.table(
            ("Pixels that carry both", *DEFAULT_NAMES),
            [
                (name, *(percent(shared[name].get(other)) for other in DEFAULT_NAMES))
                for name in DEFAULT_NAMES
            ],
        ),
        page.paragraph(
            "Share of the row's mask pixels, in all scenes, that lie in the column's mask too, in percent."
        ),
    ]


def cover(report: Report[Exploration]) -> Section:
    """How much of a scene a pattern takes where it is present."""
    found, patterns = report.found, report.numbers["patterns"]
    covers = {name: found.cover[found.present[:, i], i] for i, name in enumerate(DEFAULT_NAMES)}
    rows = []
    for name in DEFAULT_NAMES:
        told = patterns[name]["cover_where_present"]
        spread = [percent(told[f"percentile_{part}"]) for part in (5, 25, 50, 75, 95)]
        rows.append((name, *spread, percent(told["mean"]), percent(patterns[name]["cover_of_all_scenes"])))
    header = ("Pattern", "5 %", "25 %", "Median", "75 %", "95 %", "Mean", "Mean of all scenes")
    return "How much of a scene", [
        page.paragraph("Cover is the share of a scene's 350x525 pixels that a mask takes, in percent."),
        page.table(header, rows),
        page.paragraph(
            "Percentiles and mean are of the scenes that have the pattern: a quarter of them have less than "
            "stands under 25 %. The last column counts a scene without the pattern as 0."
        ),
        report.figure(
            "cover",
            charts.histograms(covers, np.linspace(0, 1, 26), "cover of the scene", "scenes", share=True),
            "Cover where the pattern is present: number of scenes in steps of 4 % of its area. Above: "
            "how many scenes there are, and their median, which the dashed line marks.",
        ),
    ]


def objects(report: Report[Exploration]) -> Section:
    """How many connected groups a mask has, and how large they are."""
    found, patterns = report.found, report.numbers["patterns"]
    counts = found.counts()
    each = {name: counts[found.present[:, i], i] for i, name in enumerate(DEFAULT_NAMES)}
    sizes = {name: found.areas[i] / _SCENE_PIXELS for i, name in enumerate(DEFAULT_NAMES)}
    rows = []
    for name in DEFAULT_NAMES:
        told = patterns[name]
        pixels = told["object_pixels"]
        rows.append(
            (
                name,
                f"{pixels['count']:,}",
                number(told["objects_per_scene_where_present"]["mean"]),
                number(pixels["percentile_25"], 0),
                number(pixels["percentile_50"], 0),
                number(pixels["percentile_75"], 0),
                percent(_share_of_scene(pixels["percentile_50"])),
                f"{told['specks']:,}",
                percent(told["speck_share_of_mask"], 3),
            )
        )
    header = (
        *("Pattern", "Objects", "Objects a scene", "25 % (px)", "Median (px)", "75 % (px)", "Median (%)"),
        *("Specks", "Specks' share of mask"),
    )
    doublings = 2.0 ** np.arange(np.ceil(np.log2(_SCENE_PIXELS)) + 1) - 0.5  # areas are whole numbers
    most = max((int(values.max()) for values in each.values() if len(values)), default=1)
    return "How many objects, how large", [
        page.paragraph(
            "An object is a connected group of a mask's pixels on the grid of 350x525, diagonal neighbours "
            f"included, of at least {SPECK} pixels, which is 0.1 % of the scene. Smaller groups are specks, "
            "such as are left where black gaps were cut out of a rectangle; they are counted apart."
        ),
        page.table(header, rows),
        page.paragraph(
            "Objects in all scenes; their mean number in a scene that has the pattern; percentiles of their "
            "size in pixels of 350x525, and the median in percent of the scene; the number of specks, and "
            "the share of all mask pixels that are in them."
        ),
        report.figure(
            "objects",
            charts.histograms(each, np.arange(-0.5, most + 1), "objects in a scene", "scenes"),
            "Objects in a scene that has the pattern: number of scenes; 0 where there are only specks.",
        ),
        report.figure(
            "sizes",
            charts.histograms(
                sizes,
                doublings / _SCENE_PIXELS,
                "share of the scene",
                "groups",
                log=True,
                share=True,
                line=SPECK / _SCENE_PIXELS,
            ),
            "Size of all connected groups in percent of the scene's area: number of groups, each bin twice "
            "as wide as the one before. Specks are left of the dashed line at 0.1 %, objects right of it.",
        ),
    ]


def position(report: Report[Exploration]) -> Section:
    """Mean masks."""
    fields = dict(zip(DEFAULT_NAMES, report.found.position, strict=True))
    return "Where in the scene", [
        report.figure(
            "position",
            charts.maps(fields, "share of all scenes", share=True),
            "Mean mask: at each pixel of 350x525, the share of all scenes whose mask of the pattern is on "
            "there, in percent. The top of a map is the top of the pictures.",
        )
    ]


def brightness(report: Report[Exploration]) -> Section:
    """How bright scenes are, inside and outside the masks."""
    found, patterns = report.found, report.numbers["patterns"]
    bright = report.numbers["brightness"]
    if not bright["count"]:
        return "How bright", [page.paragraph("No picture could be read.")]
    rows = []
    for name in DEFAULT_NAMES:
        inside, outside = patterns[name]["brightness_inside"], patterns[name]["brightness_outside"]
        difference = None if inside is None or outside is None else inside - outside
        rows.append((name, number(inside), number(outside), number(difference)))
    means = {
        "inside the mask": [float(row["brightness_inside"] or np.nan) for row in patterns.values()],
        "rest of the scene": [float(row["brightness_outside"] or np.nan) for row in patterns.values()],
    }
    return "How bright", [
        page.paragraph(
            "Brightness is the mean of red, green and blue, from 0 (black) to 255 (white), of the pixels "
            f"with data. The mean of all scenes is {number(bright['mean'])}; half of them lie between "
            f"{number(bright['percentile_25'])} and {number(bright['percentile_75'])}."
        ),
        page.table(("Pattern", "Inside its mask", "Rest of the scene", "Difference"), rows),
        page.paragraph("Mean over the scenes that have the pattern, 0 to 255; each scene counts the same."),
        report.figure(
            "brightness",
            charts.grouped_bars(DEFAULT_NAMES, means, "brightness, 0 to 255"),
            "Mean brightness inside a pattern's mask and in the rest of the same scenes.",
        ),
        report.figure(
            "scene_brightness",
            charts.histograms(
                {"All scenes": found.brightness}, np.linspace(0, 255, 52), "brightness, 0 to 255", "scenes"
            ),
            "Mean brightness of each scene where it has data: number of scenes in steps of 5.",
        ),
    ]


def gaps(report: Report[Exploration]) -> Section:
    """How much of the scenes has no data."""
    gaps, patterns = report.numbers["gaps"], report.numbers["patterns"]
    if not gaps["count"]:
        return "Black gaps", [page.paragraph("No picture could be read.")]
    rows = [(name, percent(patterns[name]["share_of_mask_without_data"], 2)) for name in DEFAULT_NAMES]
    wide = int((report.found.gaps > 0.2).sum())
    return "Black gaps", [
        page.paragraph(
            "Between two swaths of a satellite a picture is black: there is no data. "
            f"{gaps['scenes_with_a_gap']:,} of {gaps['count']:,} scenes have such a gap; it takes "
            f"{percent(gaps['percentile_50'])} of the median scene and {percent(gaps['largest'])} of the "
            f"scene with the widest; {wide:,} scenes lack more than a fifth."
        ),
        report.figure(
            "gaps",
            charts.histograms(
                {"All scenes": report.found.gaps},
                np.linspace(0, 1, 101),
                "share of the scene without data",
                "scenes",
                share=True,
            ),
            "Share of a scene's area without data: number of scenes in steps of 1 %.",
        ),
        page.table(("Pattern", "Mask without data"), rows),
        page.paragraph(
            "Share of a pattern's mask pixels, in all scenes, that lie in a gap: it should be near 0."
        ),
    ]


def percent(share: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 in percent; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NBSP}%"


def number(value: float | None, digits: int = 1) -> str:
    """A number as it is read; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _share_of_scene(pixels: float | None) -> float | None:
    return None if pixels is None else pixels / _SCENE_PIXELS
