"""The cluster that does the work: processes on this machine, or one that somebody else started."""

import logging
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import resource_tracker

import dask
from distributed import Client, LocalCluster

from nephoscope.atlas.worker import THREADS
from nephoscope.core.errors import AtlasError

_WORKER_TIMEOUT = 60  # s until the first worker must have joined
_SCHEDULER_TIMEOUT = 15  # s until a scheduler must answer
_LOCAL = {
    # Workers that are killed now and then should not make a batch look guilty.
    "distributed.scheduler.allowed-failures": 10,
    # In place of Dask's own, which also make the C library give memory back after every array: that costs a
    # tenth of the time, and a worker's memory stays the same without.
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1},
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
}
_SILENCED = ("distributed", "tornado", "asyncio")


@contextmanager
def local_cluster(workers: int) -> Iterator[Client]:
    """Start processes on this machine, one core each, or raise `AtlasError`; they restart when they die."""
    with _silence(), dask.config.set(_LOCAL):
        try:
            with _interrupts_blocked():
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=THREADS,
                    dashboard_address=":0" if find_spec("bokeh") else None,
                    silence_logs=logging.CRITICAL + 1,
                )
        except (RuntimeError, OSError) as error:
            raise AtlasError(f"cannot start a cluster on this machine: {error}") from error
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


def parse_scheduler(text: str) -> str:
    """Check a scheduler's address, such as `tcp://10.0.0.1:8786`, or raise `AtlasError`."""
    if not re.fullmatch(r"(\w+://)?[^/]+:\d+", text):
        raise AtlasError(f"{text!r} is not the address of a scheduler, such as tcp://10.0.0.1:8786")
    return text


@contextmanager
def remote_cluster(address: str) -> Iterator[Client]:
    """Connect to a cluster by its scheduler's address; `AtlasError` if it, or all workers, do not answer."""
    with _silence():
        try:
            client = Client(address, timeout=_SCHEDULER_TIMEOUT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise AtlasError(f"{address}: no scheduler answers: {error}") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=_WORKER_TIMEOUT)
            except TimeoutError as error:
                raise AtlasError(f"{address}: no worker joined within {_WORKER_TIMEOUT} s") from error
            yield client


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C from the processes that are started, now or later, by threads that begin in here.

    A terminal sends it to all processes; only this one should react, and end the others. Where signals cannot
    be blocked (Windows), workers get it, too.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would unblock them where it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _silence() -> Iterator[None]:
    """Silence Dask's logs of workers that come and go; the run reports what matters."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _SILENCED]
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
