"""The figures of a summary: files, their titles and labels, and no use of the network."""

import re
import socket

import cv2
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from typer.testing import CliRunner

from nephoscope.atlas.figure_maps import by_season, diurnal, frequency
from nephoscope.atlas.figure_time import cycle, hovmoller
from nephoscope.atlas.figures import draw
from nephoscope.atlas.flags import flag_attributes
from nephoscope.atlas.land import land, outlines
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import add_up, read_summary
from nephoscope.cli import app
from nephoscope.core.patterns import DEFAULT_NAMES

CLASSES = (*DEFAULT_NAMES, "Unclassified")
REGIONS = {"small": (-62, 6, 21, 14), "dateline": (165, -14, 42, 14), "belt": (-180, -30, 360, 60)}


def write_summary(path, place, satellites=("Terra", "Aqua"), days=40, missing=0.1) -> xr.Dataset:
    """A summary of made-up flags, an overpass now and then missing, on cells of a twelfth of the height."""
    west, south, width, height = place
    step = height / 24
    rng = np.random.default_rng(0)
    shape = (days, len(satellites), 24, round(width / step))
    flags = rng.integers(0, 16, shape).astype(np.uint8)
    flags[:, :, :, : shape[3] // 8] = 16
    flags[rng.random(shape[:2]) < missing] = 255
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


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> xr.Dataset:
    return write_summary(tmp_path_factory.mktemp("small") / "summary.nc", REGIONS["small"])


def labels(axes: Axes, which: str) -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{which}ticklabels")() if label.get_text()]


def laid_out(figure: Figure) -> Figure:
    """The figure with the ticks that it has as a picture."""
    figure.draw_without_rendering()
    return figure


@pytest.mark.slow
def test_all_figures_are_written_without_a_network(summary, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    drawn = draw(summary, tmp_path / "figures")
    seasons = [f"seasons_{name}.png" for name in CLASSES]
    names = ["frequency.png", *seasons, "cycle.png", "hovmoller.png", "diurnal.png"]
    assert [file.name for file in drawn.files] == names
    assert drawn.left_out.keys() == {"anomalies", "trends"}  # of one year
    for file in drawn.files:
        picture = cv2.imread(str(file))
        assert picture.shape[1] == 1094
        assert picture.std() > 10


@pytest.mark.slow
def test_maps_name_patterns_place_period_and_units(small):
    figure = laid_out(frequency(small))
    text = words(figure)
    for word in (*CLASSES, "Coverage", "; 2020-01-11 to 2020-06-15", "40 days, ", "missing", "Hatched"):
        assert word in text
    assert "share of the area with data" in text
    first = figure.axes[0]
    assert any(label[-1] in "EW" or label == "180°" for label in labels(first, "x"))
    assert any(label[-1] in "NS" for label in labels(first, "y"))
    assert (first.get_xlim(), first.get_ylim()) == ((-62, -41), (6, 20))  # not the cells beyond


@pytest.mark.slow
def test_cells_with_little_data_are_hatched(small):
    hatched = [each for each in frequency(small).axes[0].collections if each.get_hatch()]
    assert len(hatched) == 1
    counted = small["inside"] - small["land"]
    little = small["seasonal_coverage"].sel(season="all") < 0.1 * counted
    assert len(hatched[0].get_paths()) == (little & (counted > 1e-6)).values.sum() > 0


@pytest.mark.slow
def test_seasons_have_their_days(small):
    text = words(by_season(small, "Sugar"))
    for word in ("Sugar by season", "DJF", "MAM", "JJA", "13 days", "23 days", "4 days"):
        assert word in text
    assert "SON" not in text


@pytest.mark.slow
def test_the_cycle_shows_months_and_intervals(small):
    figure = laid_out(cycle(small, add_up(small)))
    first, last = figure.axes[0], figure.axes[5]
    assert labels(last, "x") == list("JFMAMJJASOND")
    assert figure.axes[3].get_xlabel() == "month"
    assert first.get_ylabel() == "frequency"
    assert "%" in labels(first, "y")[0]
    assert "95 % intervals, days resampled" in words(figure)
    # Half of the area with data carries each pattern, and a sixteenth none. From July on there are no days.
    (fish,) = [line.get_ydata() for line in first.lines if line.get_linestyle() == "-"]
    np.testing.assert_allclose(fish[:6], 0.5, atol=0.05)
    assert np.isnan(fish[6:]).all()


@pytest.mark.slow
def test_longitude_and_time(small):
    figure = hovmoller(small, add_up(small))
    axes = figure.axes
    assert axes[3].get_xlabel() == "longitude"
    assert axes[0].get_ylabel() == "month"
    assert axes[0].yaxis_inverted()
    assert "Means over" in words(figure)


@pytest.mark.slow
def test_the_diurnal_difference_says_by_how_much(small):
    text = words(diurnal(small, add_up(small)))
    assert "Aqua (about 13:30 local time) less Terra (about 10:30)" in text
    assert len(re.findall(r"[+−]\d+\.\d \([+−]\d+\.\d to [+−]\d+\.\d\)", text)) == len(CLASSES)
    assert "Only days on which both saw a cell" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("days", "satellites", "names"),
    [
        (1, ("Terra", "Aqua"), ["frequency"]),
        (3, ("Aqua",), ["frequency", "hovmoller"]),
        (8, ("Terra", "Aqua"), ["frequency", "hovmoller", "diurnal"]),
    ],
)
def test_figures_that_need_more_days_are_left_out_with_the_reason(tmp_path, days, satellites, names):
    write_summary(tmp_path / "s.nc", REGIONS["small"], satellites, days, missing=0).close()
    done = CliRunner().invoke(app, ["atlas", "plot", str(tmp_path / "s.nc"), "-o", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    assert [file.stem for file in sorted((tmp_path / "figures").iterdir())] == sorted(names)
    others = {"seasons_Fish", "cycle", "anomalies", "hovmoller", "diurnal", "trends"} - set(names)
    for name in others:
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("left out") and name in line]
        assert ": needs " in line


@pytest.mark.slow
@pytest.mark.parametrize("days", [1, 3])
def test_figures_of_few_days_have_a_scale_that_fits_and_no_nan(tmp_path, days):
    summary = write_summary(tmp_path / "s.nc", REGIONS["small"], days=days, missing=0)
    figure = laid_out(frequency(summary))
    text = words(figure)
    assert "nan" not in text
    assert ("; 2020-01-11\n" if days == 1 else "; 2020-01-11 to 2020-01-19") in text
    assert f"{days} day{'s' if days > 1 else ''}, Terra and Aqua" in text
    (hatched,) = [each for each in figure.axes[0].collections if each.get_hatch()]
    without = (summary["seasonal_coverage"].sel(season="all") == 0) & (summary["inside"] > summary["land"])
    assert len(hatched.get_paths()) == without.values.sum()
    ticks = labels(figure.axes[-1], "x")
    assert len(set(ticks)) == len(ticks) > 3
    mesh = figure.axes[0].collections[0]
    assert 0.7 * mesh.get_array().max() <= mesh.norm.vmax <= 1


@pytest.mark.slow
@pytest.mark.parametrize("place", [(-40, -10, 3, 30), (-60, 12, 30, 2), (-40, 12, 2, 2)])
def test_narrow_regions_have_legible_figures_of_a_page(tmp_path, place):
    summary = write_summary(tmp_path / "s.nc", place, days=12)
    for figure in (frequency(summary), diurnal(summary, add_up(summary))):
        laid_out(figure)
        assert figure.get_figheight() < 11
        boxes = [each.get_tightbbox() for each in figure.axes[:6]]
        for number, box in enumerate(boxes):
            assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert not any(overlap(box, other) for other in boxes[:number])


def overlap(one, other) -> bool:
    """Whether two boxes share more than a pixel's rounding."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    return across > 2 and min(one.y1, other.y1) - max(one.y0, other.y0) > 2


@pytest.mark.slow
def test_formats_for_papers(tmp_path):
    write_summary(tmp_path / "s.nc", REGIONS["small"], days=2).close()
    words = ["atlas", "plot", str(tmp_path / "s.nc"), "-o", str(tmp_path), "--format", "png,pdf,SVG"]
    done = CliRunner().invoke(app, [*words, "--dpi", "100"])
    assert done.exit_code == 0, done.output
    assert cv2.imread(str(tmp_path / "frequency.png")).shape[1] == 760
    pdf, svg = ((tmp_path / f"frequency.{ending}").read_bytes() for ending in ("pdf", "svg"))
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert b"/FontFile2" in pdf  # a TrueType font
    assert b"<svg" in svg[:2000]
    done = CliRunner().invoke(app, [*words[:-1], "tiff"])
    assert done.exit_code == 2
    assert "unknown format 'tiff'; available: png, pdf, svg" in done.stderr


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
