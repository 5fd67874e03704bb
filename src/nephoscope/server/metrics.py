"""Prometheus metrics."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

router = APIRouter()

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Metrics of one server.

    Attributes:
        requests: requests answered, by route and status.
        seconds: time from a request's header to the end of its response, by route.
        pictures: pictures by outcome: segmented, refused or failed.
        picture_seconds: time spent on one picture.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=_BUCKETS)
        self.requests = counter("nephoscope_requests", "Requests answered", ["route", "status"])
        self.seconds = histogram(
            "nephoscope_request_seconds", "Time from a request's header to the end of its response", ["route"]
        )
        self.pictures = counter("nephoscope_pictures", "Pictures by outcome", ["outcome"])
        self.picture_seconds = histogram("nephoscope_picture_seconds", "Time spent on one picture")

    def add_gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Export a value that is read when Prometheus asks."""
        Gauge(name, description, registry=self.registry).set_function(value)


@router.get("/metrics", tags=["operation"], response_class=Response)
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    content = generate_latest(request.app.state.metrics.registry)
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")
