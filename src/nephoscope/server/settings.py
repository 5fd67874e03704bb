"""What a server offers, to whom, and how much of it."""

from dataclasses import dataclass, field

from nephoscope.core.io import available_cpus
from nephoscope.imagery.worldview import WorldviewClient

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names under which a machine knows itself."""


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for, and what all may together.

    Attributes:
        picture_bytes: of one picture's file.
        request_bytes: of a whole request.
        pictures: in one request.
        pixels: of one picture; more is refused before it is decoded.
        frames: of the network's size that one scene may span; a name can claim the whole globe.
        requests: in work or waiting at once; one more is told to come again.
        held_bytes: of uploads held at once.
        connections: open at once.
        header_seconds: in which a request's header must come.
        upload_seconds: in which its body must.
        seconds: from there to the answer.
        answer_seconds: in which its sender must take the answer.
    """

    picture_bytes: int = 32 * 1024**2
    request_bytes: int = 64 * 1024**2
    pictures: int = 16
    pixels: int = 30_000_000
    frames: int = 24
    requests: int = 32
    held_bytes: int = 256 * 1024**2
    connections: int = 512
    header_seconds: float = 10.0
    upload_seconds: float = 60.0
    seconds: float = 60.0
    answer_seconds: float = 120.0


@dataclass(frozen=True)
class Settings:
    """A server.

    Attributes:
        models: names or files of the models it has; the first answers unless another is asked for.
        workers: pictures worked on at once, each with one thread of the network.
        token: what visitors must show; None where it asks for none.
        hosts: names by which it may be called, in small letters; any if empty.
        limits: what may be asked for.
        archive: where it looks for a day and a place; no other address is ever fetched.
    """

    models: tuple[str, ...] = ("default",)
    workers: int = field(default_factory=available_cpus)
    token: str | None = None
    hosts: tuple[str, ...] = LOOPBACK
    limits: Limits = Limits()
    archive: WorldviewClient = field(
        default_factory=lambda: WorldviewClient.from_environment(tries=2, pause=1.0, patience=30.0)
    )
