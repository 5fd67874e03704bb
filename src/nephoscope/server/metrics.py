"""For those who operate the server: whether it is up and ready, and metrics for Prometheus."""

from functools import partial

import onnxruntime
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest

from nephoscope.core.version import __version__
from nephoscope.server.problems import Problem
from nephoscope.server.schemas import problems

router = APIRouter(tags=["operation"])

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Metrics of one server; the outcomes of pictures are segmented, refused, failed and late."""

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
        self.queue_seconds = histogram("nephoscope_queue_seconds", "Time that one picture waits for a worker")
        self.problems = counter("nephoscope_problems", "Requests and pictures refused or failed", ["kind"])
        versions = Info("nephoscope", "Versions", registry=self.registry)
        versions.info({"version": __version__, "onnxruntime": onnxruntime.__version__})
        ProcessCollector(registry=self.registry)  # memory, processor time, open files


@router.get("/healthz", operation_id="is_alive", responses=problems())
async def healthz() -> dict[str, str]:
    """Liveness: the process answers."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="is_ready", responses=problems("time"))
async def readyz(request: Request) -> dict[str, str]:
    """Readiness: the models are loaded and the server is not stopping."""
    if not request.app.state.ready:
        raise Problem("time", "not ready", 1)
    return {"status": "ready"}


@router.get("/metrics", operation_id="get_metrics", response_class=Response, responses=problems("token"))
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    content = generate_latest(request.app.state.metrics.registry)
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")
