"""Plan an atlas: every satellite's pass over every box of a region on every day.

A region is covered by boxes of 21° x 14°, the size of the images that people labelled and models learned
from. Each box of a day is one scene, and one chunk of the store. People and models mark less near an image's
border: with a margin, boxes overlap and only the middle of each is kept.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from nephoscope.core.errors import AtlasError, NephoscopeError
from nephoscope.core.geo import Bounds, Overpass, parse_bounds, parse_day, wrapped
from nephoscope.core.io import atomic_write
from nephoscope.imagery.worldview import SATELLITES

BOX = (14.0, 21.0)
"""Height and width of a box in degrees."""

_MARGIN = 2.0  # degrees; docs/climatology.md says why
_MAX_MARGIN = 5.0  # degrees; leaves 4 of a box's 14
_VERSION = 1
_DECIMALS = 9  # of degrees; hides the rounding errors of sums


class PlannedScene(NamedTuple):
    """One scene: its number in the plan, its indices in the store (rows from the north) and its overpass."""

    number: int
    time: int
    satellite: int
    row: int
    column: int
    overpass: Overpass


def default_margin(region: Bounds) -> float:
    """The margin in degrees of a plan that states none: 2 where several boxes meet, 0 for one box.

    Fewer patterns are detected near a box's border. Where boxes meet, the borders would show on a map.
    """
    across = region.west + region.width > 180  # where no box may lie
    one = region.height <= BOX[0] and region.width <= BOX[1] and not across
    return 0.0 if one else _MARGIN


@dataclass(frozen=True)
class Plan:
    """A period, satellites and a region; its scenes are in order of day, satellite and box.

    Attributes:
        first, last: days, both included.
        satellites: days before a satellite's first are left out.
        region: to cover; the boxes may reach beyond it.
        months: numbers of the months to include.
        margin: degrees around the kept part of each box that the model sees, too.

    Raises:
        AtlasError: the plan has no scenes, or a value is invalid.
    """

    first: date
    last: date
    satellites: tuple[str, ...]
    region: Bounds
    months: tuple[int, ...] = tuple(range(1, 13))
    margin: float = 0.0

    def __post_init__(self) -> None:
        if unknown := [name for name in self.satellites if name not in SATELLITES]:
            raise AtlasError(f"unknown satellite {unknown[0]!r}; available: {', '.join(SATELLITES)}")
        if len(set(self.satellites)) != len(self.satellites) or not self.satellites:
            raise AtlasError("give at least one satellite, and each only once")
        if self.last < self.first:
            raise AtlasError(f"the last day, {self.last}, is before the first, {self.first}")
        if self.last > datetime.now(UTC).date():
            raise AtlasError(f"the last day, {self.last}, is in the future")
        if list(self.months) != sorted(set(self.months) & set(range(1, 13))) or not self.months:
            raise AtlasError(f"months must be different numbers from 1 to 12 in order, got {self.months}")
        if not 0 <= self.margin <= _MAX_MARGIN:
            raise AtlasError(f"margin must be between 0 and {_MAX_MARGIN:g} degrees, got {self.margin:g}")
        (height, width), (rows, columns) = self.step, self.shape
        south, north = self.corner[0] - self.margin, self.corner[0] + rows * height + self.margin
        if south < -90 - 1e-6 or north > 90 + 1e-6:
            raise AtlasError(
                f"{rows} rows of boxes, {height:g}° apart, reach beyond a pole; give a region farther from it"
            )
        if columns * width > 360:
            most = int(360 // width)
            raise AtlasError(
                f"the region needs more boxes than fit around the Earth: {most}, {width:g}° apart, reach "
                f"from -180 to {most * width - 180:g}; give a narrower region"
            )
        if not len(self):
            raise AtlasError(
                f"no scenes from {self.first} to {self.last}: the satellites started later, or none of the "
                "months is in the period"
            )

    @property
    def step(self) -> tuple[float, float]:
        """Height and width of the kept part of a box, in degrees."""
        return round(BOX[0] - 2 * self.margin, _DECIMALS), round(BOX[1] - 2 * self.margin, _DECIMALS)

    @cached_property
    def corner(self) -> tuple[float, float]:
        """South and west edge of the kept part of the south-western box, in degrees.

        They are the region's, unless boxes would then reach beyond a pole or across 180° east, where one day
        ends and another begins: boxes are then shifted so that one ends there.
        """
        height, width = self.step
        south = min(self.region.south, 90 - self.margin - height * _boxes(self.region.height, height))
        west = self.region.west
        if west + width * _boxes(self.region.width, width) > 180:
            west = 180 - width * _boxes(180 - west, width)
        return round(south, _DECIMALS), round(west, _DECIMALS)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Number of boxes from north to south and from west to east."""
        south, west = self.corner
        north, east = self.region.north, self.region.west + self.region.width
        return _boxes(north - south, self.step[0]), _boxes(east - west, self.step[1])

    @cached_property
    def covered(self) -> Bounds:
        """The kept parts of all boxes together: the region or more."""
        (south, west), (rows, columns), (height, width) = self.corner, self.shape, self.step
        return _bounds(west, south, columns * width, rows * height)

    @cached_property
    def boxes(self) -> tuple[Bounds, ...]:
        """All boxes with their margins, the northern ones first, each row from west to east."""
        (rows, columns), (height, width) = self.shape, self.step
        south, west = (edge - self.margin for edge in self.corner)
        return tuple(
            _bounds(west + column * width, south + (rows - 1 - row) * height, BOX[1], BOX[0])
            for row in range(rows)
            for column in range(columns)
        )

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The days on which at least one of the satellites has images."""
        start = max(self.first, min(SATELLITES[name].first for name in self.satellites))
        days = (start + timedelta(days) for days in range((self.last - start).days + 1))
        return tuple(day for day in days if day.month in self.months)

    @cached_property
    def passes(self) -> tuple[tuple[int, int], ...]:
        """Indices of the day and the satellite of every pass over the region, in order."""
        starts = [SATELLITES[name].first for name in self.satellites]
        return tuple(
            (time, which)
            for time, day in enumerate(self.days)
            for which, start in enumerate(starts)
            if day >= start
        )

    def __len__(self) -> int:
        return len(self.passes) * len(self.boxes)

    def __iter__(self) -> Iterator[PlannedScene]:
        return map(self.scene, range(len(self)))

    def scene(self, number: int) -> PlannedScene:
        """A scene by its number, from 0."""
        if not 0 <= number < len(self):
            raise IndexError(f"scene number {number} is out of range: the plan has {len(self)} scenes")
        which, box = divmod(number, len(self.boxes))
        time, satellite = self.passes[which]
        overpass = Overpass(self.satellites[satellite], self.days[time], self.boxes[box])
        return PlannedScene(number, time, satellite, *divmod(box, self.shape[1]), overpass)

    def to_json(self) -> str:
        """The plan as JSON text, with its boxes and the number of its scenes."""
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
        """Read a plan as `to_json` writes it; `name` is for messages.

        Raises:
            AtlasError: the text is not a plan, or its boxes or scenes do not match its region and period.
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
            derived = json.loads(plan.to_json())
            matches = all(content[key] == derived[key] for key in ("boxes", "scenes"))
        except NephoscopeError as error:
            raise AtlasError(f"{name}: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise AtlasError(f"{name}: not a plan (`nephoscope atlas plan` makes one): {error!r}") from error
        if version != _VERSION:
            raise AtlasError(f"{name}: plan version {version}; this nephoscope reads version {_VERSION}")
        if not matches:
            raise AtlasError(
                f"{name}: its boxes or number of scenes do not match its region and period: it was edited or "
                "made by another version of nephoscope; make the plan again"
            )
        return plan

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Read a plan from its file, or raise `AtlasError`."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), str(path))
        except OSError as error:
            raise AtlasError(f"{path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise AtlasError(f"{path}: not a plan: not a text file") from error

    def write(self, path: Path) -> None:
        """Write the plan to a file."""
        atomic_write(path, self.to_json().encode())


def write_scenes(plan: Plan, path: Path) -> None:
    """Write all scenes of a plan to a CSV file: index, satellite, date and edges."""
    lines = ["index,satellite,date,west,south,east,north"]
    for number, *_, (satellite, day, box) in plan:
        lines.append(f"{number},{satellite},{day},{','.join(f'{edge:.10g}' for edge in box)}")
    atomic_write(path, ("\n".join(lines) + "\n").encode())


def parse_months(text: str) -> tuple[int, ...]:
    """Parse numbers of months, separated by commas, in any order, or raise `AtlasError`."""
    try:
        return tuple(sorted({int(number) for number in text.split(",")}))
    except ValueError:
        raise AtlasError(f"{text!r} is not a list of months; give numbers, such as 12,1,2") from None


def _boxes(length: float, side: float) -> int:
    """How many boxes cover a length, but for rounding errors."""
    return math.ceil(round(length / side, _DECIMALS))


def _bounds(west: float, south: float, width: float, height: float) -> Bounds:
    """A box with longitudes from -180 to 180, as archives expect."""
    edges = (west, south, west + width, south + height)
    west, south, east, north = (round(edge, _DECIMALS) for edge in edges)
    return Bounds(wrapped(west), south, 180.0 if east == 180 else round(wrapped(east), _DECIMALS), north)
