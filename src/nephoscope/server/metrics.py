"""What the server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counters of one server.

    Attributes:
        requests: answered, by route and status.
        seconds: from a request's header to the end of its answer, by route.
        pictures: segmented, refused or failed.
        picture_seconds: of work on one picture.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "nephoscope_requests", "Requests answered", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "nephoscope_request_seconds",
            "From a request's header to the end of its answer",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.pictures = Counter(
            "nephoscope_pictures", "Pictures by what became of them", ["outcome"], registry=self._registry
        )
        self.picture_seconds = Histogram(
            "nephoscope_picture_seconds", "Work on one picture", buckets=_BUCKETS, registry=self._registry
        )

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Tell a value as it is when somebody asks."""
        Gauge(name, what, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All of them, in Prometheus's own form."""
        return generate_latest(self._registry)
