"""Which scenes an atlas is made of: every satellite's pass over every box of a region on every day.

A region is covered by boxes of 21° x 14°, which is what people were shown when they labelled and what models
learned from. Each box of a day is one scene, and one chunk of the store. People draw less near a picture's
border, and so do models: with a margin, boxes overlap and only the middle of each is kept.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from nephoscope.core.errors import AtlasError, LocationError
from nephoscope.core.geo import Bounds, Overpass, parse_bounds, parse_day, wrapped
from nephoscope.core.io import atomic_write
from nephoscope.imagery.worldview import SATELLITES

BOX = (14.0, 21.0)
"""Height and width of a box in degrees."""

_WIDEST_MARGIN = 5.0  # degrees; leaves 4 of a box's 14
_VERSION = 1
_ROUNDED = 9  # digits; an edge is the sum of a corner and some boxes, and need not show how it was added


class PlannedScene(NamedTuple):
    """One scene and where it goes in the store.

    Attributes:
        number: in the plan, from 0.
        time: position of its day among the plan's days.
        satellite: position of its satellite among the plan's.
        row: of its box, from the north.
        column: of its box, from the west.
        overpass: what to ask an archive for.
    """

    number: int
    time: int
    satellite: int
    row: int
    column: int
    overpass: Overpass


@dataclass(frozen=True)
class Plan:
    """A period, satellites and a region; the scenes follow, in order of day, satellite and box.

    Attributes:
        first: first day.
        last: last day, which belongs to the period.
        satellites: names of those that are asked for; days before a satellite's first are left out.
        region: what is to be covered; the boxes may reach beyond it.
        months: numbers of the months that are looked at.
        margin: degrees that are looked at around what is kept of each box.

    Raises:
        AtlasError: no scene would be in it, or a value makes no sense.
    """

    first: date
    last: date
    satellites: tuple[str, ...]
    region: Bounds
    months: tuple[int, ...] = tuple(range(1, 13))
    margin: float = 0.0

    def __post_init__(self) -> None:
        if unknown := [name for name in self.satellites if name not in SATELLITES]:
            raise AtlasError(f"no satellite {unknown[0]!r}; there are {', '.join(SATELLITES)}")
        if len(set(self.satellites)) != len(self.satellites) or not self.satellites:
            raise AtlasError("name each satellite once, and one at least")
        if self.last < self.first:
            raise AtlasError(f"the last day, {self.last}, is before the first, {self.first}")
        if self.last > datetime.now(UTC).date():
            raise AtlasError(f"{self.last} is still to come")
        if list(self.months) != sorted(set(self.months) & set(range(1, 13))) or not self.months:
            raise AtlasError(f"months are numbers from 1 to 12, in order and each once, not {self.months}")
        if not 0 <= self.margin <= _WIDEST_MARGIN:
            raise AtlasError(f"a margin has 0 to {_WIDEST_MARGIN:g} degrees, not {self.margin:g}")
        (height, width), (rows, columns) = self.step, self.shape
        south, north = self.corner[0] - self.margin, self.corner[0] + rows * height + self.margin
        if south < -90 - 1e-6 or north > 90 + 1e-6:
            raise AtlasError(f"{rows} boxes, {height:g}° apart, reach beyond a pole: give a lower region")
        if columns * width > 360:
            most = int(360 // width)
            raise AtlasError(
                f"{most} boxes, {width:g}° apart, that meet at 180° are the most that fit around the Earth, "
                f"from -180 to {most * width - 180:g}: the region needs one more; give a narrower one"
            )
        if not len(self):
            raise AtlasError(
                f"no scene from {self.first} to {self.last}: the satellites came later, or no such month"
            )

    @property
    def step(self) -> tuple[float, float]:
        """Height and width of what is kept of a box, in degrees."""
        return round(BOX[0] - 2 * self.margin, _ROUNDED), round(BOX[1] - 2 * self.margin, _ROUNDED)

    @cached_property
    def corner(self) -> tuple[float, float]:
        """South and west of what is kept of the lowest, leftmost box, in degrees.

        They are the region's, unless boxes would then reach beyond a pole or across 180° east, where one day
        ends and another begins: there the boxes are moved, so that one ends at it.
        """
        height, width = self.step
        south = min(self.region.south, 90 - self.margin - height * _boxes(self.region.height, height))
        west = self.region.west
        if west + width * _boxes(self.region.width, width) > 180:
            west = 180 - width * _boxes(180 - west, width)
        return round(south, _ROUNDED), round(west, _ROUNDED)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Boxes from north to south and from west to east."""
        south, west = self.corner
        north, east = self.region.north, self.region.west + self.region.width
        return _boxes(north - south, self.step[0]), _boxes(east - west, self.step[1])

    @cached_property
    def covered(self) -> Bounds:
        """What is kept of all boxes together: the region or more."""
        (south, west), (rows, columns), (height, width) = self.corner, self.shape, self.step
        return _bounds(west, south, columns * width, rows * height)

    @cached_property
    def boxes(self) -> tuple[Bounds, ...]:
        """All boxes with their margins, the northern ones first, each row from west to east."""
        (south, west), (rows, columns) = self.corner, self.shape
        height, width = self.step
        south, west = south - self.margin, west - self.margin
        return tuple(
            _bounds(west + column * width, south + (rows - 1 - row) * height, BOX[1], BOX[0])
            for row in range(rows)
            for column in range(columns)
        )

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The days on which at least one of the satellites is asked for."""
        start = max(self.first, min(SATELLITES[name].first for name in self.satellites))
        days = (start + timedelta(days) for days in range((self.last - start).days + 1))
        return tuple(day for day in days if day.month in self.months)

    @cached_property
    def _flying(self) -> tuple[tuple[int, ...], ...]:
        """For each day the satellites, by position, that had begun."""
        starts = [SATELLITES[name].first for name in self.satellites]
        return tuple(tuple(n for n, start in enumerate(starts) if day >= start) for day in self.days)

    @cached_property
    def _begins(self) -> tuple[int, ...]:
        """For each day the index of its first scene; then the number of all scenes."""
        return tuple(accumulate((len(flying) * len(self.boxes) for flying in self._flying), initial=0))

    def __len__(self) -> int:
        return self._begins[-1]

    def __iter__(self) -> Iterator[PlannedScene]:
        return map(self.scene, range(len(self)))

    def scene(self, number: int) -> PlannedScene:
        """A scene by its number.

        Raises:
            IndexError: there are not so many.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"no scene {number}: there are {len(self)}")
        time = bisect_right(self._begins, number) - 1
        which, box = divmod(number - self._begins[time], len(self.boxes))
        satellite = self._flying[time][which]
        overpass = Overpass(self.satellites[satellite], self.days[time], self.boxes[box])
        return PlannedScene(number, time, satellite, *divmod(box, self.shape[1]), overpass)

    def number(self, overpass: Overpass) -> int:
        """A scene's number.

        Raises:
            AtlasError: it is not in the plan.
        """
        try:
            time = self.days.index(overpass.day)
            which = self._flying[time].index(self.satellites.index(overpass.satellite))
            return self._begins[time] + which * len(self.boxes) + self.boxes.index(overpass.bounds)
        except ValueError:
            raise AtlasError(f"not in the plan: {overpass}") from None

    def to_json(self) -> str:
        """The plan as JSON text, with the boxes and the number of scenes that follow from it."""
        content = {
            "plan_version": _VERSION,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "months": list(self.months),
            "margin": self.margin,
            "satellites": list(self.satellites),
            "region": list(self.region),
            "boxes": [list(box) for box in self.boxes],
            "scenes": len(self),
        }
        return json.dumps(content) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "plan") -> "Plan":
        """Read a plan.

        Args:
            text: as `to_json` writes it.
            name: what to call it in messages.

        Raises:
            AtlasError: no plan, or its boxes or scenes are not those that follow from the rest.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            version = content["plan_version"]
            plan = cls(
                parse_day(content["first"]),
                parse_day(content["last"]),
                tuple(map(str, content["satellites"])),
                parse_bounds(",".join(map(str, content["region"]))),
                tuple(map(int, content["months"])),
                float(content["margin"]),
            )
            stated = ([tuple(box) for box in content["boxes"]], content["scenes"])
        except (AtlasError, LocationError) as error:
            raise AtlasError(f"{name}: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise AtlasError(f"{name}: no plan (`nephoscope atlas plan` makes them): {error!r}") from error
        if version != _VERSION:
            raise AtlasError(f"{name}: plan version {version}, this nephoscope reads {_VERSION}")
        if stated != (list(plan.boxes), len(plan)):
            raise AtlasError(
                f"{name}: its boxes or number of scenes do not follow from its region and period: it was "
                "changed by hand or made by another nephoscope; plan again"
            )
        return plan

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Read a plan from its file.

        Raises:
            AtlasError: not there, cannot be read, or no plan.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), str(path))
        except OSError as error:
            raise AtlasError(f"{path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise AtlasError(f"{path}: no plan: not even text") from error

    def write(self, path: Path) -> None:
        """Write the plan to a file.

        Raises:
            OSError: the file cannot be written.
        """
        atomic_write(path, self.to_json().encode())


def write_scenes(plan: Plan, path: Path) -> None:
    """List all scenes of a plan in a CSV file: index, satellite, date and edges.

    Raises:
        OSError: the file cannot be written.
    """
    lines = ["index,satellite,date,west,south,east,north"]
    for number, *_, (satellite, day, box) in plan:
        lines.append(f"{number},{satellite},{day},{','.join(f'{edge:.10g}' for edge in box)}")
    atomic_write(path, ("\n".join(lines) + "\n").encode())


def parse_months(text: str) -> tuple[int, ...]:
    """Months from their numbers with commas between, in any order.

    Raises:
        AtlasError: something else.
    """
    try:
        return tuple(sorted({int(number) for number in text.split(",")}))
    except ValueError:
        raise AtlasError(f"{text!r} are no months: give numbers, as 12,1,2") from None


def _boxes(length: float, side: float) -> int:
    """How many boxes reach over a length; what is off by rounding does not need one more."""
    return math.ceil(round(length / side, _ROUNDED))


def _bounds(west: float, south: float, width: float, height: float) -> Bounds:
    """A box as archives are asked for it: longitudes within -180 to 180."""
    west, south, east, north = (round(edge, _ROUNDED) for edge in (west, south, west + width, south + height))
    return Bounds(wrapped(west), south, 180.0 if east == 180 else round(wrapped(east), _ROUNDED), north)
