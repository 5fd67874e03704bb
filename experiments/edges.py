"""Whether patterns are found as often near the border of a scene as in its middle.

python -m experiments.edges DATA

On the dated validation scenes of a folder of labelled scenes: the share of the area with data that each
pattern covers, by distance from the scene's border, as the model says and as people labelled. Where boxes of
an atlas meet, what is lost near a border shows as a seam.
"""

import sys
from pathlib import Path

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.catalogue import split
from nephoscope.datasets.dataset import read_dataset
from nephoscope.imagery.scene import open_scene
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import segment

_CELL = 0.04  # degrees
_RINGS = (0, 0.5, 1, 2, 3, 5)  # degrees from the border


def main(data: Path) -> None:
    dataset = read_dataset(data)
    dataset = dataset.select(split(dataset.records, None, 0)[1])
    model = Model.load()
    rows, columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in SCORE_GRID)
    distance = np.minimum(*np.meshgrid(rows, columns, indexing="ij")) * _CELL
    ring = np.digitize(distance, _RINGS) - 1
    counts = np.zeros((len(_RINGS), 1 + 2 * len(DEFAULT_NAMES)))
    for record in dataset.records:
        picture = dataset.picture(record.image)
        found = segment(open_scene(picture), model)
        label = dataset.bits(record.image, SCORE_GRID)
        masks = [*found.masks, *((label >> index & 1).astype(bool) for index in range(len(DEFAULT_NAMES)))]
        for plane, mask in enumerate([found.valid_mask, *(mask & found.valid_mask for mask in masks)]):
            counts[:, plane] += np.bincount(ring[mask], minlength=len(_RINGS))
    print(f"{len(dataset.records):,} scenes; model / labels, per cent of the area with data")
    print(f"{'degrees from border':<20}" + "".join(f"{name:>14}" for name in DEFAULT_NAMES))
    for number, low in enumerate(_RINGS):
        high = f"{_RINGS[number + 1]:g}" if number + 1 < len(_RINGS) else "middle"
        shares = 100 * counts[number, 1:] / counts[number, 0]
        pairs = [
            f"{shares[index]:.1f} / {shares[len(DEFAULT_NAMES) + index]:.1f}"
            for index in range(len(DEFAULT_NAMES))
        ]
        print(f"{f'{low:g} to {high}':<20}" + "".join(f"{pair:>14}" for pair in pairs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
