"""Training data made anew from the rectangles that people drew: the scenes fetched, the masks drawn again.

What comes out is a folder in the contest's layout. Its pictures are fetched from NASA Worldview at the size
that the rectangles count on.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nephoscope.annotators import Rectangle, masks_of
from nephoscope.catalogue import COLUMNS
from nephoscope.core.errors import DatasetError, SceneError
from nephoscope.core.io import atomic_write
from nephoscope.dataset import CATALOGUE, LABEL_FILES, PICTURES
from nephoscope.fetching import Fetched, fetch_scenes
from nephoscope.labels import LABEL_GRID, read_labels, write_labels
from nephoscope.patterns import NAMES
from nephoscope.place import Overpass, worldview_name
from nephoscope.rle import encode
from nephoscope.scene import open_scene
from nephoscope.worldview import Archive

Rectangles = Mapping[Overpass, Sequence[Rectangle]]


def rebuild(drawn: Rectangles, folder: Path, archive: Archive) -> Iterator[Fetched]:
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


def _rebuild(drawn: Rectangles, wanted: list[Overpass], folder: Path, archive: Archive) -> Iterator[Fetched]:
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
            rows += [(name, pattern, encode(mask)) for pattern, mask in zip(NAMES, masks, strict=True)]
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
