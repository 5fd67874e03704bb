"""Estimate what an atlas takes: downloads, time, space and money, from stated rates."""

from dataclasses import dataclass

PICTURE_BYTES = 788_000  # mean size of nine JPEG snapshots of the trades of 2100x1400 px, 0.59 to 0.91 MB

STORED_BYTES = 19_000
"""Of a scene in the store, rounded up from the mean of 48 real ones: 11.8 kB for probabilities, 2.4 for flags
and as much for unbiased ones, 0.3 for shares of data and 1.4 for its record."""

RATE = 6.0
"""Scenes a second and core, default model, pictures of 2100x1400: 5.7 on a virtual machine of 2 cores
(`python -m benchmarks.atlas DATA`)."""


@dataclass(frozen=True)
class Assumptions:
    """The rates that an estimate rests on.

    Attributes:
        rate: scenes a second and core.
        connections: concurrent requests.
        wait: seconds that the archive takes for one image. Assumed: it changes with the hour.
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
    """What a number of scenes takes under some assumptions."""

    scenes: int
    assumed: Assumptions

    @property
    def download(self) -> int:
        """Bytes to fetch; fewer where images are cached."""
        return self.scenes * PICTURE_BYTES

    @property
    def stored(self) -> int:
        """Bytes of the finished store."""
        return self.scenes * STORED_BYTES

    @property
    def core_hours(self) -> float:
        """Hours that one core computes."""
        return self.scenes / self.assumed.rate / 3600

    @property
    def compute_hours(self) -> float:
        """Hours that all cores compute."""
        return self.core_hours / self.assumed.cores

    @property
    def archive_hours(self) -> float:
        """Hours until all images are fetched."""
        return self.scenes * self.assumed.wait / self.assumed.connections / 3600

    @property
    def wall_hours(self) -> float:
        """The longer of computing and fetching, which run concurrently."""
        return max(self.compute_hours, self.archive_hours)

    @property
    def price(self) -> float:
        """Of the cores, for as long as it takes."""
        return self.wall_hours * self.assumed.cores * self.assumed.core_price

    @property
    def store_price(self) -> float:
        """Of the store for a month."""
        return self.stored / 1e9 * self.assumed.storage_price

    @property
    def cache_price(self) -> float:
        """Of all images for a month, if they are kept."""
        return self.download / 1e9 * self.assumed.storage_price
