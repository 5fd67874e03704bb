"""The numbers of regions by area are those that were planted."""

import csv
import io
from datetime import date

import numpy as np
import pytest
from typer.testing import CliRunner

from nephoscope.atlas.manifest import scene_entries
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.region_sizes import region_sizes
from nephoscope.atlas.store import create
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds, area_km2

DAYS = 20
MARGIN = 2.0


def region(pattern, area, kept=1.0, longitude=-50.0, latitude=12.0):
    where = {"longitude": longitude, "latitude": latitude}
    return {"pattern": pattern, "area_km2": area, "kept": kept, **where}


@pytest.fixture
def store(tmp_path, card):
    """A store whose records have a large Fish a day, two small Flowers of which one is half in the margin."""
    plan = Plan(date(2020, 1, 1), date(2020, 1, DAYS), ("Aqua",), Bounds(-62, 6, -41, 20), margin=MARGIN)
    made = create(str(tmp_path / "atlas.zarr"), plan, card, "0" * 64)
    regions = [region("Fish", 50_000.0), region("Flower", 2000.0), region("Flower", 2500.0, 0.5)]
    for number, scenes in enumerate(made.layout.batches):
        records = []
        for index in scenes:
            own = regions if index % 2 == 0 else regions[:1]
            done = {"status": "done", "valid": 0.5, "cover": {}, "score": {}, "regions": own}
            records.append({**scene_entries(made.layout.scene(index)), **done})
        made.manifest.write(number, records)
    return made


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_regions_are_counted_by_their_area(store):
    scenes = len(store.layout)
    rows = [row for row in rows_of(region_sizes(store, land="include")) if float(row["regions"])]
    assert [(row["pattern"], row["from_km2"], row["to_km2"]) for row in rows] == [
        ("Fish", "31623", "56234"),
        ("Flower", "1778", "3162"),
    ]
    assert float(rows[0]["regions"]) == scenes
    assert float(rows[1]["regions"]) == pytest.approx(1.5 * scenes / 2)
    area = DAYS * area_km2(np.ones((140, 20), bool), store.plan.region)  # though the boxes cover more
    assert store.plan.covered != store.plan.region
    for row in rows:
        expected = 1e6 * float(row["regions"]) / (0.5 * area)
        assert float(row["per_million_km2"]) == pytest.approx(expected, rel=1e-4)
        assert float(row["low"]) <= float(row["per_million_km2"]) <= float(row["high"])
    assert rows[0]["low"] == rows[0]["high"]  # every day has as many Fish
    assert {row["pattern"] for row in rows_of(region_sizes(store))} == set(store.card.patterns)


@pytest.mark.parametrize(
    ("longitude", "latitude", "counted", "words"),
    [
        (-50, 12, 1, "over the sea of the region"),
        (-50, 22, 0, "north of it, where boxes reach"),
        (-63, 12, 1, "in the margin, whose kept part is in the region"),
        (-61.3, 10.4, 0, "on Trinidad"),
    ],
)
def test_the_centroid_decides_whether_a_region_counts(tmp_path, card, longitude, latitude, counted, words):
    plan = Plan(date(2020, 1, 1), date(2020, 1, 1), ("Aqua",), Bounds(-62, 6, -41, 20), margin=MARGIN)
    made = create(str(tmp_path / "atlas.zarr"), plan, card, "0" * 64)
    done = {"status": "done", "valid": 1.0, "cover": {}, "score": {}, "regions": []}
    records = [{**scene_entries(made.layout.scene(index)), **done} for index in made.layout.batches[0]]
    records[0]["regions"] = [region("Fish", 2000.0, longitude=longitude, latitude=latitude)]
    made.manifest.write(0, records)
    sea, all_of_it = (rows_of(region_sizes(made, land=land)) for land in ("exclude", "include"))
    assert sum(float(row["regions"]) for row in sea) == counted, words
    if counted:  # over less area
        assert max(float(row["per_million_km2"]) for row in sea) > max(
            float(row["per_million_km2"]) for row in all_of_it
        )


def test_a_store_without_records_says_so(tmp_path, card):
    plan = Plan(date(2020, 1, 1), date(2020, 1, 1), ("Aqua",), Bounds(-62, 6, -41, 20))
    empty = create(str(tmp_path / "atlas.zarr"), plan, card, "0" * 64)
    with pytest.raises(AtlasError, match=r"atlas\.zarr: no scene with data has its regions recorded"):
        region_sizes(empty)


def test_the_command_writes_the_table_once(store, tmp_path):
    words = ["atlas", "sizes", store.address, "-o", str(tmp_path / "sizes.csv")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert len(rows_of((tmp_path / "sizes.csv").read_text())) == 4 * 20
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "exists; use --overwrite" in done.stderr
