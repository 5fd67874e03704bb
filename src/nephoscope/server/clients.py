"""What clients have at the server, and how much more they may bring."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from time import monotonic

from starlette.types import Scope

from nephoscope.server.limits import Limits
from nephoscope.server.problems import Problem

_NETWORK = 64  # bits of an IPv6 address that one client may choose no others for


def client_of(scope: Scope) -> str:
    """Who sends a request: the address; of IPv6 its network, of which a client has all addresses."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or IPv6Address(int(address) >> _NETWORK << _NETWORK))
    return str(address)


@dataclass(eq=False)
class Arrival:
    """A request's body on its way."""

    client: str
    length: int  # bytes that were announced
    arrived: int = 0  # bytes that are here, and held until the request is answered
    begun: float = field(default_factory=monotonic)

    def seconds_left(self, longest: float) -> float:
        """Until the rest is here at the present rate; at most until its time is over."""
        spent = monotonic() - self.begun
        rest = spent * (self.length - self.arrived) / self.arrived if self.arrived else longest
        return max(0.0, min(rest, longest - spent))


class Admission:
    """Counts the requests of each client, and the bytes of their bodies as they arrive.

    A body that arrives takes no place in the queue. Of all places, uploads and bytes, one client has a share
    at most, so that others always find some.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.working: Counter[str] = Counter()  # requests in progress or queued, by client
        self.held: Counter[str] = Counter()  # bytes, by client
        self._arrivals: set[Arrival] = set()

    @property
    def requests(self) -> int:
        """Requests inside: arriving, queued or in progress."""
        return len(self._arrivals) + self.working.total()

    @property
    def held_bytes(self) -> int:
        """Bytes of all bodies in memory."""
        return self.held.total()

    @contextmanager
    def receive(self, client: str, length: int, wait: int) -> Iterator[Arrival]:
        """Let a body arrive; the bytes that came are held until the end of the context.

        Args:
            client: who sends it.
            length: bytes that are announced.
            wait: seconds until the queued pictures should be done.

        Raises:
            Problem: too many arrive already, or the queue is full, so that the body would come in vain.
        """
        of_client = sum(each.client == client for each in self._arrivals)
        if self._is_full(len(self._arrivals), of_client, self.limits.uploads):
            raise self._full(wait)
        self._check_queue(client, wait)
        arrival = Arrival(client, length)
        self._arrivals.add(arrival)
        try:
            yield arrival
        finally:
            self._arrivals.discard(arrival)
            self.held[client] -= arrival.arrived
            self.held += Counter()  # without those who hold nothing

    def count(self, arrival: Arrival, size: int, wait: int) -> None:
        """Count bytes that have just arrived.

        Raises:
            Problem: they are more than there is room for.
        """
        total, own = self.held_bytes + size - 1, self.held[arrival.client] + size - 1
        if self._is_full(total, own, self.limits.held_bytes):
            raise self._full(wait, besides=arrival)
        arrival.arrived += size
        self.held[arrival.client] += size

    @contextmanager
    def work(self, arrival: Arrival, wait: int) -> Iterator[None]:
        """Count a request whose body is complete as one in the queue.

        Raises:
            Problem: the queue is full.
        """
        self._check_queue(arrival.client, wait)
        self._arrivals.discard(arrival)
        self.working[arrival.client] += 1
        try:
            yield
        finally:
            self.working[arrival.client] -= 1
            self.working += Counter()

    def _check_queue(self, client: str, wait: int) -> None:
        if self._is_full(self.working.total(), self.working[client], self.limits.requests):
            raise _busy(wait)

    def _is_full(self, total: int, own: int, limit: int) -> bool:
        """Whether there is no room for one more of all clients', or of this client's."""
        return total >= limit or own >= math.ceil(limit * self.limits.client_share)

    def _full(self, wait: int, besides: Arrival | None = None) -> Problem:
        """The problem that other uploads are in the way: the first of them must end, and its work be done."""
        longest = self.limits.upload_seconds
        left = [each.seconds_left(longest) for each in self._arrivals if each is not besides]
        return _busy(wait + math.ceil(min(left, default=0.0)))


def _busy(wait: int) -> Problem:
    return Problem("full", f"the server is busy; retry in {wait} s", wait)
