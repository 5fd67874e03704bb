"""Area of patterns by distance from the scene's border: `python -m experiments.edges DATA`.

On the validation scenes of a folder of labelled scenes: the share of the area with data that each pattern
covers, in the model's masks and in the labels. Patterns missed near borders show as seams in an atlas.
"""

import sys
from pathlib import Path

import numpy as np

from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import split
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment

_CELL = 0.04  # degrees
_RINGS = (0, 0.5, 1, 2, 3, 5)  # degrees from the border


def main(data: Path) -> None:
    dataset = read_dataset(data)
    dataset = dataset.select(split(dataset.records)[1])
    model = Model.load()
    rows, columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in SCORE_GRID)
    distance = np.minimum(*np.meshgrid(rows, columns, indexing="ij")) * _CELL
    ring = np.digitize(distance, _RINGS) - 1
    names = model.card.patterns
    counts = np.zeros((len(_RINGS), 1 + 2 * len(names)))
    for record in dataset.records:
        result = segment(dataset.scene(record.image), model)
        labels = [dataset.labels.mask(record.image, name, SCORE_GRID) for name in names]
        masks = [mask & result.valid_mask for mask in (*result.masks, *labels)]
        for plane, mask in enumerate([result.valid_mask, *masks]):
            counts[:, plane] += np.bincount(ring[mask], minlength=len(_RINGS))
    print(f"{len(dataset.records):,} scenes; model / labels, per cent of the area with data")
    print(f"{'degrees from border':<20}" + "".join(f"{name:>14}" for name in names))
    for number, low in enumerate(_RINGS):
        high = f"{_RINGS[number + 1]:g}" if number + 1 < len(_RINGS) else "middle"
        shares = 100 * counts[number, 1:] / counts[number, 0]
        pairs = [f"{shares[i]:.1f} / {shares[len(names) + i]:.1f}" for i in range(len(names))]
        print(f"{f'{low:g} to {high}':<20}" + "".join(f"{pair:>14}" for pair in pairs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
