"""Save a segmentation to a file whose ending says the output format."""

from pathlib import Path

from nephoscope.core.errors import OutputConflictError, OutputError
from nephoscope.core.io import atomic_write
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.outputs.registry import formats


def save(segmentation: Segmentation, path: str | Path) -> list[Path]:
    """Write a segmentation in the output format that a file's ending says; existing files are replaced.

    An ending that a format gives its files (`_panel.png`, `_Fish.png`) means that file. Otherwise the ending
    after the last dot decides (`Format.save_endings`). A format of several files then writes them all, named
    after the path without its ending.

    Returns:
        The files that were written.

    Raises:
        OutputError: no format has the ending.
        OutputConflictError: the file is the picture itself.
        SceneError: the format needs a location or a day, which the scene lacks.
        MissingExtraError: the format needs a library that is not installed.
        OSError: the file cannot be written.
    """
    path = Path(path)
    chosen, ending = _find_format(path, segmentation.card.patterns)
    chosen.check_libraries()
    chosen.check(segmentation.scene)
    endings = chosen.file_endings(segmentation.card.patterns)
    if ending in endings:
        paths = {path: endings.index(ending)}
    elif len(endings) > 1:
        paths = {path.with_name(path.stem + each): index for index, each in enumerate(endings)}
    else:
        paths = {path: 0}
    own = segmentation.scene.path or segmentation.scene.source
    if isinstance(own, Path) and any(each.exists() and each.samefile(own) for each in paths):
        raise OutputConflictError(f"{path}: is the picture itself; give another name")
    contents = chosen.render(segmentation)
    for each, index in paths.items():
        atomic_write(each, contents[index])
    return list(paths)


def _find_format(path: Path, patterns: tuple[str, ...]) -> tuple[Format, str]:
    """The format with the longest ending that the name has, and this ending."""
    known = {
        ending: each
        for each in reversed([*formats().values()])  # where two have one ending, the first is meant
        for ending in (*each.save_endings, *each.file_endings(patterns))
    }
    matching = [ending for ending in known if path.name.lower().endswith(ending.lower())]
    if not matching:
        endings = ", ".join(f"{ending} ({each.name})" for ending, each in sorted(known.items()))
        raise OutputError(f"{path}: no output format has this ending; available: {endings}")
    ending = max(matching, key=len)
    return known[ending], ending
