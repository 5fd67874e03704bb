"""How a scene of any size is shown to a network of one size, and how its answers become one field.

A network learned from pictures that show 21° x 14°. A scene is brought to that scale, on a *canvas* whose
pixels are the network's; a canvas larger than one picture is cut into overlapping tiles whose answers are
blended.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.place import Bounds
from nephoscope.rle import Grid
from nephoscope.scene import Pixels

Field = NDArray[np.float32]

_FRAME_DEGREES = (14.0, 21.0)  # height and width of the pictures the contest's labels were drawn on
_SLACK = 0.02  # relative; sides this near to the frame's are stretched onto it
_LONGEST = 1.5  # times the frame's aspect; a scene further from it is tiled along its longer side
_OVERLAP = 0.25  # of a tile, at least


def canvas_size(size: Grid, bounds: Bounds | None, frame: Grid) -> Grid:
    """Height and width of the canvas for a scene, in the network's pixels.

    Where the place is known, a canvas pixel spans as many degrees as the network learned from. Where not,
    the whole picture is taken for one view: it is fitted into one frame, or, if much longer than that, into
    frames along its longer side.

    Args:
        size: height and width of the picture.
        bounds: where it is, if known.
        frame: height and width of the network's input.
    """
    if bounds is not None:
        degrees = (bounds.height, bounds.width)
        height, width = (
            side * pixels / whole for side, whole, pixels in zip(degrees, _FRAME_DEGREES, frame, strict=True)
        )
        return _snapped(height, width, frame)
    down, across = frame[0] / size[0], frame[1] / size[1]
    longest = max(down, across) / min(down, across) > _LONGEST
    scale = max(down, across) if longest else min(down, across)
    return _snapped(size[0] * scale, size[1] * scale, frame)


def _snapped(height: float, width: float, frame: Grid) -> Grid:
    """Whole pixels; a side within the slack of the frame's becomes the frame's."""
    near = [
        whole if abs(side / whole - 1) <= _SLACK else max(1, round(side))
        for side, whole in zip((height, width), frame, strict=True)
    ]
    return near[0], near[1]


def resize(pixels: Pixels, size: Grid) -> Pixels:
    """Bring a picture to a size: area means when it shrinks, so that nothing aliases, else linear."""
    if pixels.shape[:2] == size:
        return pixels
    shrinks = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=method), np.uint8)


def run_tiled(canvas: Pixels, frame: Grid, network: Callable[[Pixels], Field]) -> Field:
    """Run a network over a canvas of any size.

    Args:
        canvas: shape (height, width, 3).
        frame: height and width that the network takes. A canvas smaller than this gets a black margin, which
            is what "no data" looks like.
        network: from pictures (count, *frame, 3) to fields (count, classes, *frame).

    Returns:
        Fields of shape (classes, height, width). Where tiles overlap, their weighted mean, the weight falling
        linearly from a tile's middle to its edge.
    """
    height, width = canvas.shape[:2]
    if (height, width) == frame:
        return np.asarray(network(canvas[None])[0], np.float32)
    padded = np.zeros((max(height, frame[0]), max(width, frame[1]), 3), np.uint8)
    above, left = (padded.shape[0] - height) // 2, (padded.shape[1] - width) // 2
    padded[above : above + height, left : left + width] = canvas
    weight = np.outer(_hat(frame[0]), _hat(frame[1]))
    weights = np.zeros(padded.shape[:2], np.float32)
    fields: Field | None = None
    for top in _starts(padded.shape[0], frame[0]):
        for first in _starts(padded.shape[1], frame[1]):
            tile = np.s_[top : top + frame[0], first : first + frame[1]]
            answer = network(np.ascontiguousarray(padded[tile])[None])[0]
            if fields is None:
                fields = np.zeros((len(answer), *weights.shape), np.float32)
            fields[:, *tile] += answer * weight
            weights[tile] += weight
    assert fields is not None  # there is always a first tile
    fields /= weights
    inside: Field = fields[:, above : above + height, left : left + width]
    return inside


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin so that they cover a line, evenly spaced, overlapping by at least a quarter."""
    if length == tile:
        return [0]
    count = int(np.ceil((length - tile) / (tile * (1 - _OVERLAP)))) + 1
    return [round(start) for start in np.linspace(0, length - tile, count).tolist()]


def _hat(length: int) -> Field:
    """Weights that fall from 1 in the middle of a line to just above 0 at its ends."""
    distance = np.abs(np.arange(length) + 0.5 - length / 2) / (length / 2)
    return np.asarray(1 - distance, np.float32) + np.float32(1e-3)
