"""Run lengths of COCO: counts of pixels column by column, off and on in turn, as numbers or letters.

Source: `maskApi.c` of pycocotools, github.com/ppwwyyxx/cocoapi.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.types import GridShape, Mask

_OFFSET = 48  # of the letters
_LONGEST = 8  # letters of a number: more than 2**32


def decode(counts: object, size: GridShape) -> Mask:
    """Decode a mask, shape `size`, from a list of counts or from their letters.

    Raises:
        LabelError: not counts, a negative one, or more pixels than the grid has.
    """
    if isinstance(counts, str):
        numbers = np.array(_unpack(counts), np.int64)
    elif isinstance(counts, list) and all(type(count) is int for count in counts):
        if max(counts, default=0) > size[0] * size[1]:
            raise LabelError("run lengths past the end of the grid")
        numbers = np.array(counts, np.int64)
    else:
        raise LabelError("run lengths that are no whole numbers")
    if len(numbers) and numbers.min() < 0:
        raise LabelError("run lengths below 0")
    rest = size[0] * size[1] - int(numbers.sum())
    if rest < 0:
        raise LabelError("run lengths past the end of the grid")
    on = np.arange(len(numbers) + 1) % 2 == 1
    on[-1] = False  # what no count covers
    return np.repeat(on, np.append(numbers, rest)).reshape(size[::-1]).T


def encode(mask: Mask) -> str:
    """Encode a mask as letters."""
    flat = np.zeros(mask.size + 1, np.uint8)
    flat[1:] = mask.T.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return _pack(np.diff(edges, prepend=0, append=mask.size))


def _pack(counts: NDArray[np.int64]) -> str:
    letters = []
    differences = counts.copy()
    differences[3:] -= counts[1:-2]
    for number in differences.tolist():
        while True:
            five, number = number & 31, number >> 5
            is_last = number == (-1 if five & 16 else 0)
            letters.append(five if is_last else five | 32)
            if is_last:
                break
    return (np.array(letters, np.uint8) + np.uint8(_OFFSET)).tobytes().decode()


def _unpack(text: str) -> Sequence[int]:
    counts: list[int] = []
    number = length = 0
    for letter in text:
        code = ord(letter) - _OFFSET
        if not 0 <= code < 64 or length == _LONGEST:
            raise LabelError("run lengths that are no letters of COCO")
        number |= (code & 31) << 5 * length
        length += 1
        if code & 32:
            continue
        if code & 16:
            number -= 1 << 5 * length
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        if not 0 <= counts[-1] < 2**40:
            raise LabelError("run lengths below 0 or past the end of the grid")
        number = length = 0
    if length:
        raise LabelError("run lengths that end within a number")
    return counts
