"""Large connected components of a mask, found strip by strip, so that memory does not grow with labels."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import ComponentLabels, Mask

_STRIP = 4_000_000  # px labelled at once: labels and statistics take up to 13 bytes each


def large_components(on: NDArray[np.uint8], least: int) -> Mask:
    """The 8-connected components that have at least this many pixels.

    Args:
        on: not 0 where the mask is on, shape (height, width).
        least: pixels of the smallest component that is kept.
    """
    rows = max(1, _STRIP // on.shape[1])
    if len(on) <= rows:
        _, labels = cv2.connectedComponents(on, connectivity=8)
        large = np.bincount(labels[on > 0], minlength=1) >= least  # label 0 is what is off: it has no pixels
        return np.take(large, np.asarray(labels))
    strips = [on[top : top + rows] for top in range(0, len(on), rows)]
    areas: list[NDArray[np.int32]] = []
    parents: dict[int, int] = {}  # of components that continue in another strip: one nearer to the root
    above: ComponentLabels | None = None
    first = 0  # number of the strip's first component among all
    for strip in strips:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(strip, connectivity=8)
        areas.append(np.array(stats[1:, cv2.CC_STAT_AREA], np.int32))
        if above is not None:
            for upper, lower in _touching(above, _numbered(labels[0], first)):
                parents[_root(parents, lower)] = _root(parents, upper)
        above = _numbered(labels[-1], first)
        first += len(areas[-1])
    total = np.concatenate(areas)
    roots = {component: _root(parents, component) for component in parents}
    for component, root in roots.items():
        if component != root:
            total[root] += total[component]
    large = total >= least
    for component, root in roots.items():
        large[component] = large[root]
    kept = np.empty(on.shape, np.bool_)
    first = 0
    for number, strip in enumerate(strips):
        _, labels = cv2.connectedComponents(strip, connectivity=8)  # again: all at once would fill the memory
        count = len(areas[number])
        chosen = np.concatenate(([False], large[first : first + count]))  # label 0 is what is off
        np.take(chosen, np.asarray(labels), out=kept[number * rows : number * rows + len(strip)])
        first += count
    return kept


def _numbered(labels: ComponentLabels, first: int) -> ComponentLabels:
    """Numbers among all strips' components of a row's labels; -1 where the mask is off."""
    return np.where(labels > 0, labels + (first - 1), -1)


def _touching(upper: ComponentLabels, lower: ComponentLabels) -> Iterator[tuple[int, int]]:
    """Pairs of components that touch between two neighbouring rows."""
    width = len(upper)
    for shift in (-1, 0, 1):
        top = upper[max(0, shift) : width + min(0, shift)]
        bottom = lower[max(0, -shift) : width + min(0, -shift)]
        both = (top >= 0) & (bottom >= 0)
        pairs = np.unique(np.stack([top[both], bottom[both]], axis=1), axis=0)
        yield from map(tuple, pairs.tolist())


def _root(parents: dict[int, int], component: int) -> int:
    while (parent := parents.setdefault(component, component)) != component:
        parents[component] = parents[parent]  # shortens the way for those that come after
        component = parent
    return component
