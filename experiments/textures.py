"""Synthetic cloud fields beside real ones: `python -m experiments.textures DATA [MODEL]`.

Prints, for each default pattern, the brightness of the areas that people labelled and of drawn ones, the
ratio of their power spectra, and how well a model finds the drawn areas. `imagery/cloud_fields.py` takes
its brightness from here. Scenes are compared at 480x320 px.
"""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import Image, Mask
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.cloud_fields import QUANTILES
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment

SIZE = (320, 480)
SCENES = 150  # real ones of each pattern
SEEDS = 50
SQUARE = 128  # px, of which spectra are taken
EDGES = np.geomspace(1 / 64, 1 / 2, 7)  # of the bands of spectra, cycles per pixel


def main(data: Path, name: str) -> None:
    dataset = read_dataset(data)
    drawn = [make_scene(seed, SIZE, DEFAULT_NAMES, glint=False) for seed in range(SEEDS)]
    print("brightness at quantiles " + " ".join(f"{share:g}" for share in QUANTILES[1:-1]))
    for pattern in DEFAULT_NAMES:
        real = Areas(real_areas(dataset, pattern))
        made = Areas((scene.pixels, scene.masks[pattern]) for scene in drawn)
        print(f"{pattern}, {len(real.brightness)} real areas")
        print("  real, all           ", numbers(np.median(real.brightness, 0)))
        print("  real, darker third  ", numbers(np.median(real.darker_third, 0)))
        print("  drawn               ", numbers(np.median(made.brightness, 0)))
        ratio = np.median(made.spectra, 0) / np.median(real.spectra, 0)
        waves = " ".join(f"{1 / np.sqrt(low * high):.0f}" for low, high in pairwise(EDGES))
        print(f"  power, drawn / real, at waves of {waves} px:", " ".join(f"{each:.2f}" for each in ratio))
    model = Model.load(name)
    scores = np.array([[*score(model, seed)] for seed in range(SEEDS)])
    print(f"{name}: mean Dice of {SEEDS} scenes, and of the scenes where it is least")
    for pattern, values in zip(DEFAULT_NAMES, scores.T, strict=True):
        print(f"  {pattern:<8}{values.mean():.3f}  {values.min():.3f}")


def score(model: Model, seed: int) -> Iterator[float]:
    """Dice of each pattern in a scene of all four."""
    scene = make_scene(seed, SIZE, DEFAULT_NAMES)
    segmentation = segment(scene.pixels, model)
    for pattern in DEFAULT_NAMES:
        yield dice(segmentation.mask(pattern, SIZE), scene.masks[pattern])


def real_areas(dataset: Dataset, pattern: str) -> Iterator[tuple[Image, Mask]]:
    """Pictures and label masks of scenes that have a pattern, without pixels of no data."""
    index, random = dataset.patterns.index(pattern), np.random.default_rng(0)
    records = [record for record in dataset.records if dataset.masks(record.image, (35, 52))[index].any()]
    for number in random.permutation(len(records))[:SCENES]:
        image = records[number].image
        raster = open_scene(dataset.picture(image)).read(SIZE)
        invalid = cv2.dilate((~raster.valid_mask).astype(np.uint8), np.ones((5, 5))) > 0
        yield raster.pixels, dataset.masks(image, SIZE)[index] & ~invalid


class Areas:
    """Brightness and spectra of the areas of one pattern.

    Attributes:
        brightness: shape (areas, quantiles).
        spectra: power by band, shape (areas, bands), of areas with a square in them.
    """

    def __init__(self, areas: Iterator[tuple[Image, Mask]]) -> None:
        brightness, spectra = [], []
        for pixels, mask in areas:
            grey = pixels.mean(axis=2)
            if mask.sum() > SQUARE**2 / 2:
                brightness.append(np.quantile(grey[mask], QUANTILES[1:-1]))
            if (corner := square_in(mask)) is not None:
                top, left = corner
                spectra.append(spectrum(grey[top : top + SQUARE, left : left + SQUARE]))
        self.brightness, self.spectra = np.array(brightness), np.array(spectra)

    @property
    def darker_third(self) -> NDArray[np.float64]:
        """Brightness of the third of the areas whose median is the darkest: those without glint and haze."""
        order = np.argsort(self.brightness[:, 3])
        return self.brightness[order[: len(order) // 3]]


def square_in(mask: Mask) -> tuple[int, int] | None:
    """The upper left corner of the square that a mask fills best, if it fills nine tenths of it."""
    sums = cv2.integral(mask.astype(np.uint8))
    filled = (
        sums[SQUARE:, SQUARE:] - sums[:-SQUARE, SQUARE:] - sums[SQUARE:, :-SQUARE] + sums[:-SQUARE, :-SQUARE]
    )
    top, left = np.unravel_index(filled.argmax(), filled.shape)
    return (int(top), int(left)) if filled.max() > 0.9 * SQUARE**2 else None


def spectrum(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power of the waves of each band."""
    window = np.hanning(SQUARE)[:, None] * np.hanning(SQUARE)
    power = np.abs(np.fft.fft2((square - square.mean()) * window)) ** 2
    frequency = np.fft.fftfreq(SQUARE)
    band = np.digitize(np.hypot(frequency[:, None], frequency), EDGES)
    return np.array([power[band == number].mean() for number in range(1, len(EDGES))])


def numbers(values: NDArray[np.float64]) -> str:
    return " ".join(f"{value:5.0f}" for value in values)


if __name__ == "__main__":
    main(Path(sys.argv[1]), (*sys.argv, "default")[2])
