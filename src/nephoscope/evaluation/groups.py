"""Groups of scenes that reports compare: by region, season, year and satellite."""

from collections.abc import Callable, Sequence

from nephoscope.core.geo import SEASONS
from nephoscope.datasets.catalogue import UNKNOWN, Record

GROUPINGS: dict[str, Callable[[Record], str]] = {
    "region": lambda record: record.region,
    "season": lambda record: record.season,
    "year": lambda record: record.season_year,
    "satellite": lambda record: record.satellite or UNKNOWN,
}
"""What scenes are grouped by, and a record's group; `unknown` where the catalogue does not state it."""


def group_scenes(records: Sequence[Record], grouping: str) -> dict[str, list[int]]:
    """Group scenes by one of `GROUPINGS`.

    Returns:
        Indices of each group's scenes, in the order of the groups' names, `unknown` last; empty where the
        group of all scenes is unknown.
    """
    groups: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        groups.setdefault(GROUPINGS[grouping](record), []).append(index)
    if set(groups) == {UNKNOWN}:
        return {}
    order = {name: position for position, name in enumerate((*SEASONS, UNKNOWN))}
    return dict(sorted(groups.items(), key=lambda group: (order.get(group[0], 0), group[0])))


def describe_record(record: Record) -> str:
    """Describe a scene in a line: image, day, satellite and region, as far as they are known."""
    parts = (record.image, str(record.day or ""), record.satellite, record.region.replace(UNKNOWN, ""))
    return ", ".join(filter(None, parts))
