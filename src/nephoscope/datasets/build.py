"""Data sets made from annotators' rectangles and NASA Worldview's pictures, or of synthetic scenes.

Both are folders in the contest's layout.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from nephoscope.core.errors import DatasetError, SceneError
from nephoscope.core.geo import Overpass, worldview_name
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, GridShape
from nephoscope.datasets.catalogue import Record, format_catalogue
from nephoscope.datasets.dataset import CATALOGUE, LABEL_FILES, PICTURES
from nephoscope.datasets.labels import read_labels, write_labels
from nephoscope.datasets.rectangles import Rectangle, masks_of
from nephoscope.datasets.rle import encode
from nephoscope.imagery.fetch import Fetched, fetch_scenes
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.synthetic import encode_jpeg, make_scene
from nephoscope.imagery.worldview import WorldviewClient

Rectangles = Mapping[Overpass, Sequence[Rectangle]]


def rebuild(drawn: Rectangles, folder: Path, archive: WorldviewClient) -> Iterator[Fetched]:
    """Build a labelled data set from rectangles; pictures that were fetched before are kept.

    Labels and catalogue are written after the last scene, for the scenes whose pictures could be fetched. The
    catalogue states no split, so that training assigns days to folds.

    Raises:
        DatasetError: bounds have another size than the label grid, or the folder has labels of other scenes.
        LabelError: the folder has a label file that is not in the contest's form.
        WorldviewError: a satellite is unknown, or a day is before its first.
        OSError: a file cannot be read or written.
    """
    wanted = sorted(drawn)
    for overpass in wanted:
        archive.check(overpass)
        if archive.size(overpass) != LABEL_GRID:
            raise DatasetError(
                f"{worldview_name(overpass)}: {archive.size(overpass)[1]} x {archive.size(overpass)[0]} px; "
                f"rectangles need {LABEL_GRID[1]} x {LABEL_GRID[0]} px, which is 21° x 14°"
            )
    names = {worldview_name(overpass, archive.ending(overpass)) for overpass in wanted}
    for path in (folder / name for name in LABEL_FILES):
        if path.is_file() and (path.name != LABEL_FILES[0] or set(read_labels(path).images) - names):
            raise DatasetError(f"{path}: has labels of other scenes; choose another folder with -o DIR")
    return _rebuild(drawn, wanted, folder, archive)


def _rebuild(
    drawn: Rectangles, wanted: list[Overpass], folder: Path, archive: WorldviewClient
) -> Iterator[Fetched]:
    rows: list[tuple[str, str, str]] = []
    scenes: list[tuple[str, Overpass]] = []
    for result in fetch_scenes(wanted, folder / PICTURES, archive):
        if result.state != "failed":
            name = result.path.name
            try:
                valid = open_scene(result.path).read().valid_mask
            except SceneError as error:  # complete, but cannot be decoded
                yield result._replace(state="failed", reason=str(error))
                continue
            masks = masks_of(drawn[result.overpass], LABEL_GRID, valid)
            rows += [
                (name, pattern, encode(mask)) for pattern, mask in zip(DEFAULT_NAMES, masks, strict=True)
            ]
            scenes.append((name, result.overpass))
        yield result
    if scenes:
        records = [Record(name, "", *overpass) for name, overpass in scenes]
        atomic_write(folder / CATALOGUE, format_catalogue(records))
        write_labels(folder / LABEL_FILES[0], rows)


def write_synthetic_dataset(folder: Path, scenes: int, seed: int = 0, size: GridShape = LABEL_GRID) -> None:
    """Write a data set of so many synthetic scenes: `train_images/` and `train.csv`.

    `seed` is the first scene's; the next ones have the next seeds. `size` is the height and width of the
    pictures; the labels are always on the contest's label grid.
    """
    rows = []
    for number in range(seed, seed + scenes):
        scene = make_scene(number, size)
        image = f"synthetic_{number:05d}.jpg"
        atomic_write(folder / PICTURES / image, encode_jpeg(scene.pixels))
        for name, mask in scene.masks.items():
            full = cv2.resize(mask.view(np.uint8), LABEL_GRID[::-1], interpolation=cv2.INTER_NEAREST)
            rows.append((image, name, encode(full.view(np.bool_))))
    write_labels(folder / LABEL_FILES[0], rows)
