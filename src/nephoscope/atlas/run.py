"""Make an atlas: batches of scenes go to a Dask cluster, on this machine or on many.

All progress is in the store. A worker, the scheduler or this process may be killed, a disk may be full:
another run does what is missing.
"""

import hashlib
import math
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from distributed import Client, KilledWorker, as_completed

from nephoscope.atlas.plan import Plan
from nephoscope.atlas.store import Store, create
from nephoscope.atlas.worker import Finished, Job, Segmenter, process_batch
from nephoscope.core.errors import AtlasError
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import model_file


@dataclass(frozen=True)
class Abandoned:
    """A batch that was given up because workers died repeatedly while they processed it."""

    batch: int


def prepare(address: str, plan: Plan, model: str) -> tuple[Store, bytes]:
    """Create, open or extend the store of a plan and a model, and read the model's file.

    A store grows to a plan that contains its own: further days or satellites of the same boxes.

    Raises:
        ModelError: the model cannot be used.
        AtlasError: the store cannot be used, or belongs to another plan or model.
    """
    card = Model.load(model, threads=1, device="cpu").card
    content = model_file(model).read_bytes()
    return create(address, plan, card, hashlib.sha256(content).hexdigest(), grow=True), content


def run(
    store: Store,
    model: bytes,
    batches: list[int],
    archive: WorldviewClient,
    client: Client,
    *,
    organisation: bool = False,
) -> Iterator[Finished | Abandoned]:
    """Process batches on a cluster; results come as batches finish.

    The cluster gets one batch a thread at a time, and each batch a share of the archive's connections. A
    share belongs to a batch, not to a worker, so it cannot be lost with one. On request the organisation of
    every region is measured and recorded.

    Raises:
        AtlasError: the archive is down (after the batches that were under way), the store or the cache of
            images cannot be written, the scheduler is lost, or the workers lack a library.
    """
    name = f"nephoscope-{secrets.token_hex(4)}"
    try:
        client.register_plugin(Segmenter(Job(name, store.address, archive, model, organisation)))
        yield from _process(client, name, batches, archive.connections)
    except ImportError as error:
        raise AtlasError(f"the workers lack {error.name}: install nephoscope[atlas] there") from error
    except OSError as error:  # workers raise AtlasError where the store cannot be written
        raise AtlasError(f"the scheduler is lost: {error}") from error
    finally:
        with suppress(OSError, RuntimeError):  # the cluster may be gone, and the plugin with it
            client.unregister_worker_plugin(name)


def _process(client: Client, job: str, batches: list[int], free: int) -> Iterator[Finished | Abandoned]:
    """Keep all threads busy while there are `free` connections, and forget each batch when it is done.

    Once the archive is down, batches that are under way end by themselves, and no others begin.
    """
    waiting = deque(batches)
    outage = ""
    under_way = as_completed(loop=client.loop)
    shares: dict[str, int] = {}

    def submit() -> None:
        nonlocal free
        # Workers may have come or gone since the last call.
        idle = max(1, sum(client.nthreads().values())) - len(shares)
        while waiting and free and idle > 0:
            batch, share = waiting.popleft(), math.ceil(free / idle)
            shares[key := f"{job}-{batch}"] = share
            under_way.add(client.submit(process_batch, job, batch, share, key=key, pure=False))
            free, idle = free - share, idle - 1

    submit()
    for future in under_way:
        free += shares.pop(future.key)
        if future.cancelled():
            raise AtlasError("the scheduler is lost")
        result: Finished | Abandoned
        try:
            result = finished = future.result()
        except KilledWorker:
            result = Abandoned(int(str(future.key).rsplit("-", 1)[1]))
        else:
            outage = outage or finished.outage
        if outage:
            waiting.clear()
        submit()
        yield result
    if outage:
        raise AtlasError(f"the archive is down: {outage}")
