"""Training data made anew from the rectangles that people drew: the scenes fetched, the masks drawn again.

What comes out is a folder in the contest's layout. Its pictures are fetched from NASA Worldview at the size
that the rectangles count on.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from nephoscope.core.errors import DatasetError, SceneError
from nephoscope.core.geo import Overpass, worldview_name
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, GridShape
from nephoscope.datasets.annotations import Rectangle, masks_of
from nephoscope.datasets.catalogue import COLUMNS
from nephoscope.datasets.dataset import CATALOGUE, LABEL_FILES, PICTURES
from nephoscope.datasets.labels import read_labels, write_labels
from nephoscope.datasets.rle import encode
from nephoscope.imagery.fetch import Fetched, fetch_scenes
from nephoscope.imagery.scene import open_scene
from nephoscope.imagery.synthetic import encode_jpeg, make_scene
from nephoscope.imagery.worldview import WorldviewClient

Rectangles = Mapping[Overpass, Sequence[Rectangle]]


def rebuild(drawn: Rectangles, folder: Path, archive: WorldviewClient) -> Iterator[Fetched]:
    """Make a labelled data set of rectangles; what was fetched before is kept.

    Labels and catalogue are written after the last scene, of those whose pictures are there. The catalogue
    leaves the split open, so that training deals the days into folds.

    Args:
        drawn: rectangles by overpass.
        folder: where to; made if it is not there.
        archive: where from.

    Raises:
        DatasetError: a box is not of the size that rectangles count on.
        DatasetError: the folder has labels of other scenes.
        LabelError: it has labels that are not in the contest's form.
        WorldviewError: no satellite of a name, or a day on which it had not begun.
        OSError: a file cannot be read or written.
    """
    wanted = sorted(drawn)
    for overpass in wanted:
        archive.check(overpass)
        if archive.size(overpass) != LABEL_GRID:
            raise DatasetError(
                f"{worldview_name(overpass)}: {archive.size(overpass)[1]} x {archive.size(overpass)[0]} px; "
                f"rectangles count on {LABEL_GRID[1]} x {LABEL_GRID[0]}, which is 21° x 14°"
            )
    _check_folder(folder, {worldview_name(overpass, archive.ending(overpass)) for overpass in wanted})
    return _rebuild(drawn, wanted, folder, archive)


def _rebuild(
    drawn: Rectangles, wanted: list[Overpass], folder: Path, archive: WorldviewClient
) -> Iterator[Fetched]:
    rows: list[tuple[str, str, str]] = []
    seen: list[tuple[str, Overpass]] = []
    for result in fetch_scenes(wanted, folder / PICTURES, archive):
        if result.state != "failed":
            name = result.path.name
            try:
                valid = open_scene(result.path).read().valid_mask
            except SceneError as error:  # whole, and yet no picture that can be decoded
                yield result._replace(state="failed", reason=str(error))
                continue
            masks = masks_of(drawn[result.overpass], LABEL_GRID, valid)
            rows += [
                (name, pattern, encode(mask)) for pattern, mask in zip(DEFAULT_NAMES, masks, strict=True)
            ]
            seen.append((name, result.overpass))
        yield result
    if seen:
        atomic_write(folder / CATALOGUE, _catalogue(seen))
        write_labels(folder / LABEL_FILES[0], rows)


def _check_folder(folder: Path, names: set[str]) -> None:
    """Refuse a folder whose labels would be lost, or would be two."""
    for path in (folder / name for name in LABEL_FILES):
        if path.is_file() and (path.name != LABEL_FILES[0] or set(read_labels(path).images) - names):
            raise DatasetError(f"{path}: is there and has labels of other scenes; -o DIR writes elsewhere")


def _catalogue(seen: list[tuple[str, Overpass]]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for name, (satellite, day, bounds) in seen:
        rows.writerow([name, "", satellite, day, *(f"{edge:.10g}" for edge in bounds)])
    return text.getvalue().encode()


def write_synthetic_dataset(folder: Path, scenes: int, seed: int = 0, size: GridShape = LABEL_GRID) -> None:
    """Write a folder in the contest's layout, `train_images/` and `train.csv`, of made-up scenes.

    The pictures may be small; the labels always count on the contest's label grid, as its own do.

    Args:
        folder: where; made if it is not there.
        scenes: how many.
        seed: of the first scene; the next ones follow.
        size: height and width of the pictures.
    """
    rows = []
    for number in range(seed, seed + scenes):
        scene = make_scene(number, size)
        image = f"synthetic_{number:05d}.jpg"
        atomic_write(folder / "train_images" / image, encode_jpeg(scene.pixels))
        for name, mask in scene.masks.items():
            full = cv2.resize(mask.view(np.uint8), LABEL_GRID[::-1], interpolation=cv2.INTER_NEAREST)
            rows.append((image, name, encode(full.view(np.bool_))))
    write_labels(folder / "train.csv", rows)
