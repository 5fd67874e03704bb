"""How far an atlas is: what is done, what failed and why, what is missing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from nephoscope.atlas.manifest import Manifest, Record, failures


@dataclass
class Status:
    """What a store's manifest says.

    Attributes:
        scenes: of the plan.
        done: scenes that are segmented and stored.
        covered: of these, scenes with any data; the others are days without coverage.
        valid: sum over the scenes of their share with data.
        causes: how many scenes failed, by cause.
        settled: scenes of batches that need nothing more.
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
        """Scenes that failed."""
        return self.causes.total()

    @property
    def missing(self) -> int:
        """Scenes that have not been tried, or whose batch was not finished."""
        return self.scenes - self.done - self.failed


def read_status(manifest: Manifest) -> Status:
    """Read all of a manifest, holding little of it."""
    status = Status(manifest.scenes)
    finished = bytearray(manifest.batches)
    for batch, records in manifest.read_all():
        failed = failures(records)
        finished[batch] = not failed
        status.settled += 0 if failed else len(records)
        status.causes.update(record["cause"] for record in failed)
        status.done += len(records) - len(failed)
        for record in records:
            if record["status"] == "done":
                status.covered += record["valid"] > 0
                status.valid += record["valid"]
    status.unfinished = [batch for batch in range(manifest.batches) if not finished[batch]]
    return status


def read_failures(manifest: Manifest) -> Iterator[Record]:
    """Records of the scenes that failed, in order."""
    for _, records in manifest.read_all():
        yield from failures(records)
