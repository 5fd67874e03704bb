"""Merge stores of one model and one grid into a new one: other days, other satellites, each scene once."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from nephoscope.atlas.flags import FLAGS
from nephoscope.atlas.layout import describe_boxes, passes, same_boxes
from nephoscope.atlas.manifest import Record, failed_record
from nephoscope.atlas.plan import Plan, PlannedScene
from nephoscope.atlas.store import Store, create
from nephoscope.atlas.verify import DAMAGED, read_intact
from nephoscope.core.errors import AtlasError, DamagedChunkError
from nephoscope.core.io import available_cpus, map_in_order
from nephoscope.core.types import Progress

ReadBatch = Callable[[Store, int], list[Record]]

_BATCHES = 64  # of a source whose records are held: neighbours in one plan may lie apart in another


def merge(stores: Sequence[Store], address: str, progress: Progress | None = None) -> Store:
    """Copy the scenes of stores into a new one at an address; `progress` gets batches.

    Scenes that failed are recorded as such, so that a run of the merged plan does them again; so are scenes
    with a damaged chunk. A merge that was interrupted goes on where it was.

    Raises:
        AtlasError: the stores have other models or boxes, plan a scene twice, or leave a gap between them;
            or one cannot be read, or the new one not be written.
    """
    plan = merged_plan(stores)
    made = create(address, plan, stores[0].card, stores[0].sha256)
    caches = {store.address: lru_cache(_BATCHES)(store.manifest.read) for store in stores}

    def read(store: Store, batch: int) -> list[Record]:
        return caches[store.address](batch)

    copy = partial(_copy_batch, made, stores, read)
    for done, _ in enumerate(map_in_order(copy, range(made.manifest.batches), available_cpus()), 1):
        if progress:
            progress(done, made.manifest.batches)
    return made


def merged_plan(stores: Sequence[Store]) -> Plan:
    """The plan of all scenes of some stores.

    Raises:
        AtlasError: they do not fit together.
    """
    if len(stores) < 2:
        raise AtlasError("give at least two stores to merge")
    first = stores[0]
    planned = dict.fromkeys(passes(first.plan))
    for store in stores[1:]:
        if store.sha256 != first.sha256:
            raise AtlasError(
                f"{store.address}: made by another model, {store.card.name} (SHA-256 {store.sha256[:12]}...),"
                f" than {first.address}, {first.card.name} ({first.sha256[:12]}...)"
            )
        if not same_boxes(store.plan, first.plan) or store.plan.region != first.plan.region:
            raise AtlasError(
                f"{store.address}: has other boxes than {first.address}: {describe_boxes(store.plan)}, not "
                f"{describe_boxes(first.plan)}"
            )
        for day, satellite in passes(store.plan):
            if (day, satellite) in planned:
                raise AtlasError(f"{store.address}: overlaps: another store also plans {satellite} on {day}")
        planned |= dict.fromkeys(passes(store.plan))
    plans = [store.plan for store in stores]
    plan = Plan(
        min(each.days[0] for each in plans),  # a plan's own first and last may be of other months
        max(each.days[-1] for each in plans),
        tuple(dict.fromkeys(name for each in plans for name in each.satellites)),
        first.plan.region,
        tuple(sorted({month for each in plans for month in each.months})),
        first.plan.margin,
    )
    if gaps := [each for each in passes(plan) if each not in planned]:
        day, satellite = gaps[0]
        raise AtlasError(
            f"{' and '.join(store.address for store in stores)}: do not fit: no store plans "
            f"{len(gaps) * len(plan.boxes):,} scenes of the merged plan, the first of {satellite} on {day}; "
            "extend one of them first (`nephoscope atlas run`)"
        )
    return plan


def _copy_batch(made: Store, stores: Sequence[Store], read: ReadBatch, batch: int) -> None:
    """Copy one batch of the merged store, unless it is there or none of its scenes is recorded."""
    if made.manifest.read(batch):
        return
    scenes = [made.layout.scene(number) for number in made.manifest.indices(batch)]
    records = [_copy_scene(made, stores, read, scene) for scene in scenes]
    if not any(records):
        return
    complete = [
        record or failed_record(scene, "not tried", "missing before the merge")
        for scene, record in zip(scenes, records, strict=True)
    ]
    made.flush(scenes)
    made.manifest.write(batch, complete)


def _copy_scene(made: Store, stores: Sequence[Store], read: ReadBatch, scene: PlannedScene) -> Record | None:
    """Copy a scene's chunks; its record in the merged store, None if no store has one."""
    store, number = next(
        (store, number) for store in stores if (number := store.layout.number_of(scene)) is not None
    )
    batch = store.layout.batch_of(number)
    by_number = {record["index"]: record for record in read(store, batch)}
    if number not in by_number:
        return None
    record = by_number[number] | {"index": scene.number}
    if record["status"] == "done":
        try:
            chunks = read_intact(store, store.layout.scene(number), record)
        except DamagedChunkError as error:
            return failed_record(scene, DAMAGED, str(error))
        made.write(scene, chunks.pop(FLAGS), chunks)
    return record
