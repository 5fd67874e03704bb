"""Detail of scenes, and of crops of a quarter of their width: `python -m experiments.assumed_scale DATA`.

A picture of unknown location is taken to show 21 x 14 degrees. One that shows less has less detail between
neighbouring pixels of the network's input. The percentiles of the training scenes say which detail is usual;
the shares of validation scenes and crops say what a limit there would warn of.
"""

import sys
from pathlib import Path

import numpy as np

from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.datasets.splits import split
from nephoscope.imagery.reading import open_scene
from nephoscope.inference.input_check import LEAST_DETAIL
from nephoscope.inference.model import Model
from nephoscope.inference.prediction import view

_SCENES = 1000  # at most, of the training scenes


def main(data: Path) -> None:
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
