"""Run lengths of Label Studio's brush: bits of runs and of single values, over red, green, blue, opacity.

A header has the number of values (32 bits), the bits of a value less 1 (5), and four times the bits of a
length less 1 (4). Then comes one block after another: a bit, 1 for a run of one value, 0 for single values;
two bits, which of the four sizes its length has; the length less 1; the value, or the values.

Source: `brush.py` of label-studio-converter, github.com/HumanSignal/label-studio-converter.
"""

from collections.abc import Sequence

import numpy as np

from nephoscope.core.errors import LabelError
from nephoscope.core.types import GridShape, Mask

_SIZES = (3, 4, 8, 16)  # bits of a length, when written
_HEADER = 32 + 5 + 4 * 4


class _Bits:
    """Bits of a text of bytes, read one number after another."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def number(self, bits: int) -> int:
        end = self._at + bits
        if end > 8 * len(self._content):
            raise LabelError("brush run lengths that end too early")
        piece = int.from_bytes(self._content[self._at // 8 : (end + 7) // 8])
        self._at = end
        return piece >> (-end % 8) & ((1 << bits) - 1)

    def are_set(self, count: int, bits: int) -> Mask:
        """Which of so many numbers are not 0, shape (count,)."""
        start, end = self._at, self._at + count * bits
        if end > 8 * len(self._content):
            raise LabelError("brush run lengths that end too early")
        piece = np.frombuffer(self._content[start // 8 : (end + 7) // 8], np.uint8)
        self._at = end
        values = np.unpackbits(piece)[start % 8 :][: count * bits].reshape(count, bits)
        return np.asarray(values.any(axis=1))


def decode(values: object, size: GridShape) -> Mask:
    """Decode a mask, shape `size`: where the opacity is not 0.

    Raises:
        LabelError: not bytes, cut short, or a number of values that does not fit the size.
    """
    if not isinstance(values, list):
        raise LabelError("brush run lengths that are no bytes")
    try:
        bits = _Bits(bytes(values))
    except (TypeError, ValueError):
        raise LabelError("brush run lengths that are no bytes") from None
    total, word = bits.number(32), bits.number(5) + 1
    sizes = [bits.number(4) + 1 for _ in range(4)]
    if total != 4 * size[0] * size[1]:
        raise LabelError(f"brush run lengths of another size: {total} values for {size[1]} x {size[0]} px")
    if word > 8:
        raise LabelError(f"brush run lengths of unusual values: {word} bits")
    # A run may begin and end within a pixel; of a pixel's four values only the last counts.
    opacity = np.zeros(size[0] * size[1], np.bool_)
    done = 0
    while done < total:
        is_run = bits.number(1)
        length = bits.number(sizes[bits.number(2)]) + 1
        if done + length > total:
            raise LabelError("brush run lengths past the end of the grid")
        if is_run:
            if bits.number(word):
                opacity[done // 4 : (done + length) // 4] = True
        else:
            block = bits.are_set(length, word)
            first = -(done + 1) % 4  # of the block's values, the first opacity
            last = block[first::4]
            start = (done + first) // 4
            opacity[start : start + len(last)] = last
        done += length
    return opacity.reshape(size)


def encode(mask: Mask) -> list[int]:
    """Encode a mask as bytes: 255 for all four values of its pixels."""
    flat = mask.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate(([0], edges))
    lengths = 4 * np.diff(starts, append=flat.size)
    parts = [f"{4 * flat.size:032b}", f"{7:05b}", *(f"{bits - 1:04b}" for bits in _SIZES)]
    for value, length in zip(flat[starts].tolist(), lengths.tolist(), strict=True):
        parts += _runs(length, 255 if value else 0)
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8))


def _runs(length: int, value: int) -> Sequence[str]:
    parts = []
    while length:
        part = min(length, 1 << _SIZES[-1])
        which = next(index for index, bits in enumerate(_SIZES) if part <= 1 << bits)
        parts.append(f"1{which:02b}{part - 1:0{_SIZES[which]}b}{value:08b}")
        length -= part
    return parts
