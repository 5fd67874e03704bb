"""Settings of a server: models, workers, token, host names, limits, imagery archive."""

from dataclasses import dataclass, field

from nephoscope.core.io import available_cpus
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.server.limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Host names of this machine on the loopback interface."""


@dataclass(frozen=True)
class Settings:
    """Settings of a server."""

    models: tuple[str, ...] = ("default",)  # names or files; the first one is the default
    workers: int = field(default_factory=available_cpus)  # pictures segmented in parallel, one thread each
    token: str | None = None  # secret that clients must send; None asks for none
    hosts: tuple[str, ...] = LOOPBACK  # accepted host names in lower case; empty accepts any
    proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For says who the client is
    limits: Limits = field(default_factory=Limits)
    root_path: str = ""  # path below which a proxy shows the server, such as `/clouds`
    worldview: bool = True  # whether pictures can be fetched from the archive
    labels: str | None = None  # folder of the data set that collects labels; None collects none
    tls: tuple[str, str] | None = None  # files of the certificate chain and of its key
    archive: WorldviewClient = field(  # the server fetches from no other address
        default_factory=lambda: WorldviewClient.from_environment(tries=2, pause=1.0, patience=30.0)
    )
