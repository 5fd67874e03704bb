"""`csv`: one `submission.csv` for all scenes of a run, in the contest's form and on its grid of 350x525."""

from pathlib import Path

from nephoscope.labels import SCORE_GRID, write_labels
from nephoscope.patterns import NAMES
from nephoscope.rle import encode
from nephoscope.segmentation import Segmentation

FILE_NAME = "submission.csv"

Row = tuple[str, str, str]


def rows(segmentation: Segmentation) -> list[Row]:
    """One row a pattern: the scene's name, the pattern's, and its mask as run-length text."""
    name = segmentation.scene.name
    return [(name, pattern, encode(segmentation.mask(pattern, SCORE_GRID))) for pattern in NAMES]


def write(folder: Path, all_rows: list[Row]) -> Path:
    """Write the file, whole, with the scenes in the order given."""
    path = folder / FILE_NAME
    write_labels(path, all_rows)
    return path
