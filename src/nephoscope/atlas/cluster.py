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

_PATIENCE = 60  # s until the first worker must be there
_ANSWER = 15  # s until a scheduler must answer, or be there again
_LOCAL = {
    # Workers that are killed now and then should not make a batch look guilty.
    "distributed.scheduler.allowed-failures": 10,
    # In place of Dask's own, which also make the C library give memory back after every array: that costs a
    # tenth of the time, and a worker's memory stays the same without.
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1},
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
}
_CHATTY = ("distributed", "tornado", "asyncio")


@contextmanager
def local_cluster(workers: int) -> Iterator[Client]:
    """Processes on this machine, one core each, that are started again when they die.

    Raises:
        AtlasError: they do not start.
    """
    with _silence(), dask.config.set(_LOCAL):
        try:
            with _interrupts_held():
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=THREADS,
                    dashboard_address=":0" if find_spec("bokeh") else None,
                    silence_logs=logging.CRITICAL + 1,
                )
        except (RuntimeError, OSError) as error:
            raise AtlasError(f"no cluster on this machine: {error}") from error
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


def parse_scheduler(text: str) -> str:
    """A scheduler's address such as `tcp://10.0.0.1:8786`.

    Raises:
        AtlasError: it is none.
    """
    if not re.fullmatch(r"(\w+://)?[^/]+:\d+", text):
        raise AtlasError(f"{text}: no address of a scheduler, such as tcp://10.0.0.1:8786")
    return text


@contextmanager
def remote_cluster(address: str) -> Iterator[Client]:
    """A cluster by its scheduler's address.

    Raises:
        AtlasError: nobody answers there, or no worker comes.
    """
    with _silence():
        try:
            client = Client(address, timeout=_ANSWER, set_as_default=False)
        except (OSError, ValueError) as error:
            raise AtlasError(f"{address}: no scheduler answers there: {error}") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=_PATIENCE)
            except TimeoutError as error:
                raise AtlasError(f"{address}: no worker came within {_PATIENCE} s") from error
            yield client


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C from the processes that are started, now or later, by threads that begin in here.

    A terminal sends it to all; only this process should answer, and end the others.
    """
    resource_tracker.ensure_running()  # it would let them through again where it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep from the user what Dask says of workers that come and go; what matters is said by us."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _CHATTY]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
