"""Plans: boxes that cover a region, numbered scenes, estimates."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nephoscope.atlas.estimate import Assumptions, Estimate
from nephoscope.atlas.plan import BOX, Plan, default_margin
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds, parse_bounds, wrapped
from nephoscope.imagery.worldview import SATELLITES

BARBADOS = parse_bounds("barbados")


def make_plan(
    region=BARBADOS, first=date(2020, 1, 20), last=date(2020, 2, 20), satellites=("Terra", "Aqua"), **more
):
    return Plan(first, last, satellites, region, **more)


@st.composite
def regions(draw):
    """Boxes anywhere on Earth, in hundredths of a degree, that boxes of the atlas can cover."""
    south = draw(st.integers(-9000, 8990))
    height = draw(st.integers(10, min(9000 - south, 16800)))
    west = draw(st.integers(-18000, 17999))
    width = draw(st.integers(10, 33600))
    east = wrapped((west + width) / 100)
    return Bounds(west / 100, south / 100, 180.0 if east == -180 else east, (south + height) / 100)


@st.composite
def plans(draw):
    days = st.dates(date(2002, 6, 25), date(2023, 3, 1))
    first, more = draw(days), draw(st.integers(0, 900))
    names = draw(st.lists(st.sampled_from(sorted(SATELLITES)), min_size=1, unique=True))
    months = draw(st.lists(st.integers(1, 12), min_size=1, unique=True).map(sorted).map(tuple))
    try:
        return make_plan(draw(regions()), first, first + timedelta(days=more), tuple(names), months=months)
    except AtlasError:
        return make_plan(draw(regions()), first, first + timedelta(days=more))


def holds(box: Bounds, longitude: float, latitude: float) -> bool:
    """Whether a point lies in a box; what lies on an edge belongs to the box north or east of it."""
    return (longitude - box.west) % 360 < box.width - 1e-9 and box.south <= latitude < box.north


@given(regions(), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_every_point_of_a_region_lies_in_exactly_one_box(region, right, up):
    longitude = round(wrapped(region.west + right * region.width), 4) + 0.00005  # never on an edge
    latitude = round(region.south + up * (region.height - 0.001), 4) + 0.00005
    boxes = make_plan(region).boxes
    assert sum(holds(box, longitude, latitude) for box in boxes) == 1


@given(regions())
def test_boxes_are_of_one_size_and_cross_neither_a_pole_nor_the_antimeridian(region):
    plan = make_plan(region)
    for box in plan.boxes:
        assert box.height == pytest.approx(BOX[0])
        assert box.width == pytest.approx(BOX[1])
        assert -90 <= box.south < box.north <= 90
        assert -180 <= box.west < box.east <= 180
    assert len(set(plan.boxes)) == len(plan.boxes) == plan.shape[0] * plan.shape[1]


def test_boxes_begin_at_the_south_west_corner_and_say_how_far_they_reach():
    plan = make_plan(Bounds(-61, -10, -30, 10))
    assert plan.boxes == (
        Bounds(-61, 4, -40, 18),
        Bounds(-40, 4, -19, 18),
        Bounds(-61, -10, -40, 4),
        Bounds(-40, -10, -19, 4),
    )
    assert plan.covered == Bounds(-61, -10, -19, 18)


def test_a_region_across_the_antimeridian_has_an_edge_there():
    plan = make_plan(parse_bounds("170,0,190,14"))
    assert plan.boxes == (Bounds(159, 0, 180, 14), Bounds(-180, 0, -159, 14))


trades = st.builds(
    lambda south, height, west, width: parse_bounds(f"{west},{south},{west + width},{south + height}"),
    st.integers(-40, 20),
    st.integers(1, 20),
    st.integers(-180, 179),
    st.integers(1, 180),
)


@given(trades, st.integers(1, 125))
def test_with_a_margin_boxes_overlap_and_what_is_kept_of_them_meets(region, cells):
    plan = make_plan(region, margin=cells / 25)
    height, width = plan.step
    assert (height, width) == pytest.approx((14 - cells / 12.5, 21 - cells / 12.5))
    south, west = plan.corner
    for number, box in enumerate(plan.boxes):
        row, column = divmod(number, plan.shape[1])
        assert (box.width, box.height) == pytest.approx((21, 14))
        assert -90 <= box.south < box.north <= 90
        north = south + (plan.shape[0] - row) * height
        assert box.north == pytest.approx(north + plan.margin)
        assert abs(wrapped(box.west + plan.margin - west - column * width)) == pytest.approx(0, abs=1e-6)
    assert plan.covered.height >= region.height - 1e-6
    assert plan.covered.width >= region.width - 1e-6
    assert Plan.from_json(plan.to_json()) == plan


def test_all_around_the_earth_there_is_room_for_17_boxes():
    assert make_plan(parse_bounds("-180,-30,177,30")).shape == (5, 17)
    with pytest.raises(AtlasError, match="from -180 to 177"):
        make_plan(parse_bounds("-180,-30,180,30"))


@settings(max_examples=50)
@given(plans(), st.data())
def test_scenes_and_their_numbers_are_one_to_one(plan, data):
    number = data.draw(st.integers(0, len(plan) - 1))
    scene = plan.scene(number)
    assert scene.number == number
    assert plan.days[scene.time] == scene.overpass.day
    assert plan.satellites[scene.satellite] == scene.overpass.satellite
    assert plan.boxes[scene.row * plan.shape[1] + scene.column] == scene.overpass.bounds


@settings(max_examples=30)
@given(plans())
def test_a_plan_survives_its_file(plan):
    assert Plan.from_json(plan.to_json()) == plan


def test_a_satellites_scenes_begin_with_its_first_day():
    plan = make_plan(first=date(2002, 7, 1), last=date(2002, 7, 5))
    assert [(scene.overpass.satellite, scene.overpass.day.day) for scene in plan] == [
        ("Terra", 1),
        ("Terra", 2),
        ("Terra", 3),
        ("Terra", 4),
        ("Aqua", 4),
        ("Terra", 5),
        ("Aqua", 5),
    ]
    with pytest.raises(IndexError):
        plan.scene(7)


def test_months_choose_days():
    plan = make_plan(first=date(2019, 11, 1), last=date(2020, 3, 31), months=(1, 2, 12))
    assert len(plan.days) == 31 + 31 + 29
    assert {day.month for day in plan.days} == {12, 1, 2}


def test_a_million_scenes_are_numbered_without_being_listed():
    plan = make_plan(parse_bounds("-180,-35,177,35"), date(2003, 1, 1), date(2025, 12, 31))
    assert len(plan) == 8401 * 2 * 85
    assert plan.scene(1_000_000).overpass.day == date(2019, 2, 8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"satellites": ("Envisat",)}, "unknown satellite 'Envisat'"),
        ({"satellites": ()}, "at least one"),
        ({"satellites": ("Aqua", "Aqua")}, "each only once"),
        ({"last": date(2019, 1, 1)}, "before the first"),
        ({"last": date(2999, 1, 1)}, "in the future"),
        ({"first": date(1999, 1, 1), "last": date(1999, 12, 31)}, "started later"),
        ({"months": (13,)}, "from 1 to 12"),
        ({"margin": 5.5}, "between 0 and 5 degrees"),
        ({"margin": 1.0, "region": Bounds(-61, 76, -60, 90)}, "beyond a pole"),
        ({"margin": 4.0, "region": Bounds(0, -90, 10, -80)}, "beyond a pole"),
        ({"region": Bounds(0, -89, 10, 89)}, "beyond a pole"),
    ],
)
def test_invalid_plans_are_refused(changes, words):
    with pytest.raises(AtlasError, match=words):
        make_plan(**changes)


@pytest.mark.parametrize(
    ("region", "margin"),
    [
        ("barbados", 0),
        ("-61,10,-50,20", 0),
        ("-61,10,-39,24", 2),  # a degree wider than a box
        ("-61,10,-40,25", 2),
        ("170,0,190,14", 2),  # two boxes meet at 180°
        ("159,8,180,22", 0),
    ],
)
def test_boxes_that_meet_have_a_margin_by_default(region, margin):
    assert default_margin(parse_bounds(region)) == margin
    assert (make_plan(parse_bounds(region)).shape == (1, 1)) == (margin == 0)


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        ((), "margin           0°, the default for a region of one box\n"),
        (("--margin", "2"), "margin           2°\n"),
        (("--margin", "0"), "margin           0°\n"),
    ],
)
def test_the_command_states_the_margin(tmp_path: Path, margin, words):
    plan = ["atlas", "plan", "--region", "barbados", "--from", "2020-01-20", "--to", "2020-01-20", *margin]
    done = CliRunner().invoke(app, [*plan, "-o", str(tmp_path / "atlas.json")])
    assert done.exit_code == 0, done.output
    assert words in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a plan"),
        ("[]", "not a plan"),
        ("{}", "not a plan"),
        ("null", "not a plan"),
        (json.dumps({**json.loads(make_plan().to_json()), "scenes": 3}), "do not match"),
        (json.dumps({**json.loads(make_plan().to_json()), "boxes": [[0, 0, 21, 14]]}), "do not match"),
        (json.dumps({**json.loads(make_plan().to_json()), "plan_version": 2}), "version 2"),
        (json.dumps({**json.loads(make_plan().to_json()), "region": [0, 5, 1, 2]}), "no box on Earth"),
    ],
)
def test_an_invalid_plan_file_is_refused_by_name(tmp_path: Path, text, words):
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(AtlasError, match=words) as caught:
        Plan.read(path)
    assert "some.json" in str(caught.value)


def test_the_slower_of_archive_and_computing_decides():
    plan = make_plan()
    slow = Estimate(len(plan), Assumptions(rate=10, cores=2, connections=1, wait=3))
    assert slow.wall_hours == pytest.approx(len(plan) * 3 / 3600)
    quick = Estimate(len(plan), Assumptions(rate=0.1, cores=2, connections=100, wait=3, core_price=0.5))
    assert quick.wall_hours == pytest.approx(len(plan) * 10 / 2 / 3600)
    assert quick.price == pytest.approx(quick.wall_hours * 2 * 0.5)


def test_the_command_writes_plan_and_list_and_fits_60_columns(tmp_path: Path):
    output, listed = tmp_path / "atlas.json", tmp_path / "scenes.csv"
    words = ["atlas", "plan", "-o", output, "--region", "-180,-35,177,35", "--from", "2019-12-30"]
    words += ["--to", "2020-01-02", "--satellites", "Terra", "--scenes", listed]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert "margin           2°, the default where several boxes meet\n" in done.stdout
    assert "17° x 10° of each box" in done.stdout
    plan = Plan.read(output)
    lines = listed.read_text().splitlines()
    assert len(lines) == 1 + len(plan) == 1 + 4 * 147
    assert lines[1] == "0,Terra,2019-12-30,178,23,-161,37"
    wrong = CliRunner().invoke(app, [*map(str, words[:4]), "--region", "nowhere", *map(str, words[6:])])
    assert wrong.exit_code == 2
    assert "unknown region" in wrong.stderr
