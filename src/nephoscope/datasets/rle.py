"""Run-length encoding of masks, as the contest "Understanding Clouds from Satellite Images" (2019) uses it.

A text is pairs of numbers, `start length start length ...`. Pixels are counted column by column from the
top left, starting at 1. An empty mask is an empty text.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.types import GridShape, Mask


def encode(mask: Mask) -> str:
    """Encode a mask, boolean, shape (height, width), as run-length text."""
    if not mask.any():
        return ""  # as most masks are
    # Columns become rows so that the runs are contiguous; OpenCV transposes bytes in cache-sized blocks.
    flat = np.zeros(mask.size + 2, np.uint8)
    flat[1:-1] = cv2.transpose(mask.view(np.uint8)).reshape(-1)
    numbers = np.flatnonzero(flat[1:] != flat[:-1])  # where runs begin and end, alternating
    numbers[1::2] -= numbers[::2]
    numbers[::2] += 1
    return " ".join(map(str, numbers.tolist()))


def decode(text: str, grid: GridShape, onto: GridShape | None = None) -> Mask:
    """Decode a mask from run-length text, boolean, shape `grid`.

    Or decode it directly `onto` a coarser grid, each of whose pixels takes the value at its centre.

    Raises:
        LabelError: an odd count of numbers, a value that is not an integer, a start or length below 1, a run
            past the grid's end, or two runs that share a pixel.
        ValueError: `onto` is finer than `grid`.
    """
    edges = _edges(text, grid)
    if onto is not None and onto != grid:
        edges = _to_coarser(edges, grid, onto)
        grid = onto
    height, width = grid
    lengths = np.diff(edges, prepend=0, append=height * width)
    inside = np.arange(len(lengths)) % 2 == 1
    by_column = np.repeat(inside, lengths).reshape(width, height)
    return cv2.transpose(by_column.view(np.uint8)).view(np.bool_)


def last_pixel(text: str) -> int:
    """Return the number of the last pixel of a run-length text, unchecked; 0 for an empty text."""
    numbers = _numbers(text)
    return int((numbers[::2] + numbers[1::2]).max() - 1) if len(numbers) else 0


def _numbers(text: str) -> NDArray[np.int64]:
    words = text.split()
    if len(words) % 2:
        raise LabelError(f"an odd count of numbers ({len(words)}): run lengths come in pairs")
    try:
        return np.array(words, np.int64)
    except (ValueError, OverflowError) as error:
        raise LabelError(f"not an integer: {error}") from error


def _edges(text: str, grid: GridShape) -> NDArray[np.int64]:
    """Return where runs begin and end, alternating, counted from 0 column by column."""
    numbers = _numbers(text)
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    if not len(starts):
        return numbers
    if starts.min() < 0:
        raise LabelError(f"a run starts at {starts.min() + 1}; pixels are counted from 1")
    if lengths.min() < 1:
        raise LabelError(f"a run of length {lengths.min()}")
    size = grid[0] * grid[1]
    if starts.max() >= size or lengths.max() > size or (starts + lengths).max() > size:
        raise LabelError(f"a run goes past the end of the {grid[0]}x{grid[1]} grid ({size} pixels)")
    order = np.argsort(starts, kind="stable")
    edges = np.column_stack((starts[order], starts[order] + lengths[order])).reshape(-1)
    if (edges[2::2] < edges[1:-1:2]).any():
        first = int(np.argmax(edges[2::2] < edges[1:-1:2]))
        raise LabelError(f"two runs overlap at pixel {edges[2 + 2 * first] + 1}")
    return edges


def _to_coarser(edges: NDArray[np.int64], grid: GridShape, onto: GridShape) -> NDArray[np.int64]:
    """Convert run edges to a coarser grid: each edge becomes the count of coarse centres before it."""
    (height, width), (rows, columns) = grid, onto
    if rows > height or columns > width:
        raise ValueError(f"{rows}x{columns} is finer than the encoded grid {height}x{width}")
    row_centres, column_centres = centres(height, rows), centres(width, columns)
    column, row = np.divmod(edges, height)
    rows_before = np.searchsorted(row_centres, np.arange(height + 1))
    columns_before = np.searchsorted(column_centres, np.arange(width + 1))
    kept = np.isin(np.arange(width + 1), column_centres)
    moved = columns_before[column] * rows + np.where(kept[column], rows_before[row], 0)
    return moved.astype(np.int64)


def centres(fine: int, coarse: int) -> NDArray[np.int64]:
    """Return the indices of the fine pixels at the centres of `coarse` equal parts of `fine` pixels."""
    return ((np.arange(coarse) * 2 + 1) * fine) // (2 * coarse)
