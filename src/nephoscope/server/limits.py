"""Limits on uploads, queues and times."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one client may send, and what all clients may send together.

    Attributes:
        picture_bytes: largest file of one picture.
        request_bytes: largest request.
        pictures: most pictures in one request.
        pixels: most pixels of one picture, checked before it is decoded.
        frames: most network inputs that one scene may span; a file name can claim the whole globe.
        requests: most requests in progress or queued; further ones get 429.
        held_bytes: most bytes of uploads in memory.
        connections: most open connections.
        header_seconds: time for a request's header to arrive.
        upload_seconds: time for its body to arrive.
        seconds: time from there to the response.
        answer_seconds: time for the client to read the response.
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
