"""Limits on uploads, queues and times."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from nephoscope.core.errors import InvalidRequestError


@dataclass(frozen=True)
class Limits:
    """What one client may send, and what all clients may send together."""

    picture_bytes: int = 32 * 1024**2
    request_bytes: int = 64 * 1024**2
    pictures: int = 16  # in one request
    pixels: int = 30_000_000  # of one picture, checked before it is decoded
    decoded_pixels: int = 20_000_000  # of all pictures in work; a pixel stands for about 10 bytes of memory
    frames: int = 24  # network inputs that one scene may span; a file name can claim the whole globe
    requests: int = 32  # in progress or queued; further ones get 429
    uploads: int = 256  # bodies that arrive at once
    held_bytes: int = 96 * 1024**2  # of uploads in memory, as they arrive
    connections: int = 512
    client_share: float = 0.75  # of requests, uploads, held bytes and connections, for one address
    header_seconds: float = 10.0  # for a request's header to arrive
    upload_seconds: float = 60.0  # for its body to arrive
    upload_rate: int = 8 * 1024  # bytes a second of its body, at least, over any `rate_seconds`
    rate_seconds: float = 5.0
    seconds: float = 60.0  # from there to the response
    answer_seconds: float = 120.0  # for the client to read the response


def changed_limits(limits: Limits, changes: Iterable[str]) -> Limits:
    """Limits with other values.

    Args:
        limits: to change.
        changes: texts such as `pictures=4`.

    Raises:
        InvalidRequestError: an unknown name, or not a number above 0.
    """
    kinds = {each.name: type(getattr(limits, each.name)) for each in fields(limits)}
    values: dict[str, float] = {}
    for change in changes:
        name, _, text = change.partition("=")
        name = name.strip().replace("-", "_")
        if name not in kinds:
            raise InvalidRequestError(f"unknown limit {name!r}; available: {', '.join(kinds)}")
        try:
            value = kinds[name](text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf") or (name == "client_share" and value > 1):
            kind = "a number" if kinds[name] is float else "a whole number"
            raise InvalidRequestError(f"limit {name}: {text!r} is not {kind} above 0")
        values[name] = value
    return replace(limits, **values)  # type: ignore[arg-type]
