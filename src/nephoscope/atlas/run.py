"""An atlas is made: batches of scenes go to a Dask cluster, on this machine or on many.

The store says what is done and what is not; nothing else remembers. A worker, the scheduler or this process
may be killed, a disk may be full: running again does what is missing.
"""

import hashlib
import math
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from distributed import Client, Future, KilledWorker, Semaphore, as_completed

from nephoscope.atlas.cluster import ClusterError
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.store import Store, create
from nephoscope.atlas.worker import Finished, Job, Segmenter, do_batch
from nephoscope.model import Model, model_file
from nephoscope.worldview import Archive

_MOST_AHEAD = 8  # requests of one process: a batch has no more bursts
_AHEAD = 2  # batches a thread: one under way and one waiting, so that nobody waits for the scheduler
_LOST = "the scheduler is lost"


@dataclass(frozen=True)
class Abandoned:
    """A batch that was given up because workers died of it, or with it, again and again."""

    batch: int


def prepare(address: str, plan: Plan, model: str) -> tuple[Store, bytes]:
    """A store for a plan and a model, begun or gone on with, and the model's file.

    Raises:
        ModelError: the model cannot be used.
        StoreError: the store cannot be used, or belongs to another plan or model.
    """
    card = Model.load(model, threads=1, device="cpu").card
    content = model_file(model).read_bytes()
    return create(address, plan, card, hashlib.sha256(content).hexdigest()), content


def run(
    store: Store, model: bytes, batches: list[int], archive: Archive, client: Client
) -> Iterator[Finished | Abandoned]:
    """Do batches on a cluster; results come as they are finished.

    Only a few batches a thread are given to the cluster at a time.

    Args:
        store: where results go.
        model: an ONNX file's bytes.
        batches: numbers of those to do.
        archive: where pictures come from; its `connections` hold for the whole cluster.
        client: of the cluster.

    Raises:
        StoreError: the store, or the pictures' cache, takes nothing more.
        ClusterError: the scheduler is lost, or the workers lack something.
    """
    name = f"nephoscope-{secrets.token_hex(4)}"
    ahead = math.ceil(archive.connections / max(1, len(client.nthreads())))
    job = Job(name, store.address, archive, model, min(ahead, _MOST_AHEAD))
    try:
        client.register_plugin(Segmenter(job))
    except ImportError as error:
        raise ClusterError(f"the workers lack {error.name}: install nephoscope[atlas] there") from error
    try:
        yield from _flow(client, name, batches)
    except OSError as error:  # what workers cannot write comes as a StoreError
        raise ClusterError(_LOST) from error
    finally:
        # The cluster may be gone, and with it what is tidied up here.
        with suppress(OSError, RuntimeError, ValueError):
            client.unregister_worker_plugin(name)
            Semaphore(archive.connections, name, client.scheduler, client.loop).close()


def _flow(client: Client, job: str, batches: list[int]) -> Iterator[Finished | Abandoned]:
    """Keep a few batches with the cluster, and forget each when it is done."""
    waiting = iter(batches)
    under_way = as_completed(loop=client.loop)

    def submit(count: int) -> None:
        for batch in islice(waiting, count):
            under_way.add(client.submit(do_batch, job, batch, key=f"{job}-{batch}", pure=False))

    submit(_AHEAD * max(1, sum(client.nthreads().values())))
    for future in under_way:
        yield _result(future)
        # Workers may have come or gone since.
        wanted = _AHEAD * max(1, sum(client.nthreads().values()))
        submit(max(0, wanted - under_way.count()))


def _result(future: Future[Finished]) -> Finished | Abandoned:
    try:
        if future.cancelled():
            raise ClusterError(_LOST)
        return future.result()
    except KilledWorker:
        return Abandoned(int(str(future.key).rsplit("-", 1)[1]))
