"""A circuit breaker: a run ends soon where the archive is down, in place of waiting for every scene in vain.

Source: Nygard 2007, "Release It!", for the name.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from nephoscope.core.errors import DownloadError, WorldviewError
from nephoscope.core.geo import Overpass, worldview_name
from nephoscope.imagery.http import Retry
from nephoscope.imagery.worldview import Picture, WorldviewClient

LIMIT = 5
"""Scenes in a row that fail for reasons of the archive or the network before it counts as down."""

PATIENCE = 30.0
"""Seconds of waiting for responses to one scene's requests, after which it gets no further tries."""

_CAUSES = {*Retry().causes, "refused"}


class CircuitBreaker:
    """Notices that an archive is down, from the scenes that the threads of one worker fetch.

    The first scene that fails has used up all tries, which is how long an outage is waited for. So scenes
    that follow get one try each, until one succeeds. After `LIMIT` failures in a row a distant scene is the
    probe: if it comes, it is only the scenes that are missing, such as all of one day, and work goes on.
    """

    def __init__(self, archive: WorldviewClient, probe: Callable[[Overpass], Overpass]):
        """Watch an archive; `probe` chooses a distant scene for one that failed."""
        self.outage = ""
        """Why the archive counts as down; empty while it does not."""
        self._archive, self._probe = archive, probe
        self._once = replace(archive, tries=1)
        self._failures, self._lock = 0, Lock()

    def picture(self, overpass: Overpass, sleep: Callable[[float], object]) -> Picture | WorldviewError:
        """Get a scene's picture from the archive, or why there is none."""
        if self.outage:
            return WorldviewError(worldview_name(overpass), "not tried", "the archive was down")
        archive = self._once if self._failures else self._archive
        try:
            picture = archive.picture(overpass, _patient(sleep))
        except WorldviewError as error:
            if error.cause in _CAUSES:
                self._count(overpass, error, sleep)
            return error
        if not picture.from_cache:  # a cache says nothing about the archive
            self._failures = 0
        return picture

    def _count(self, overpass: Overpass, error: WorldviewError, sleep: Callable[[float], object]) -> None:
        with self._lock:  # others wait for the probe
            self._failures += 1
            if self._failures < LIMIT or self.outage:
                return
            try:
                replace(self._once, cache=None).picture(self._probe(overpass), sleep)
                self._failures = 0
            except WorldviewError as probed:
                if probed.cause in _CAUSES:
                    self.outage = (
                        f"{LIMIT} scenes in a row failed, the last with {error.cause}: {error.reason}"
                    )


def _patient(sleep: Callable[[float], object]) -> Callable[[float], object]:
    """A `sleep` between tries that ends them where an archive keeps requests waiting: each may take a minute.

    Pauses do not count: they are short, or what the archive asked for.
    """
    start, slept = time.monotonic(), 0.0

    def wait(seconds: float) -> None:
        nonlocal slept
        if time.monotonic() - start - slept > PATIENCE:
            raise DownloadError("", f"no picture within {PATIENCE:g} s", "too slow")
        sleep(seconds)
        slept += seconds

    return wait
