"""Whether a picture is of the kind that a model was trained on: plain measures, and their usual ranges.

No such check knows what a picture shows. It knows what the pictures of training had in common: dark water,
clouds without colour, detail as fine as an imager's, and little of anything red. A picture that differs is
answered as any other is, with a warning beside the answer.
"""

from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from nephoscope.core.types import Image, Mask

Ranges = Mapping[str, tuple[float, float]]
"""The lowest and highest usual value of each measure."""

MESSAGES = {
    "darkest": ("darker water", "no dark water"),
    "contrast": ("too little contrast", "too much contrast"),
    "tint": ("not blue enough", "too blue"),
    "red": ("", "red in it"),
    "grain": ("too smooth", "too grainy"),
}
"""What is said of a picture whose measure is too low, and too high."""

_DARK = 0.1  # share of the pixels that are darkest
_RED = 8  # by which red exceeds blue, of 255
_STEP = 2  # of rows, one of so many is measured: it is enough, and half the work
_EDGE = np.ones((5, 5), np.uint8)  # so near to a gap nothing is measured: its rim is no detail
_USUAL = (0.1, 99.9)  # percent of the pictures
_ROOM = 0.25  # of a range, on both of its sides


def measure(pixels: Image, valid: Mask) -> dict[str, float]:
    """A picture's measures.

    Args:
        pixels: red, green, blue, shape (height, width, 3), as large as the network sees them.
        valid: where there is data, shape (height, width).

    Returns:
        `darkest`: brightness, 0 to 255, below which a tenth of the pixels lie; `contrast`: deviation of the
        brightness; `tint`: by how much blue exceeds red, in the mean; `red`: share of the pixels whose red
        plainly exceeds their blue; `grain`: by how much a pixel differs from its neighbour, in the mean, as a
        share of the contrast. Nothing where there is no data.
    """
    inner = cv2.erode(valid.view(np.uint8), _EDGE, borderValue=1)[::_STEP]
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
    return {
        "darkest": float(np.searchsorted(levels, _DARK * count)),
        "contrast": contrast,
        "tint": cv2.mean(blue, inner)[0] - cv2.mean(red, inner)[0],
        "red": cv2.mean(redder, inner)[0] / 255,
        "grain": cv2.mean(steps, inner[:, 1:])[0] / max(1.0, contrast),
    }


def training_ranges(measured: Iterable[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """The usual range of each measure: what all pictures but one in a thousand have, and some room.

    Args:
        measured: of the pictures that a model was trained on; those without data do not count.
    """
    rows = [list(each.values()) for each in measured if each]
    if not rows:
        return {}
    low, high = np.percentile(np.array(rows), _USUAL, axis=0)
    room = _ROOM * (high - low)
    ranges = np.stack([low - room, high + room], 1).round(4).tolist()
    return {name: (least, most) for name, (least, most) in zip(MESSAGES, ranges, strict=True)}


def out_of_range(measured: Mapping[str, float], usual: Ranges) -> list[str]:
    """In what a picture differs from all that is usual, in words; nothing where it does not."""
    found = []
    for name, (least, most) in usual.items():
        value = measured.get(name, least)
        if value < least:
            found.append(MESSAGES[name][0])
        elif value > most:
            found.append(MESSAGES[name][1])
    return found
