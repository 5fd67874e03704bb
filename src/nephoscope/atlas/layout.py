"""Where a store's scenes lie and how they are numbered, also once the store has grown to a larger plan.

A store grows without moving anything: new days lie behind the old ones, new satellites behind the old ones,
and new scenes have numbers after the old ones. So a run that is under way while a store grows stays right.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from nephoscope.atlas.plan import Plan, PlannedScene
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Overpass

BATCH = 32
"""Scenes of a batch, consecutive ones; part of the format of a store."""

Pass = tuple[date, str]
"""A satellite's pass over all boxes of a plan: the day and the satellite's name."""


@dataclass(frozen=True)
class Layout:
    """The plans that a store was made for, in their order; each contains the passes of the one before."""

    plans: tuple[Plan, ...]

    @property
    def plan(self) -> Plan:
        """The present plan."""
        return self.plans[-1]

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The days in the order of the store's time axis."""
        return tuple(dict.fromkeys(day for plan in self.plans for day in plan.days))

    @cached_property
    def satellites(self) -> tuple[str, ...]:
        """The satellites in the order of the store's axis."""
        return tuple(dict.fromkeys(name for plan in self.plans for name in plan.satellites))

    @cached_property
    def _passes(self) -> dict[Pass, int]:
        """The place of every pass in the order of the scenes' numbers."""
        ordered = dict.fromkeys(each for plan in self.plans for each in passes(plan))
        return {each: place for place, each in enumerate(ordered)}

    @cached_property
    def _ordered(self) -> tuple[tuple[int, int], ...]:
        """Indices of the day and the satellite of every pass, in the order of the scenes' numbers."""
        times = {day: index for index, day in enumerate(self.days)}
        satellites = {name: index for index, name in enumerate(self.satellites)}
        return tuple((times[day], satellites[name]) for day, name in self._passes)

    @cached_property
    def batches(self) -> tuple[range, ...]:
        """The numbers of the scenes of every batch. No batch has scenes of two plans."""
        boxes, batches, first = len(self.plan.boxes), [], 0
        for plan in self.plans:
            end = max(first, len(plan.passes) * boxes)
            batches += [range(each, min(each + BATCH, end)) for each in range(first, end, BATCH)]
            first = end
        return tuple(batches)

    def batch_of(self, number: int) -> int:
        """The batch of a scene."""
        return bisect_right(self.batches, number, key=lambda batch: batch.start) - 1

    def __len__(self) -> int:
        return len(self._passes) * len(self.plan.boxes)

    def __iter__(self) -> Iterator[PlannedScene]:
        return map(self.scene, range(len(self)))

    def scene(self, number: int) -> PlannedScene:
        """A scene by its number, from 0, with its indices in the store."""
        if not 0 <= number < len(self):
            raise IndexError(f"scene number {number} is out of range: the store has {len(self)} scenes")
        which, box = divmod(number, len(self.plan.boxes))
        time, satellite = self._ordered[which]
        overpass = Overpass(self.satellites[satellite], self.days[time], self.plan.boxes[box])
        return PlannedScene(number, time, satellite, *divmod(box, self.plan.shape[1]), overpass)

    def number_of(self, scene: PlannedScene) -> int | None:
        """The number here of another store's scene of the same boxes; None if it is not planned here."""
        place = self._passes.get((scene.overpass.day, scene.overpass.satellite))
        if place is None:
            return None
        return place * len(self.plan.boxes) + scene.row * self.plan.shape[1] + scene.column

    def grown(self, plan: Plan) -> "Layout":
        """The layout once the store has grown to a plan.

        Raises:
            AtlasError: the plan has other boxes, or lacks scenes of the present one.
        """
        if not same_boxes(self.plan, plan):
            raise AtlasError(
                f"belongs to another plan, with other boxes: {describe_boxes(self.plan)}, not "
                f"{describe_boxes(plan)}"
            )
        planned = set(passes(plan))
        if lost := [each for each in self._passes if each not in planned]:
            day, satellite = lost[0]
            raise AtlasError(
                f"belongs to another plan: the new one lacks {len(lost) * len(plan.boxes):,} of its "
                f"{len(self):,} scenes, the first of {satellite} on {day}; a store only grows"
            )
        return Layout((*self.plans, plan))


def passes(plan: Plan) -> tuple[Pass, ...]:
    """A plan's passes in the order of its scenes."""
    return tuple((plan.days[time], plan.satellites[which]) for time, which in plan.passes)


def same_boxes(first: Plan, second: Plan) -> bool:
    """Whether two plans have the same boxes with the same margin."""
    return first.boxes == second.boxes and first.margin == second.margin


def describe_boxes(plan: Plan) -> str:
    """What the boxes of a plan cover, in words."""
    return f"{','.join(f'{edge:g}' for edge in plan.covered)} with a margin of {plan.margin:g}°"
