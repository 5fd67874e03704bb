"""Out-of-distribution warnings: measures of a picture, compared with their ranges in the training data.

The measures describe what the training pictures have in common: dark water, clouds without colour, detail as
fine as an imager's, and little red. A picture outside of a range is segmented all the same, with a warning.
"""

from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from nephoscope.core.types import Image, Mask

Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest usual value of each measure."""

TOO_SMOOTH = "too smooth"
MESSAGES = {
    "darkest": ("darker water", "no dark water"),
    "contrast": ("too little contrast", "too much contrast"),
    "tint": ("not blue enough", "too blue"),
    "red": ("", "red in it"),
    "grain": (TOO_SMOOTH, "too grainy"),
}
"""Warnings for a measure that is too low, and too high."""

_DARK = 0.1  # share of the pixels that are darkest
_RED = 8  # by which red exceeds blue, of 255
_STEP = 2  # every second row is measured: half the work
_EDGE = np.ones((5, 5), np.uint8)  # pixels this near to no data are left out: its edge is no detail
_USUAL = (0.1, 99.9)  # percent of the pictures
_MARGIN = 0.25  # of a range, on both sides
_APART = 4  # pixels

LEAST_DETAIL = 0.44
"""Least usual `detail` of a scene of 21 x 14 degrees; see `experiments/assumed_scale.py`."""


def measure(pixels: Image, valid_mask: Mask) -> dict[str, float]:
    """Measure a picture.

    Args:
        pixels: red, green, blue, shape (height, width, 3), at the network's resolution.
        valid_mask: where there is data, shape (height, width).

    Returns:
        `darkest`: 10th percentile of the brightness, 0 to 255; `contrast`: standard deviation of the
        brightness; `tint`: mean of blue minus red; `red`: share of the pixels whose red clearly exceeds their
        blue; `grain`: mean difference between neighbouring pixels, as a share of the contrast; `detail`: the
        same as a share of the difference between pixels four apart. Empty if there is no data.
    """
    inner = cv2.erode(valid_mask.view(np.uint8), _EDGE, borderValue=1)[::_STEP]
    count = cv2.countNonZero(inner)
    if not count:
        return {}
    some = np.ascontiguousarray(pixels[::_STEP])
    grey = cv2.cvtColor(some, cv2.COLOR_RGB2GRAY)
    levels = cv2.calcHist([grey], [0], inner, [256], [0, 256]).cumsum()
    contrast = float(cv2.meanStdDev(grey, mask=inner)[1][0, 0])
    red, _, blue = cv2.split(some)
    redder = cv2.threshold(cv2.subtract(red, blue), _RED, 255, cv2.THRESH_BINARY)[1]
    steps = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    step = cv2.mean(steps, inner[:, 1:])[0]
    apart = np.bitwise_and(inner[:, _APART:], inner[:, :-_APART])
    strides = cv2.absdiff(grey[:, _APART:], grey[:, :-_APART])
    return {
        "darkest": float(np.searchsorted(levels, _DARK * count)),
        "contrast": contrast,
        "tint": cv2.mean(blue, inner)[0] - cv2.mean(red, inner)[0],
        "red": cv2.mean(redder, inner)[0] / 255,
        "grain": step / max(1.0, contrast),
        "detail": step / max(1.0, cv2.mean(strides, apart)[0]),
    }


def training_ranges(measured: Iterable[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Usual range of each measure: the central 99.8 % of the pictures that have data, with a margin."""
    rows = [[each[name] for name in MESSAGES] for each in measured if each]
    if not rows:
        return {}
    low, high = np.percentile(np.array(rows), _USUAL, axis=0)
    margin = _MARGIN * (high - low)
    ranges = np.stack([low - margin, high + margin], 1).round(4).tolist()
    return {name: (least, most) for name, (least, most) in zip(MESSAGES, ranges, strict=True)}


def out_of_range(measured: Mapping[str, float], usual: Ranges) -> list[str]:
    """Warnings for the measures that are outside of their usual range."""
    return [
        MESSAGES[name][measured[name] > most]
        for name, (least, most) in usual.items()
        if name in measured and not least <= measured[name] <= most
    ]


def distance(measured: Mapping[str, float], usual: Ranges) -> float:
    """How far a picture is outside of the usual ranges: of the farthest measure, in widths, at most 1."""
    widths = [
        max(least - measured[name], measured[name] - most) / max(most - least, 1e-9)
        for name, (least, most) in usual.items()
        if name in measured
    ]
    return min(1.0, max(0.0, *widths)) if widths else 0.0


def lacks_detail(measured: Mapping[str, float]) -> bool:
    """Whether a picture is smoother than any scene of 21 x 14 degrees: it shows less, or was enlarged."""
    return "detail" in measured and measured["detail"] < LEAST_DETAIL
