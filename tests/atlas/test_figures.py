"""The figures of a summary: files, their titles and labels, and no use of the network."""

import io
import socket

import cv2
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from typer.testing import CliRunner

from nephoscope.atlas import figures
from nephoscope.atlas.flags import flag_attributes
from nephoscope.atlas.land import land, outlines
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import add_up, read_summary
from nephoscope.cli import app
from nephoscope.core.patterns import DEFAULT_NAMES

CLASSES = (*DEFAULT_NAMES, "Unclassified")
REGIONS = {"small": (-62, 6, 21, 14), "dateline": (165, -14, 42, 14), "belt": (-180, -30, 360, 60)}


def write_summary(path, place, satellites=("Terra", "Aqua"), days=40) -> xr.Dataset:
    """A summary of made-up flags, an overpass now and then missing, on cells of a twelfth of the height."""
    west, south, width, height = place
    step = height / 24
    rng = np.random.default_rng(0)
    shape = (days, len(satellites), 24, round(width / step))
    flags = rng.integers(0, 16, shape).astype(np.uint8)
    flags[:, :, :, : shape[3] // 8] = 16
    flags[rng.random(shape[:2]) < 0.1] = 255
    time = np.datetime64("2020-01-11", "ns") + np.arange(days) * np.timedelta64(4, "D")
    atlas = xr.Dataset(
        {
            "pattern_flags": (
                ("time", "satellite", "lat", "lon"),
                da.from_array(flags, chunks=(1, 1, 12, -1)),
                flag_attributes(DEFAULT_NAMES),
            )
        },
        {
            "time": time,
            "satellite": list(satellites),
            "lat": south + height - step * (np.arange(24) + 0.5),
            "lon": west + step * (np.arange(shape[3]) + 0.5),
        },
    )
    summarise(atlas, path, height / 12)
    return read_summary(path)


@pytest.fixture(scope="module", params=REGIONS)
def summary(request, tmp_path_factory) -> xr.Dataset:
    return write_summary(tmp_path_factory.mktemp(request.param) / "summary.nc", REGIONS[request.param])


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that are drawn, as they are when they become pictures."""
    figures_drawn = []

    def png(figure: Figure) -> bytes:
        file = io.BytesIO()
        figure.savefig(file, format="png")
        figures_drawn.append(figure)
        return file.getvalue()

    monkeypatch.setattr(figures, "png", png)
    return figures_drawn


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def labels(axes: Axes, which: str) -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{which}ticklabels")() if label.get_text()]


@pytest.mark.slow
def test_all_figures_are_written_without_a_network(summary, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    files = figures.draw(summary, tmp_path / "figures")
    seasons = [f"seasons_{name}.png" for name in CLASSES]
    assert [file.name for file in files] == [
        "frequency.png",
        *seasons,
        "cycle.png",
        "hovmoller.png",
        "diurnal.png",
    ]
    for file in files:
        picture = cv2.imread(str(file))
        assert picture.shape[1] == 1094
        assert picture.std() > 10


@pytest.mark.slow
def test_maps_name_patterns_places_days_and_units(summary, drawn):
    figures.frequency(summary)
    text = words(drawn[0])
    for word in (
        *CLASSES,
        "Coverage",
        "2020-01-11 to 2020-06-15, 40 days, ",
        "missing",
        "Hatched",
    ):
        assert word in text
    assert "share of the area with data" in text
    first = drawn[0].axes[0]
    assert any(label[-1] in "EW" or label == "180°" for label in labels(first, "x"))
    assert any(label[-1] in "NS" for label in labels(first, "y"))
    assert first.get_xlim() == (summary["longitude_bnds"].min(), summary["longitude_bnds"].max())


@pytest.mark.slow
def test_cells_with_little_data_are_hatched(summary, drawn):
    figures.frequency(summary)
    hatched = [each for each in drawn[0].axes[0].collections if each.get_hatch()]
    assert len(hatched) == 1
    coverage = (summary["seasonal_coverage"].sel(season="all") / summary["inside"]).values
    assert len(hatched[0].get_paths()) == (coverage < 0.1).sum() > 0


@pytest.mark.slow
def test_seasons_have_their_days(summary, drawn):
    figures.by_season(summary, "Sugar")
    text = words(drawn[0])
    for word in ("Sugar by season", "DJF", "MAM", "JJA", "13 days", "23 days", "4 days"):
        assert word in text
    assert "SON" not in text


@pytest.mark.slow
def test_the_cycle_shows_months_and_intervals(summary, drawn):
    columns = add_up(summary)
    figures.cycle(summary, columns)
    first, last = drawn[0].axes[0], drawn[0].axes[5]
    assert labels(last, "x") == list("JFMAMJJASOND")
    assert drawn[0].axes[3].get_xlabel() == "month"
    assert first.get_ylabel() == "frequency"
    assert "%" in labels(first, "y")[0]
    assert "95 % intervals, days resampled" in words(drawn[0])
    # Half of the area with data carries each pattern, and a sixteenth none.
    fish = (
        first.lines[-1].get_ydata() if len(first.lines[-1].get_ydata()) > 1 else first.lines[-2].get_ydata()
    )
    np.testing.assert_allclose(fish, 0.5, atol=0.05)


@pytest.mark.slow
def test_longitude_and_time(summary, drawn):
    figures.hovmoller(summary, add_up(summary))
    axes = drawn[0].axes
    assert axes[3].get_xlabel() == "longitude"
    assert axes[0].get_ylabel() == "month"
    assert axes[0].yaxis_inverted()
    assert "Means over" in words(drawn[0])


@pytest.mark.slow
def test_the_diurnal_difference_says_by_how_much(summary, drawn):
    figures.diurnal(summary, add_up(summary))
    text = words(drawn[0])
    assert "Aqua (about 13:30 local time) less Terra (about 10:30)" in text
    assert text.count(") points") == len(CLASSES)
    assert "Days seen by both" in text


@pytest.mark.slow
def test_the_command_draws_what_there_is(tmp_path):
    write_summary(tmp_path / "s.nc", REGIONS["small"], ("Aqua",), days=3).close()
    done = CliRunner().invoke(app, ["atlas", "plot", str(tmp_path / "s.nc"), "-o", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    names = [file.name for file in (tmp_path / "figures").iterdir()]
    assert "frequency.png" in names
    assert "diurnal.png" not in names


def test_the_command_refuses_an_invalid_summary(tmp_path):
    (tmp_path / "bad.nc").write_bytes(b"no")
    done = CliRunner().invoke(app, ["atlas", "plot", str(tmp_path / "bad.nc")])
    assert done.exit_code == 2
    assert "bad.nc" in done.output


def is_land(longitude: float, latitude: float, west: float, east: float) -> bool:
    rings = [np.round(ring * 1000).astype(np.int32) for ring in land((west, east))]
    point = (longitude * 1000, latitude * 1000)
    return any(cv2.pointPolygonTest(ring, point, False) > 0 for ring in rings)


@pytest.mark.parametrize(
    ("longitude", "latitude", "expected"),
    [
        (-59.55, 13.18, True),  # Barbados
        (-57.7, 13.2, False),
        (-60.0, 0.0, True),  # Amazonia
        (20.0, 5.0, True),
        (178.0, -17.8, True),  # Fiji
        (187.0, 66.0, True),  # Chukotka, past the antimeridian
        (200.0, 10.0, False),
        (204.5, 19.6, True),  # Hawaii
        (300.45, 13.18, True),  # Barbados again
    ],
)
def test_land_is_where_it_is(longitude, latitude, expected):
    west = -180 if longitude < 180 else 0
    assert is_land(longitude, latitude, west, west + 360) is expected


def test_outlines_are_closed_and_on_earth():
    rings = outlines()
    assert len(rings) > 1000
    for ring in rings:
        np.testing.assert_allclose(ring[0], ring[-1])
        assert np.abs(ring[:, 1]).max() <= 90
        assert np.abs(np.diff(ring[:, 0])).max() < 180
