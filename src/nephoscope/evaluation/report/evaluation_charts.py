"""Figures of the report on a model; each function returns a PNG, in bytes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from nephoscope.core.patterns import Pattern
from nephoscope.evaluation.agreement import AnnotatorScore
from nephoscope.evaluation.statistics import Interval, Reliability
from nephoscope.plotting.style import BLUE, EDGE, FAINT, INK, LINE, new_figure, png, quieten

_MARKS = ("o", "x", "|", "s")


def intervals(rows: Sequence[str], series: Mapping[str, Sequence[Interval]], axis: str) -> bytes:
    """Draw means with their intervals, the first series emphasised.

    Args:
        rows: their names, from the top.
        series: one interval for each row, by name.
        axis: label of the axis.
    """
    figure, (axes,) = new_figure(1, 1, 0.42 * len(rows) + 1.1)
    for position, (name, bars) in enumerate(series.items()):
        y = np.arange(len(rows)) + (position - (len(series) - 1) / 2) * 0.17
        means = np.array([each.mean for each in bars])
        spread = np.abs(np.array([[each.low, each.high] for each in bars]).T - means)
        axes.errorbar(
            means,
            y,
            xerr=spread,
            fmt=_MARKS[position % len(_MARKS)],
            ms=6.5 if position == 0 else 5,
            lw=1.8 if position == 0 else 1,
            color=BLUE if position == 0 else FAINT,
            label=name,
        )
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color=LINE, lw=0.8)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, labelcolor=INK)
    _finish(axes)
    return png(figure)


def reliability(curves: Mapping[Pattern, Reliability]) -> bytes:
    """Draw observed share against predicted probability, and each bin's share of pixels, by pattern."""
    figure, panels = new_figure(1, len(curves), 2.6)
    for axes, (pattern, curve) in zip(panels, curves.items(), strict=True):
        axes.bar(
            (np.arange(len(curve.share)) + 0.5) / len(curve.share),
            curve.share,
            1 / len(curve.share),
            color="#dfe4ea",
        )
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (4, 3)))
        axes.plot(curve.predicted, curve.observed, color=EDGE, lw=2.8)
        axes.plot(
            curve.predicted,
            curve.observed,
            "o-",
            color=pattern.hex_colour,
            mec=EDGE,
            mew=0.6,
            ms=4.5,
        )
        axes.set_title(f"{pattern}\nerror {curve.error:.3f}", loc="left", fontsize=10, color=INK)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"] if axes is panels[0] else [])
        axes.grid(axis="both", color=LINE, lw=0.8)
        axes.set_xlabel("predicted probability", fontsize=9)
        _finish(axes)
    panels[0].set_ylabel("observed share", fontsize=9)
    return png(figure)


def annotators(measures: Mapping[str, Sequence[AnnotatorScore]]) -> bytes:
    """Draw each person's agreement with the model against that with other people, by the measure's name."""
    figure, panels = new_figure(1, len(measures), 4.0)
    for axes, (name, people) in zip(panels, measures.items(), strict=True):
        others = np.array([each.others for each in people])
        model = np.array([each.candidate for each in people])
        both = np.concatenate([others, model])
        low, high = (both.min() - 0.03, both.max() + 0.03) if len(both) else (0.0, 1.0)
        axes.plot([low, high], [low, high], color=FAINT, lw=1, ls=(0, (4, 3)))
        above = model >= others
        axes.plot(others[above], model[above], "o", color=BLUE, mec="white", mew=0.5, ms=6.5)
        axes.plot(others[~above], model[~above], "o", color="white", mec=BLUE, mew=1.2, ms=6)
        axes.set_title(f"{name}: {above.sum()} of {len(people)} people", loc="left", fontsize=10, color=INK)
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_aspect("equal")
        axes.set_xlabel("mean Dice with other people")
        axes.grid(axis="both", color=LINE, lw=0.8)
        _finish(axes)
    panels[0].set_ylabel("mean Dice with the model")
    return png(figure)


def _finish(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    quieten(axes)
