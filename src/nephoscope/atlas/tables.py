"""Tables of a store's scenes and of their regions, as CSV, from the manifest's records.

Records are written after everything else of a scene, so the tables are as exact as the store itself, whatever
was killed meanwhile. They are written row by row, however many scenes there are.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nephoscope.atlas.manifest import Record
from nephoscope.atlas.store import Store
from nephoscope.core.io import atomic_open
from nephoscope.inference.card import Card
from nephoscope.outputs.organisation_metrics import METRICS

SCENES, REGIONS = "scenes.csv", "regions.csv"

_EDGES = ("west", "south", "east", "north")
_KEYS = ("index", "satellite", "date")  # of a scene, in both tables
_REGION = ("area_km2", "area_fraction", "longitude", "latitude", "mean_probability", "kept")


def write_tables(store: Store, folder: Path) -> list[Path]:
    """Write a table of all recorded scenes and one of their regions; returns their files.

    Each file is written atomically; existing ones are replaced. Regions have columns for their organisation
    where any was measured.

    Raises:
        AtlasError: the store cannot be read.
        OSError: a file cannot be written.
    """
    paths = [folder / SCENES, folder / REGIONS]
    groups = _pattern_groups(store.card)
    patterns, metrics = store.card.patterns, tuple(METRICS) if _has_organisation(store) else ()
    with ExitStack() as files:
        scenes, regions = (
            csv.writer(codecs.getwriter("utf-8")(files.enter_context(atomic_open(path))), lineterminator="\n")
            for path in paths
        )
        by_pattern = [f"{group}_{name}" for group in groups for name in patterns]
        scenes.writerow([*_KEYS, *_EDGES, "status", "cause", "valid", *by_pattern, "regions", "warnings"])
        regions.writerow([*_KEYS, "pattern", *_REGION, *_EDGES, *metrics])
        for _, records in store.manifest.read_all():
            for record in records:
                scenes.writerow(_scene_row(record, groups, patterns))
                regions.writerows(_region_rows(record, metrics))
    return paths


def _pattern_groups(card: Card) -> list[str]:
    """What scenes are described by for each pattern: names of entries of their records."""
    groups = {
        "cover": True,
        "cover_unbiased": bool(card.unbiased_rules),
        "score": True,
        "presence": bool(card.calibration),
    }
    return [name for name, available in groups.items() if available]


def _scene_row(record: Record, groups: Sequence[str], patterns: Sequence[str]) -> list[Any]:
    """A scene's row; what a record lacks is left empty: of failed scenes, and of version 0.1.0."""
    by_pattern = [record.get(group, {}).get(name, "") for group in groups for name in patterns]
    regions = len(record["regions"]) if "regions" in record else ""
    return [
        *(record[key] for key in _KEYS),
        *record["box"],
        record["status"],
        record.get("cause", ""),
        record.get("valid", ""),
        *by_pattern,
        regions,
        "; ".join(record.get("warnings", ())),
    ]


def _region_rows(record: Record, metrics: Sequence[str]) -> Iterator[list[Any]]:
    """A scene's regions; a metric that is undefined, or was not measured, is left empty."""
    scene = [record[key] for key in _KEYS]
    for region in record.get("regions", ()):
        own = region.get("organisation", {})
        measured = [own.get(name, "") for name in metrics]
        yield [*scene, region["pattern"], *(region[name] for name in _REGION), *region["box"], *measured]


def _has_organisation(store: Store) -> bool:
    return any(
        "organisation" in region
        for _, records in store.manifest.read_all()
        for record in records
        for region in record.get("regions", ())
    )
