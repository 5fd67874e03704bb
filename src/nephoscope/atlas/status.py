"""The progress of an atlas: scenes that are done, failed (and why) or missing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from nephoscope.atlas.manifest import Manifest, Record, failures


@dataclass
class Status:
    """Counts from a store's manifest.

    Attributes:
        scenes: in the plan.
        done: scenes that are stored.
        covered: of these, scenes with any data; the others are days without coverage.
        valid: sum over the scenes of their share with data.
        causes: how many scenes failed, by cause.
        settled: scenes of complete batches without failures.
        unfinished: numbers of the batches that are missing or hold failures, in order.
    """

    scenes: int
    done: int = 0
    covered: int = 0
    valid: float = 0.0
    causes: Counter[str] = field(default_factory=Counter)
    settled: int = 0
    unfinished: list[int] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Number of scenes that failed."""
        return self.causes.total()

    @property
    def missing(self) -> int:
        """Number of scenes that were not tried, or whose batch is incomplete."""
        return self.scenes - self.done - self.failed


def read_status(manifest: Manifest) -> Status:
    """Count a manifest's records without holding them all."""
    status = Status(manifest.scenes)
    finished = set()
    for batch, records in manifest.read_all():
        failed = failures(records)
        if not failed:
            finished.add(batch)
            status.settled += len(records)
        status.causes.update(record["cause"] for record in failed)
        status.done += len(records) - len(failed)
        for record in records:
            if record["status"] == "done":
                status.covered += record["valid"] > 0
                status.valid += record["valid"]
    status.unfinished = [batch for batch in range(manifest.batches) if batch not in finished]
    return status


def read_failures(manifest: Manifest) -> Iterator[Record]:
    """The records of scenes that failed, in order."""
    for _, records in manifest.read_all():
        yield from failures(records)
