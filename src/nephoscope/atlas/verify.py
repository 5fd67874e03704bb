"""Check that what a store's records call done is there, chunk by chunk.

A record has a checksum of each chunk of its scene. A scene with a lost or damaged chunk becomes a failed one,
so that the next run does it again.
"""

from functools import partial

from nephoscope.atlas.arrays import checksums
from nephoscope.atlas.flags import FLAGS, NOT_SEGMENTED, Flags
from nephoscope.atlas.manifest import Record, failed_record
from nephoscope.atlas.plan import PlannedScene
from nephoscope.atlas.store import Store
from nephoscope.core.errors import DamagedChunkError
from nephoscope.core.io import available_cpus, map_in_order
from nephoscope.core.types import Progress

DAMAGED = "damaged chunk"
"""The cause of failure of a scene that was done, and whose chunks are damaged or lost."""


def verify(store: Store, progress: Progress | None = None) -> int:
    """Check the chunks of all scenes that are done; `progress` gets batches. Returns how many are damaged.

    These are marked as failed, with the cause `DAMAGED`.

    Raises:
        AtlasError: the store cannot be read or written.
    """
    damaged = 0
    check = partial(_check_batch, store)
    for done, found in enumerate(map_in_order(check, range(store.manifest.batches), available_cpus()), 1):
        damaged += found
        if progress:
            progress(done, store.manifest.batches)
    return damaged


def read_intact(store: Store, scene: PlannedScene, record: Record) -> dict[str, Flags]:
    """Read the chunks of a scene that is done, by array.

    Raises:
        DamagedChunkError: one is lost, or not what its record says.
        AtlasError: one cannot be read.
    """
    expected: dict[str, str] | None = record.get("checksums")
    chunks = {}
    for name in expected or (FLAGS,):  # records of version 0.1.0 have no checksums
        if name not in store.array_names:
            raise DamagedChunkError(f"{name} is lost")
        chunks[name] = chunk = store.read(scene, name)
        missing = chunk == NOT_SEGMENTED
        if checksums({name: chunk})[name] != expected[name] if expected else missing.any():
            raise DamagedChunkError(f"{name} is {'lost' if missing.all() else 'not what was written'}")
    return chunks


def _check_batch(store: Store, batch: int) -> int:
    """Check one batch, and mark the scenes that are damaged."""
    damaged: dict[int, Record] = {}
    for record in store.manifest.read(batch):
        if record["status"] == "done":
            scene = store.layout.scene(record["index"])
            try:
                read_intact(store, scene, record)
            except DamagedChunkError as error:
                damaged[scene.number] = failed_record(scene, DAMAGED, str(error))
    if damaged:
        # Read again: a run that is under way may have written the batch meanwhile.
        records = store.manifest.read(batch)
        store.manifest.write(batch, [damaged.get(record["index"], record) for record in records])
    return len(damaged)
