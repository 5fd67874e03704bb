"""Tiling: run a network of one input size over a scene of any size.

Networks are trained on pictures of 21° x 14°. A scene is resized to that scale, the *canvas*; a canvas larger
than the input is cut into overlapping tiles, whose outputs are blended.
"""

from collections.abc import Callable

import numpy as np

from nephoscope.core.types import GridShape, Image, Probabilities

_FRAME_DEGREES = (14.0, 21.0)  # height and width of the pictures the contest's labels were drawn on
_SLACK = 0.02  # relative; sides this near to the frame's are stretched to it
_LONGEST = 1.5  # times the frame's aspect; a scene further from it is tiled along its longer side
_OVERLAP = 0.25  # of a tile, at least


def canvas_size(size: GridShape, degrees: tuple[float, float] | None, frame: GridShape) -> GridShape:
    """Height and width of the canvas for a scene, in the network's pixels.

    Where the extent is known, a canvas pixel spans as many degrees as in the training pictures. Otherwise
    the whole picture is fitted into one frame, or, if much longer than that, into frames along its longer
    side.

    Args:
        size: height and width of the picture.
        degrees: that its height and width span, if known.
        frame: height and width of the network's input.
    """
    if degrees is not None:
        height, width = (
            side * pixels / whole for side, whole, pixels in zip(degrees, _FRAME_DEGREES, frame, strict=True)
        )
    else:
        down, across = frame[0] / size[0], frame[1] / size[1]
        longest = max(down, across) / min(down, across) > _LONGEST
        scale = max(down, across) if longest else min(down, across)
        height, width = size[0] * scale, size[1] * scale
    rows, columns = (
        whole if abs(side / whole - 1) <= _SLACK else max(1, round(side))
        for side, whole in zip((height, width), frame, strict=True)
    )
    return rows, columns


def assumed_degrees(size: GridShape, frame: GridShape) -> tuple[float, float]:
    """Degrees that height and width of a picture of unknown extent are taken to span.

    Args:
        size: height and width of the picture.
        frame: height and width of the network's input.
    """
    canvas = canvas_size(size, None, frame)
    height, width = (
        side / whole * degrees for side, whole, degrees in zip(canvas, frame, _FRAME_DEGREES, strict=True)
    )
    return height, width


def run_tiled(canvas: Image, frame: GridShape, network: Callable[[Image], Probabilities]) -> Probabilities:
    """Run a network over a canvas of any size.

    Args:
        canvas: shape (height, width, 3).
        frame: height and width that the network takes. A smaller canvas gets a black margin, as for
            no data.
        network: from pictures (count, *frame, 3) to fields (count, classes, *frame).

    Returns:
        Fields of shape (classes, height, width). Where tiles overlap, their weighted mean, the weight falling
        linearly from a tile's middle to its edge.
    """
    height, width = canvas.shape[:2]
    if (height, width) == frame:
        return np.asarray(network(canvas[None])[0], np.float32)
    # Weights are products of a row's and a column's weight, and so is their sum over all tiles: two lines are
    # enough in place of a canvas of weights.
    down, across = _Line(height, frame[0]), _Line(width, frame[1])
    weight = np.outer(down.weight, across.weight)
    tile = np.zeros((1, *frame, 3), np.uint8)
    fields: Probabilities | None = None
    for rows, inner_rows in down.spans:
        for columns, inner_columns in across.spans:
            tile[0, inner_rows, inner_columns] = canvas[rows, columns]
            output = network(tile)[0]
            if fields is None:
                fields = np.zeros((len(output), height, width), np.float32)
            fields[:, rows, columns] += (output * weight)[:, inner_rows, inner_columns]
    assert fields is not None  # there is always a first tile
    for first in range(0, height, frame[0]):
        band = slice(first, first + frame[0])
        fields[:, band] /= np.outer(down.weights[band], across.weights)
    return fields


class _Line:
    """Positions and weights of tiles along one side of a canvas."""

    def __init__(self, length: int, tile: int) -> None:
        margin = max(0, tile - length) // 2
        inner = slice(margin, margin + min(tile, length))
        self.weight = _hat(tile)  # of a tile's pixels along this line
        self.weights = np.zeros(length, np.float32)  # their sum over all tiles, by the canvas's pixels
        self.spans = []  # of each tile: its pixels on the canvas, and in the tile those that are not margin
        for start in _starts(max(length, tile), tile):
            span = slice(start, min(start + tile, length))
            self.weights[span] += self.weight[inner]
            self.spans.append((span, inner))


def _starts(length: int, tile: int) -> list[int]:
    """Starts of tiles that cover a line, evenly spaced, overlapping by at least a quarter."""
    if length == tile:
        return [0]
    count = int(np.ceil((length - tile) / (tile * (1 - _OVERLAP)))) + 1
    return [round(start) for start in np.linspace(0, length - tile, count).tolist()]


def _hat(length: int) -> Probabilities:
    """Weights that fall from 1 in the middle of a line to just above 0 at its ends."""
    distance = np.abs(np.arange(length) + 0.5 - length / 2) / (length / 2)
    return np.asarray(1 - distance, np.float32) + np.float32(1e-3)
