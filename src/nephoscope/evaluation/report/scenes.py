"""Drawings of scenes with their masks, for the reports."""

from collections.abc import Sequence

from nephoscope.core.patterns import Pattern
from nephoscope.evaluation.evaluator import Masks
from nephoscope.evaluation.report.page import Report
from nephoscope.imagery.scene import Raster
from nephoscope.plotting import drawing

_WIDTH = 525  # px; two scenes fill the page


def add_legend(report: Report, patterns: Sequence[Pattern]) -> None:
    """Add a figure of the patterns' colours."""
    report.add_figure("scenes_legend", drawing.png(drawing.legend(patterns, 700)))


def add_scenes(
    report: Report, name: str, patterns: Sequence[Pattern], drawings: Sequence[tuple[Raster, Masks, str]]
) -> None:
    """Add a figure of scenes side by side.

    Args:
        report: to which.
        name: of the figure.
        patterns: in the order of the masks.
        drawings: of each scene its picture, its masks, shape (patterns, height, width), and its title.
    """
    names = [pattern.name for pattern in patterns]
    drawn = drawing.side_by_side(
        [
            drawing.draw_scene(picture, patterns, dict(zip(names, masks, strict=True)), _WIDTH, title)
            for picture, masks, title in drawings
        ]
    )
    report.add_figure(name, drawing.png(drawn), drawing.jpeg(drawn, 85))
