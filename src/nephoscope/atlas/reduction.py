"""Reduce an atlas's scenes to cells: each scene where it is read, and only the cells that it reaches into."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import Shares
from nephoscope.atlas.flags import Flags, decode


def reduce_scenes(
    flags: Any, weights: Any, fields: Any, presence: Any, shares: tuple[Shares, Shares], patterns: int
) -> NDArray[np.float64]:
    """Reduce dask arrays scene by scene, then add up the cells that neighbouring scenes share.

    Args:
        flags: shape (days, satellites, lat, lon), a block a scene.
        weights: of the pixels, shape (1, 1, lat, lon), in the same blocks.
        fields: probabilities in the same blocks, each of coarser cells, the patterns one below another; or
            None, to count masks.
        presence: probabilities by picture in the same blocks, one below another as well; or None.
        shares: of the cells that the pixels cover, along latitude and along longitude.
        patterns: how many.

    Returns:
        Shape (days, satellites, planes, rows, columns): share with data, of each pattern, of masks that of
        data without a pattern, and not segmented. With presence then, for each pattern, the share with data
        times the presence of its picture, and the share with data that has one.
    """
    rows, columns = shares
    row_parts, column_parts = _parts(rows, flags.chunks[2]), _parts(columns, flags.chunks[3])
    sizes = (tuple(len(part.cells) for part in parts) for parts in (row_parts, column_parts))
    chosen = [[part.chunk for part in parts] for parts in (row_parts, column_parts)]
    flags, weights, fields, presence = (
        None if each is None else each.blocks[:, :, chosen[0]].blocks[:, :, :, chosen[1]]
        for each in (flags, weights, fields, presence)
    )
    planes = patterns + (3 if fields is None else 2) + (0 if presence is None else patterns + 1)
    pieces = flags.map_blocks(
        _reduce,
        weights,
        fields,
        presence,
        [part.shares for part in row_parts],
        [part.shares for part in column_parts],
        patterns,
        dtype=np.float64,
        new_axis=2,
        chunks=(*flags.chunks[:2], (planes,), *sizes),
        meta=np.empty((0,) * 5),
    ).compute()
    return np.asarray(_gather(row_parts, len(rows)) @ pieces @ _gather(column_parts, len(columns)).T)


class _Part(NamedTuple):
    """The cells that one chunk of an axis reaches into, and the shares of them that its pixels cover."""

    chunk: int
    cells: NDArray[np.intp]
    shares: Shares


def _parts(shares: Shares, chunks: Sequence[int]) -> list[_Part]:
    """One part for each chunk of an axis that reaches into any cell."""
    parts = []
    for number, own in enumerate(np.split(shares, np.cumsum(chunks)[:-1], axis=1)):
        cells = np.flatnonzero(own.any(axis=1))
        if len(cells):
            parts.append(_Part(number, cells, own[cells]))
    return parts


def _gather(parts: list[_Part], cells: int) -> Shares:
    """The matrix that adds up what several chunks have of one cell, shape (cells, cells of all parts)."""
    own = np.concatenate([part.cells for part in parts])
    return np.asarray(np.equal.outer(np.arange(cells), own), np.float64)


def _reduce(
    flags: Flags,
    weights: NDArray[np.float32],
    fields: NDArray[np.float32] | None,
    presence: NDArray[np.float32] | None,
    rows: list[Shares],
    columns: list[Shares],
    patterns: int,
    block_id: tuple[int, ...] = (),
) -> NDArray[np.float64]:
    """Reduce one scene to the cells that it reaches into, shape (1, 1, planes, rows, columns)."""
    along_latitude, along_longitude = rows[block_id[3]], columns[block_id[4]]
    decoded = decode(flags, patterns)
    if fields is None:
        planes = [decoded.valid, *decoded.present, decoded.unclassified, decoded.not_segmented]
    else:
        expected = _enlarged(fields[0, 0], patterns, flags.shape[2:]) * decoded.valid[0, 0]
        planes = [decoded.valid, *expected[:, None, None], decoded.not_segmented]
    if presence is not None:
        by_pattern = presence.reshape(patterns)
        planes += [decoded.valid * each for each in np.nan_to_num(by_pattern)]
        planes.append(decoded.valid * bool(np.isfinite(by_pattern).all()))
    return np.asarray(
        along_latitude
        @ (np.stack(planes, axis=2) * weights[:, :, None].astype(np.float64))
        @ along_longitude.T
    )


def _enlarged(fields: NDArray[np.float32], patterns: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Probabilities of coarse cells at their pixels, shape (patterns, height, width); 0 where missing."""
    coarse = fields.reshape(patterns, -1, fields.shape[-1])
    down, across = (
        ((np.arange(pixels) + 0.5) * cells / pixels).astype(np.intp)
        for pixels, cells in zip(shape, coarse.shape[1:], strict=True)
    )
    return np.asarray(np.nan_to_num(coarse)[:, down[:, None], across])
