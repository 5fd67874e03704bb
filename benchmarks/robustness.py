"""How steady a model's answers are: `python -m benchmarks.robustness DATA [MODEL]`.

The same scene again, at other sizes, recompressed, mirrored, moved, brighter, darker, grey: mean Dice between
the masks of both, over the masks that either has, on the part of the scene that both show.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.patterns import NAMES
from nephoscope.core.types import Image
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.scene import open_scene
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import segment

EVERY = 100  # of the small scenes, one is taken
SIZES = ((1050, 700), (525, 350), (480, 320))  # width and height
SHIFT = 40  # px of 480


def main(data: Path, name: str) -> None:
    model = Model.load(name, threads=1)
    print("mean Dice with the answer to the scene as it is")
    for what, agreement in agreements(model, data, EVERY):
        print(f"  {what:<32}{agreement:.3f}", flush=True)


def agreements(model: Model, data: Path, every: int) -> Iterator[tuple[str, float]]:
    """Yields what was changed and how far the answers agree: the large scenes, then one of so many small."""
    full, small = scenes(data / "full_size", 1), scenes(data / "train_images", every)
    at_sizes = {f"at {width}x{height}": at_size((width, height)) for width, height in SIZES}
    for pictures, chosen in ((full, at_sizes), (small, CHANGES)):
        with ThreadPoolExecutor(2) as pool:
            before = list(pool.map(lambda pixels: segment(pixels, model).masks, pictures))
            for what, change in chosen.items():
                yield what, steadiness(pool, model, pictures, before, change)


def scenes(folder: Path, every: int) -> list[Image]:
    return [open_scene(path).read().pixels for path in sorted(folder.iterdir())[::every]]


Change = Callable[[Image], Image]
Masks = NDArray[np.bool_]  # shape (patterns, height, width)


def at_size(size: tuple[int, int]) -> Change:
    """The picture shrunk, as a careful program does it."""
    return lambda pixels: np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def recompressed(pixels: Image) -> Image:
    packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def brightened(factor: float) -> Change:
    return lambda pixels: np.clip(pixels * factor, 0, 255).astype(np.uint8)


def grey(pixels: Image) -> Image:
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def mirrored(pixels: Image) -> Image:
    return np.ascontiguousarray(pixels[:, ::-1])


def moved(pixels: Image) -> Image:
    """What comes in from the left is black: no data."""
    return np.asarray(np.pad(pixels, ((0, 0), (SHIFT, 0), (0, 0)))[:, : pixels.shape[1]])


CHANGES: dict[str, Change] = {
    "as JPEG of quality 30": recompressed,
    "mirrored": mirrored,
    f"moved by {SHIFT} px": moved,
    "15 % brighter": brightened(1.15),
    "15 % darker": brightened(0.85),
    "grey": grey,
}


def steadiness(
    pool: ThreadPoolExecutor, model: Model, pictures: list[Image], answers: list[Masks], change: Change
) -> float:
    """Mean Dice between the masks of pictures and of the same pictures changed."""

    def one(pixels: Image, before: Masks) -> list[float]:
        after = segment(change(pixels), model).masks
        if change is mirrored:
            after = after[:, :, ::-1]
        if change is moved:
            shift = round(SHIFT * before.shape[2] / pixels.shape[1])
            before, after = before[:, :, :-shift], after[:, :, shift:]
        either = [index for index in range(len(NAMES)) if before[index].any() or after[index].any()]
        return [dice(before[index], after[index]) for index in either]

    return float(np.mean([score for scores in pool.map(one, pictures, answers) for score in scores]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), (*sys.argv, "default")[2])
