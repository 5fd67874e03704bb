"""Settings of a server: models, workers, token, host names, limits, imagery archive."""

from dataclasses import dataclass, field

from nephoscope.core.io import available_cpus
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.server.limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Host names of this machine on the loopback interface."""


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        models: names or files of models; the first one is the default.
        workers: pictures segmented in parallel, one thread each.
        token: secret that clients must send; None asks for none.
        hosts: accepted host names in lower case; empty accepts any.
        limits: upload limits, queue lengths and timeouts.
        archive: client of the imagery archive; the server fetches from no other address.
    """

    models: tuple[str, ...] = ("default",)
    workers: int = field(default_factory=available_cpus)
    token: str | None = None
    hosts: tuple[str, ...] = LOOPBACK
    limits: Limits = field(default_factory=Limits)
    archive: WorldviewClient = field(
        default_factory=lambda: WorldviewClient.from_environment(tries=2, pause=1.0, patience=30.0)
    )
