"""What an atlas will take: downloads, time, space and money, each from a rate that is named."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nephoscope.atlas.plan import Plan

PICTURE_BYTES = 788_000
"""Mean size of nine JPEG snapshots of the trades of 2100x1400 px, 0.59 to 0.91 MB."""

STORED_BYTES = 3_500
"""Of a scene in the store, chunk (2.8 kB in the mean of 50 real scenes with the default model) and record."""

RATE = 6.0
"""Scenes a second and core, default model, pictures of 2100x1400: 5.7 on a virtual machine of 2 cores
(`python -m benchmarks.atlas DATA`)."""


@dataclass(frozen=True)
class Assumptions:
    """What an estimate rests on.

    Attributes:
        rate: scenes a second and core.
        cores: how many there will be.
        connections: requests under way at once.
        wait: seconds that the archive takes for one picture, connection and all. Assumed: it changes with
            the hour.
        core_price: of one core for an hour. Assumed: about what clouds ask for one on demand.
        storage_price: of a gigabyte for a month. Assumed: about what clouds ask for objects.
    """

    rate: float = RATE
    cores: int = 2
    connections: int = 4
    wait: float = 2.0
    core_price: float = 0.05
    storage_price: float = 0.023


@dataclass(frozen=True)
class Estimate:
    """What a plan will take.

    Attributes:
        scenes: how many there are.
        download: bytes to fetch, or less where pictures are in a cache.
        stored: bytes of the finished store.
        core_hours: of computing.
        compute_hours: the same on all cores.
        archive_hours: until the archive has given all pictures.
        price: of the cores, for as long as it takes.
        store_price: of the store for a month.
        cache_price: of all pictures for a month, where they are kept.
    """

    scenes: int
    download: int
    stored: int
    core_hours: float
    compute_hours: float
    archive_hours: float
    price: float
    store_price: float
    cache_price: float

    @property
    def wall_hours(self) -> float:
        """The longer of computing and fetching, which go on at the same time."""
        return max(self.compute_hours, self.archive_hours)


def estimate(plan: "Plan", assumed: Assumptions) -> Estimate:
    """What a plan will take if what is assumed holds."""
    scenes = len(plan)
    core_hours = scenes / assumed.rate / 3600
    compute_hours = core_hours / assumed.cores
    archive_hours = scenes * assumed.wait / assumed.connections / 3600
    download, stored = scenes * PICTURE_BYTES, scenes * STORED_BYTES
    return Estimate(
        scenes,
        download,
        stored,
        core_hours,
        compute_hours,
        archive_hours,
        max(compute_hours, archive_hours) * assumed.cores * assumed.core_price,
        stored / 1e9 * assumed.storage_price,
        download / 1e9 * assumed.storage_price,
    )
