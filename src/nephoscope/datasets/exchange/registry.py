"""The table of label formats, and which of them a file or folder is in."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import is_hidden
from nephoscope.datasets.exchange import (
    coco,
    contest,
    geojson,
    geotiff,
    label_studio,
    mask,
    summary,
    zooniverse,
)
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.reading import Candidate, Reading
from nephoscope.datasets.labels import Problem

FORMATS: Mapping[str, LabelFormat] = {
    each.name: each
    for each in (
        *(mask.CLASSES, mask.NUMBERS, geotiff.FORMAT, geojson.DEGREES, geojson.PIXELS, summary.FORMAT),
        *(coco.FORMAT, label_studio.FORMAT, zooniverse.FORMAT, contest.FORMAT),
    )
}


def get_format(name: str, *, written: bool = False) -> LabelFormat:
    """The format of a name.

    Args:
        name: as in `--format NAME`.
        written: whether labels must be exported to it.

    Raises:
        DatasetError: no such format, or it is read only.
    """
    names = [each.name for each in FORMATS.values() if each.is_written or not written]
    if name in names:
        return FORMATS[name]
    if name in FORMATS:
        raise DatasetError(f"format {name}: labels cannot be exported to it; available: {', '.join(names)}")
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"available: {', '.join(names)}"
    raise DatasetError(f"unknown label format {name!r}; {hint}")


def find_files(source: Path, reading: Reading, name: str | None = None) -> tuple[LabelFormat, list[Path]]:
    """The label files of a source and their format.

    Args:
        source: a file or folder.
        reading: which patterns and pictures there are.
        name: of the format. Default: by the files.

    Raises:
        DatasetError: no such source, no label file, or files of several formats.
    """
    if not source.exists():
        raise DatasetError(f"{source}: no such file or folder")
    files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else [source]
    files = [path for path in files if not is_hidden(path)]
    if name is not None:
        chosen = get_format(name)
        own = [path for path in files if _has_ending(path, chosen)]
        if not own:
            raise DatasetError(f"{source}: no file of the format {name} ({', '.join(chosen.endings)})")
        return chosen, own
    accepted: dict[str, list[Path]] = {}
    for path in files:
        candidate = Candidate(path, reading)
        for each in FORMATS.values():
            # A TIFF that is named alone is no picture.
            alone = each is geotiff.FORMAT and path == source
            if _has_ending(path, each) and (alone or each.accepts(candidate)):
                accepted.setdefault(each.name, []).append(path)
                break
        else:
            if path.suffix.lower() in (".json", ".geojson"):
                reading.problems.append(Problem("a file of no known format", path.name))
    if len(accepted) > 1:
        raise DatasetError(
            f"{source}: label files of several formats; choose one by --format: {', '.join(accepted)}"
        )
    if not accepted:
        raise DatasetError(f"{source}: no label file of a known format; available: {', '.join(FORMATS)}")
    (only,) = accepted
    return FORMATS[only], accepted[only]


def _has_ending(path: Path, chosen: LabelFormat) -> bool:
    return path.name.lower().endswith(chosen.endings)


def markdown_table() -> str:
    """A Markdown table of the formats, one row a format."""
    lines = ["| format | export writes | people | what it holds |", "|---|---|---|---|"]
    for each in FORMATS.values():
        (file, *_) = each.file_names("PICTURE", ["CLASS"])
        files = f"`{file}`" if file else "import only"
        people = "yes" if each.people else ""
        needs = f"; needs `nephoscope[{each.extra}]`" if each.extra else ""
        lines.append(f"| `{each.name}` | {files} | {people} | {each.description}{needs} |")
    return "\n".join(lines) + "\n"
