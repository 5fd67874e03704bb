"""Catalogues, and splits that never divide a group."""

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nephoscope.core.errors import DatasetError
from nephoscope.core.geo import Bounds
from nephoscope.datasets.catalogue import Record, read_catalogue
from nephoscope.datasets.splits import Folds, group_kfold, season_blocks, split

BARBADOS, PACIFIC = Bounds(-61, 10, -40, 24), Bounds(159, 8, 180, 22)


def scenes(days=40, undated=0):
    """Two satellites over two regions on each day, and some scenes of unknown day."""
    dated = [
        Record(
            f"{satellite}{day}{bounds.west:g}.jpg", "", satellite, date(2015, 11, 1) + timedelta(day), bounds
        )
        for day in range(days)
        for satellite in ("Terra", "Aqua")
        for bounds in (BARBADOS, PACIFIC)
    ]
    return dated + [Record(f"undated{number}.jpg") for number in range(undated)]


def test_records_are_read(tmp_path):
    path = tmp_path / "scenes.csv"
    path.write_text(
        "image,split,satellite,date,west,south,east,north\n"
        "a.jpg,train,Terra,2015-12-31,-61,10,-40,24\nb.jpg,val,,,,,,\n"
    )
    known = read_catalogue(path)
    assert known["a.jpg"] == Record("a.jpg", "train", "Terra", date(2015, 12, 31), BARBADOS)
    assert known["a.jpg"].region == "61°W-40°W 10°N-24°N"
    assert (known["a.jpg"].season, known["a.jpg"].season_year) == ("DJF", "2016")
    assert (known["b.jpg"].region, known["b.jpg"].season) == ("unknown", "unknown")
    assert known["b.jpg"].group == "b.jpg"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("image,split\na.jpg,train\n", "missing columns: satellite, date"),
        ("image,split,satellite,date,west,south,east,north\na.jpg,,,2015-13-01,,,,\n", "line 2"),
        ("image,split,satellite,date,west,south,east,north\na.jpg,,,,x,1,2,3\n", "line 2"),
        ("image,split,satellite,date,west,south,east,north\na.jpg\n", "line 2"),
        (
            "image,split,satellite,date,west,south,east,north\na.jpg,vla,,,,,,\n",
            "line 2: unknown split 'vla'",
        ),
        ("image,split,satellite,date,west,south,east,north\na.jpg,,,,nan,1,2,3\n", "invalid bounds"),
        ("image,split,satellite,date,west,south,east,north\na.jpg,,,,0,5,2,3\n", "invalid bounds"),
        ("image,split,satellite,date,west,south,east,north\na,,,,,,,\na,,,,,,,\n", "line 3: a second row"),
    ],
)
def test_a_catalogue_in_another_form_is_refused(tmp_path, content, reason):
    path = tmp_path / "scenes.csv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=reason):
        read_catalogue(path)


def test_the_catalogues_own_split_is_followed():
    records = [Record("a", "train"), Record("b", "val"), Record("c", "train"), Record("d", "")]
    assert split(records) == ([0, 2], [1])


@pytest.mark.parametrize("fold", range(5))
def test_a_regions_day_is_never_on_both_sides(fold):
    records = scenes(undated=30)
    training, validation = split(records, Folds(5, fold))
    assert sorted(training + validation) == list(range(len(records)))
    assert not {records[i].group for i in training} & {records[i].group for i in validation}
    assert all(records[i].day for i in validation)  # an undated scene may be of any day
    assert len(validation) == pytest.approx(32, abs=2)


def test_folds_cover_every_dated_scene_once():
    records = scenes(undated=3)
    held_out = [i for fold in range(4) for i in split(records, Folds(4, fold))[1]]
    assert sorted(held_out) == list(range(len(records) - 3))


def test_without_dates_scenes_are_assigned_by_seed():
    records = [Record(f"{number}.jpg") for number in range(50)]
    assert split(records, Folds(5), seed=1) == split(records, Folds(5), seed=1)
    assert split(records, Folds(5), seed=1) != split(records, Folds(5), seed=2)
    assert len(split(records)[1]) == 5


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 3))
def test_no_group_is_divided(groups, folds, seed):
    names = [str(group) for group in groups]
    of = group_kfold(names, folds, seed)
    assert len({(name, fold) for name, fold in zip(names, of, strict=True)}) == len(set(names))
    sizes = Counter(of)
    largest = max(Counter(names).values())
    assert max(sizes.values()) - min(sizes.get(fold, 0) for fold in range(folds)) <= largest


def test_a_catalogue_with_one_side_only_is_refused():
    with pytest.raises(DatasetError, match="every scene with a split is in 'val'; use --folds"):
        split([Record("a", "val"), Record("b", ""), Record("c", "val")])
    assert split([Record("a", "val"), Record("b", "val")], Folds(2))  # but may be, if that is asked for


def test_there_are_no_more_folds_than_days():
    with pytest.raises(DatasetError, match="no more folds than days"):
        split(scenes(3), Folds(3_000_000_000))


@pytest.mark.parametrize(("folds", "fold"), [(5, 5), (5, -1), (1, 0), (5, 2)])
def test_invalid_folds_are_refused(folds, fold):
    records = scenes(1)[:2] if fold == 2 else scenes(10)
    with pytest.raises(DatasetError):
        split(records, Folds(folds, fold))


def of_years(*years, undated=0):
    """A scene of each June, those of 2016 marked `val`, and undated ones."""
    dated = [
        Record(f"{year}.jpg", "val" if year == 2016 else "train", day=date(year, 6, 1)) for year in years
    ]
    return [*dated, *(Record(f"{number}.jpg", "train") for number in range(undated))]


def test_blocks_of_seasons_are_consecutive_and_validation_seasons_the_last():
    records = of_years(*range(2016, 2006, -1), undated=2)
    assert season_blocks(records, 4) == [3, 2, 2, 2, 1, 1, 1, 0, 0, 0, -1, -1]
    for block in range(4):
        training, validation = split(records, Folds(4, block, "season"))
        assert {records[i].season_year for i in training}.isdisjoint(
            records[i].season_year for i in validation
        )
        assert sorted(training + validation) == list(range(12))
        assert all(records[i].day for i in validation)


def test_december_belongs_to_the_block_of_the_next_year():
    days = (date(2010, 11, 30), date(2010, 12, 1), date(2011, 6, 1))
    records = [Record(f"{day}.jpg", day=day) for day in days]
    assert season_blocks(records, 2) == [0, 1, 1]


def test_blocks_of_seasons_that_cannot_be_made_are_refused():
    with pytest.raises(DatasetError, match="5 blocks of 4 season-years"):
        split(of_years(2013, 2014, 2015, 2016), Folds(5, 0, "season"))
    with pytest.raises(DatasetError, match="add --folds"):
        split(of_years(2013, 2014), Folds(by="season"))
