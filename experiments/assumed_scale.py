"""Detail of scenes and of their quarter-width crops: `python -m experiments.assumed_scale DATA [FOLDER]`.

A picture of unknown location is taken to show 21 x 14 degrees. One that shows less has less detail between
neighbouring pixels of the network's input. The percentiles of the training scenes say which detail is usual;
the shares of validation scenes and crops say what a limit there would warn of. FOLDER holds pictures of full
resolution, of which all sixteen crops are taken that have data in at least half of their area.
"""

import sys
from pathlib import Path

import numpy as np

from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.datasets.splits import split
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sources import find_sources
from nephoscope.inference.input_check import LEAST_DETAIL
from nephoscope.inference.model import Model
from nephoscope.inference.prediction import view

_SCENES = 1000  # at most, of the training scenes


def main(data: Path, full_size: Path | None = None) -> None:
    dataset = read_dataset(data)
    size = Model.load().card.input_size
    training, validation = (dataset.select(indices) for indices in split(dataset.records)[:2])
    step = max(1, len(training.records) // _SCENES)
    wholes, _ = _details(training.select(range(0, len(training.records), step)), size)
    for percent in (0.1, 1, 5, 50):
        detail = np.percentile(wholes, percent)
        print(f"{percent:5g} % of {len(wholes):,} training scenes have a detail below {detail:.3f}")
    wholes, crops = _details(validation, size)
    for name, values in (("scenes", wholes), ("crops", crops)):
        share = np.mean(values < LEAST_DETAIL)
        print(f"{share:6.1%} of {len(values):,} validation {name} are below {LEAST_DETAIL}")
    if full_size is not None:
        values = _crops_of_full_size(full_size, size)
        share = np.mean(values < LEAST_DETAIL)
        print(f"{share:6.1%} of {len(values):,} crops of full resolution are below {LEAST_DETAIL}")


def _details(dataset: Dataset, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Detail of every scene, and of one crop of it at a random place."""
    rng, wholes, crops = np.random.default_rng(0), [], []
    for record in dataset.records:
        pixels, valid_mask = dataset.scene(record.image).read()
        height, width = (side // 4 for side in valid_mask.shape)
        top, left = (int(rng.integers(0, 3 * side + 1)) for side in (height, width))
        crop = pixels[top : top + height, left : left + width]
        for part, details in ((pixels, wholes), (crop, crops)):
            measured = view(open_scene(part), size).measures()
            if measured:
                details.append(measured["detail"])
    return np.array(wholes), np.array(crops)


def _crops_of_full_size(folder: Path, size: tuple[int, int]) -> np.ndarray:
    """Detail of every crop of a quarter of the width that has data in at least half of its area."""
    details = []
    for source in find_sources([str(folder)]):
        pixels, valid_mask = source.open().read()
        height, width = (side // 4 for side in valid_mask.shape)
        for row, column in np.ndindex(4, 4):
            crop = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            if valid_mask[crop].mean() > 0.5:
                details.append(view(open_scene(pixels[crop]), size).measures()["detail"])
    return np.array(details)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
