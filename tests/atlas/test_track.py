"""Atlases sampled along tracks, and invalid tracks."""

import csv
import io
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from nephoscope.atlas import store
from nephoscope.atlas.flags import flag_attributes
from nephoscope.atlas.track import Track, read_track, sample
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.patterns import DEFAULT_NAMES

FISH, GRAVEL, NO_DATA, NOT_YET = 1, 4, 16, 255
ANSWERS = ("Fish", "Flower", "Gravel", "Sugar", "Unclassified")


@pytest.fixture
def atlas() -> xr.Dataset:
    """Two days, 62°W to 60°W and 12°N to 14°N, pixels of 0.5°; Terra has the first day only.

    Terra sees Fish and Gravel in the north, nothing in the south; Aqua Gravel everywhere but in a gap in the
    west.
    """
    flags = np.zeros((2, 2, 4, 4), np.uint8)
    flags[0, 0, :2] = FISH | GRAVEL
    flags[1, 0] = NOT_YET
    flags[:, 1] = GRAVEL
    flags[:, 1, :, 0] = NO_DATA
    return made(flags, -62, 14, 0.5)


def made(
    flags: np.ndarray, west: float, north: float, step: float, satellites=("Terra", "Aqua")
) -> xr.Dataset:
    days = np.datetime64("2020-02-01", "ns") + np.arange(len(flags)) * np.timedelta64(1, "D")
    lat = north - step * (np.arange(flags.shape[2]) + 0.5)
    lon = west + step * (np.arange(flags.shape[3]) + 0.5)
    lazy = da.from_array(flags, chunks=(1, 1, 2, 2))
    return xr.Dataset(
        {"pattern_flags": (("time", "satellite", "lat", "lon"), lazy, flag_attributes(DEFAULT_NAMES))},
        {"time": days, "satellite": list(satellites), "lat": lat, "lon": lon},
    )


@pytest.fixture
def along(tmp_path, atlas):
    """Samples the atlas at rows of a track."""

    def along(
        *rows: str, header: str = "time,lon,lat", atlas: xr.Dataset = atlas, **how
    ) -> list[dict[str, str]]:
        path = tmp_path / "track.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return list(csv.DictReader(io.StringIO(sample(atlas, read_track(path), **how))))

    return along


def answers(row: dict[str, str]) -> str:
    return "".join(row[name] or "-" for name in ANSWERS)


def test_the_nearest_overpass_answers(along):
    # At 60.9°W local solar time is 4.06 h behind UTC: Terra passes at 14:33 UTC, Aqua at 17:33.
    rows = along(
        "2020-02-01T14:00:00,-60.9,13.7", "2020-02-01T16:10:00,-60.9,13.7", "2020-02-01T15:00,-60.9,12.2"
    )
    assert [row["satellite"] for row in rows] == ["Terra", "Aqua", "Terra"]
    assert [float(row["hours"]) for row in rows] == pytest.approx([-0.56, -1.39, 0.44], abs=0.01)
    assert [answers(row) for row in rows] == ["10100", "00100", "00001"]
    assert [row["reason"] for row in rows] == ["", "", ""]


def test_each_satellite_answers_if_asked(along):
    rows = along("2020-02-01T14:00,-60.9,13.7", "2020-02-02T14:00,-61.8,13.7", overpass="each")
    assert [row["satellite"] for row in rows] == ["Terra", "Aqua"] * 2
    assert [answers(row) for row in rows] == ["10100", "00100", "-----", "-----"]
    assert [row["reason"] for row in rows] == ["", "", "not segmented", "no data"]


def test_outside_the_atlas_is_empty_with_a_reason(along):
    rows = along(
        "2020-02-01T14:00,-50,13",
        "2020-02-01T14:00,-61,14.1",
        "2020-02-01T14:00,-61,11.9",
        "2020-01-31T14:00,-61,13",
        "2020-03-31T14:00,-61,13",
    )
    assert [row["reason"] for row in rows] == ["outside the atlas's region"] * 3 + [
        "outside the atlas's days"
    ] * 2
    assert {answers(row) for row in rows} == {"-----"}


def test_the_day_is_that_of_local_solar_time(along):
    # 02:00 UTC at 61°W is late in the evening of the day before.
    rows = along("2020-02-02T02:00,-60.9,13.7", "2020-02-01T02:00,-60.9,13.7", overpass="each")
    assert [answers(row) for row in rows[::2]] == ["10100", "-----"]
    assert rows[2]["reason"] == "outside the atlas's days"
    assert float(rows[0]["hours"]) == pytest.approx(11.44, abs=0.01)


def test_time_zones_are_minded(along):
    rows = along("2020-02-01T14:00:00Z,-60.9,13.7", "2020-02-01T10:00:00-04:00,-60.9,13.7")
    assert rows[0]["hours"] == rows[1]["hours"]


def test_every_pixel_is_found_by_its_centre_and_corners():
    flags = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8) % 16
    atlas = made(flags, 176, 4, 1, ("Terra",))
    for right, up in [(0.5, 0.5), (0.01, 0.01), (0.99, 0.99)]:
        columns, rows = np.meshgrid(np.arange(8), np.arange(8))
        longitudes = (176 + columns.ravel() + right + 180) % 360 - 180  # across the antimeridian
        latitudes = 4 - rows.ravel() - 1 + up
        hour = np.round(-longitudes * 240).astype("timedelta64[s]")
        times = np.datetime64("2020-02-01T12:00:00") + hour
        track = Track(("id",), tuple((str(i),) for i in range(64)), times, longitudes, latitudes)
        sampled = list(csv.DictReader(io.StringIO(sample(atlas, track))))
        bits = [sum(int(row[name]) << bit for bit, name in enumerate(ANSWERS[:4])) for row in sampled]
        assert bits == flags.ravel().tolist()


def test_other_columns_are_kept_in_their_place(along):
    rows = along('7,2020-02-01T14:00,"a, b",13.7,-60.9', header="number,time,note,lat,lon")
    assert list(rows[0])[:6] == ["number", "time", "note", "lat", "lon", "satellite"]
    assert rows[0]["note"] == "a, b"
    assert answers(rows[0]) == "10100"


def test_an_empty_track_has_an_empty_answer(along):
    assert along() == []


def test_only_scenes_with_points_are_read(along):
    read = []

    def scene(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.zeros((1, 1, 2, 2), np.uint8)

    atlas = made(np.zeros((2, 1, 4, 4), np.uint8), -62, 14, 0.5, ("Terra",))
    lazy = da.map_blocks(
        scene, chunks=((1, 1), (1,), (2, 2), (2, 2)), dtype=np.uint8, meta=np.empty((0,) * 4)
    )
    atlas["pattern_flags"] = atlas["pattern_flags"].copy(data=lazy)
    along("2020-02-02T14:00,-60.9,13.7", "2020-02-02T14:00,-60.8,13.6", "2020-02-02T14:00,0,0", atlas=atlas)
    assert read == [(1, 0, 0, 1)]


def test_an_unknown_satellite_is_refused(along, atlas):
    with pytest.raises(AtlasError, match="overpass time of 'Envisat'"):
        along("2020-02-01T14:00,-60.9,13.7", atlas=atlas.assign_coords(satellite=["Terra", "Envisat"]))


def test_wrong_rows_are_named_with_their_lines(along):
    with pytest.raises(AtlasError) as caught:
        along(
            "2020-02-01T14:00,-60.9,13.7",
            "yesterday,-60,13",
            "2020-02-01,-60",
            "2020-02-01,-60,x",
            "2020-02-01,-60,99",
        )
    for words in (
        "track.csv: line 3: invalid time 'yesterday'",
        "line 4: 2 values for 3",
        "line 5",
        "line 6",
    ):
        assert words in str(caught.value)
    with pytest.raises(AtlasError, match="and 15 more"):
        along(*["never,0,0"] * 20)


@pytest.mark.parametrize("row", ["2020-02-01T14:30,,13", "2020-02-01T14:30,-60.6,NaN", ",-60.6,13"])
def test_a_row_without_position_is_kept_and_named(along, row):
    rows = along("2020-02-01T14:30,-60.6,13.6", row)
    assert rows[0]["reason"] == ""
    assert rows[1]["reason"] == "no position"
    assert {rows[1][name] for name in (*ANSWERS, "satellite", "hours")} == {""}


@pytest.mark.parametrize("lon", ["inf", "361", "-181", "x"])
def test_an_invalid_location_is_refused(along, lon):
    with pytest.raises(AtlasError, match="line 2"):
        along(f"2020-02-01,{lon},0")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("time,longitude,lat", "no column lon"),
        ("time,lon,lat,Fish", "column Fish"),
        ("", "no column time, lon, lat"),
    ],
)
def test_wrong_columns_are_refused(along, header, words):
    with pytest.raises(AtlasError, match=words):
        along(header=header)


def test_not_a_text_file(tmp_path):
    (tmp_path / "track.csv").write_bytes(b"\xff\xd8\xff\xe0\x00")
    with pytest.raises(AtlasError, match="not a CSV"):
        read_track(tmp_path / "track.csv")


def test_the_command_writes_a_csv(atlas, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "open_atlas", lambda address: atlas)
    (tmp_path / "track.csv").write_text("time,lon,lat\n2020-02-01T14:00,-60.9,13.7\n")

    def run(*more: str):
        return CliRunner().invoke(
            app,
            ["atlas", "track", "STORE", str(tmp_path / "track.csv"), "-o", str(tmp_path / "out.csv"), *more],
        )

    done = run("--overpass", "each")
    assert done.exit_code == 0, done.output
    assert len(Path(tmp_path / "out.csv").read_text().splitlines()) == 3
    assert run().exit_code == 2
    assert run("--overwrite").exit_code == 0
    assert len(Path(tmp_path / "out.csv").read_text().splitlines()) == 2
    (tmp_path / "track.csv").write_text("time,lon,lat\nnow,-60.9,13.7\n")
    done = run("--overwrite")
    assert done.exit_code == 2
    assert "line 2" in done.output
