"""Drawings of scenes with their masks, for the reports."""

from collections.abc import Sequence

from nephoscope.datasets.dataset import Dataset
from nephoscope.evaluation.evaluator import Masks
from nephoscope.evaluation.report.page import Report
from nephoscope.imagery.scene import Raster
from nephoscope.plotting import scenes

_WIDTH = 525  # px; two scenes fill the page


def add_legend(report: Report, dataset: Dataset) -> None:
    """Add a figure of the patterns' colours."""
    report.add_figure("scenes_legend", scenes.encoded(scenes.legend(700), ".png"))


def add_scenes(
    report: Report, name: str, dataset: Dataset, drawings: Sequence[tuple[Raster, Masks, str]]
) -> None:
    """Add a figure of scenes side by side.

    Args:
        report: to which.
        name: of the figure.
        dataset: whose patterns the masks are of.
        drawings: of each scene its picture, its masks, shape (patterns, height, width), and its title.
    """
    drawn = scenes.side_by_side(
        [
            scenes.draw_scene(picture, dict(zip(dataset.patterns, masks, strict=True)), _WIDTH, title)
            for picture, masks, title in drawings
        ]
    )
    report.add_figure(name, scenes.encoded(drawn, ".png"), scenes.encoded(drawn, ".jpg"))
