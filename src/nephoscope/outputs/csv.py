"""`csv`: one `submission.csv` for all scenes of a run, in the contest's form and on its grid of 350x525."""

from collections.abc import Sequence

from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.labels import format_labels
from nephoscope.datasets.rle import encode
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web

FILE_NAME = "submission.csv"


def rows(segmentation: Segmentation) -> list[tuple[str, str, str]]:
    """Make a row for each pattern: the scene's name, the pattern's, and its mask as run-length text."""
    name, patterns = segmentation.scene.name, segmentation.card.patterns
    return [(name, pattern, encode(segmentation.mask(pattern, SCORE_GRID))) for pattern in patterns]


def render(segmentation: Segmentation) -> list[bytes]:
    """Render a table of one scene, with its header."""
    return [format_labels(rows(segmentation))]


def merge(parts: Sequence[bytes]) -> bytes:
    """Merge several tables into one, with one header."""
    header = format_labels([])
    return header + b"".join(part.removeprefix(header) for part in parts)


FORMAT = Format(
    name="csv",
    description="Run lengths on 350 × 525, as the contest of 2019 wants them",
    media_type="text/csv",
    render=render,
    merge=merge,
    file_name=FILE_NAME,
    save_endings=(".csv",),
    web=Web(label="Contest", kind="CSV"),
)
