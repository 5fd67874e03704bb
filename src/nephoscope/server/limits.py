"""Limits on uploads, queues and times."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one client may send, and what all clients may send together."""

    picture_bytes: int = 32 * 1024**2
    request_bytes: int = 64 * 1024**2
    pictures: int = 16  # in one request
    pixels: int = 30_000_000  # of one picture, checked before it is decoded
    frames: int = 24  # network inputs that one scene may span; a file name can claim the whole globe
    requests: int = 32  # in progress or queued; further ones get 429
    held_bytes: int = 256 * 1024**2  # of uploads in memory
    connections: int = 512
    header_seconds: float = 10.0  # for a request's header to arrive
    upload_seconds: float = 60.0  # for its body to arrive
    seconds: float = 60.0  # from there to the response
    answer_seconds: float = 120.0  # for the client to read the response
