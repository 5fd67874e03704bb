"""Registry of output formats: nephoscope's own, and those of other packages by entry points."""

import logging
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from nephoscope.core.errors import OutputError
from nephoscope.outputs import csv, geojson, geotiff, gpkg, json, mask, netcdf, organisation, overlay, panel
from nephoscope.outputs.format import Format

GROUP = "nephoscope.outputs"  # group of entry points; each loads a `Format` of the same name

FORMATS: Mapping[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (overlay, panel, mask, json, csv, geojson, gpkg, geotiff, netcdf, organisation)
}

log = logging.getLogger("nephoscope")


@cache
def formats() -> Mapping[str, Format]:
    """All formats by name: nephoscope's own, then those of other packages, loaded on the first call."""
    every = dict(FORMATS)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if (loaded := _load(entry, every)) is not None:
            every[loaded.name] = loaded
    return every


def get_format(name: str) -> Format:
    """The format of a name; entry points, which are slow to read, only for names that are not our own."""
    return FORMATS.get(name) or formats()[name]


def _load(entry: EntryPoint, taken: Mapping[str, Format]) -> Format | None:
    """Load another package's format; one that cannot be used is logged as a warning."""
    where = f"output format {entry.name!r} of {entry.dist.name if entry.dist else entry.value}"
    if entry.name in taken:
        log.warning("%s: ignored: the name is taken; its package must rename it", where)
        return None
    try:
        loaded = entry.load()
    except Exception as error:  # another package's code can raise anything
        log.warning("%s: cannot be loaded: %s: %s", where, type(error).__name__, " ".join(str(error).split()))
        return None
    if not isinstance(loaded, Format) or loaded.name != entry.name:
        log.warning("%s: ignored: %s is not a Format of this name", where, entry.value)
        return None
    return loaded


def parse_formats(text: str) -> tuple[str, ...]:
    """Parse names of formats that are separated by commas; each comes once.

    Raises:
        OutputError: an unknown name, or none at all.
        MissingExtraError: a format needs a library that is not installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in FORMATS and name not in formats():
            near = get_close_matches(name, formats(), 1)
            hint = f"did you mean {near[0]}?" if near else f"available: {', '.join(formats())}"
            raise OutputError(f"--format: unknown format {name!r}; {hint}")
        get_format(name).check_libraries()
    if not names:
        raise OutputError(f"--format: name at least one of {', '.join(formats())}")
    return names


def markdown_table(chosen: Iterable[Format]) -> str:
    """Make a Markdown table of formats, one row a format."""
    lines = ["| format | files | media type | needs | what it holds |", "|---|---|---|---|---|"]
    for each in chosen:
        endings = (f"`SCENE{ending.replace('{pattern}', 'PATTERN')}`" for ending in each.endings)
        files = f"`{each.file_name}`, one a run" if each.per_run else ", ".join(endings)
        needs = ", ".join([*each.needs, *([f"`nephoscope[{each.extra}]`"] if each.extra else [])])
        lines.append(f"| `{each.name}` | {files} | {each.media_type} | {needs} | {each.description} |")
    return "\n".join(lines) + "\n"
