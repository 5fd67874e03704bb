"""The ASGI application: routes, error handlers, metrics, and what runs at start and stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from prometheus_client import Gauge
from starlette.exceptions import HTTPException

from nephoscope.core.errors import LocationError
from nephoscope.core.version import __version__
from nephoscope.datasets.collection import Collection
from nephoscope.inference.model import Model
from nephoscope.server import api, api_page, labels, metrics, pages, problems, worldview
from nephoscope.server.clients import Admission
from nephoscope.server.guard import Guard
from nephoscope.server.memory import PixelBudget
from nephoscope.server.pool import Pool
from nephoscope.server.schemas import ProblemDetails
from nephoscope.server.settings import Settings

_SAMPLE_DELAY = 5  # s; drawing the sample takes seconds and must not delay the first page


def create_app(settings: Settings) -> Guard:
    """Make the ASGI application, behind its guard.

    Raises:
        ModelError: a model cannot be used.
        DatasetError: the folder of labels is no data set that can grow.
        LabelError: its label file has another form, or other patterns than the default model.
    """
    loaded = (Model.load(model, threads=1) for model in settings.models)
    models = {model.card.name: model for model in loaded}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = app.state
        state.pool = Pool(settings.workers, state.metrics.queue_seconds.observe)
        state.archive = worldview.ArchiveProxy(settings.archive, settings.limits, settings.worldview)
        for model in models.values():  # the first run of a network allocates the memory that later ones reuse
            model(np.zeros((1, *model.card.input_size, 3), np.uint8))
        state.ready = True
        drawing = asyncio.create_task(_draw_sample(state.budget))
        yield
        drawing.cancel()
        state.ready = False
        state.archive.close()
        state.pool.close()

    app = FastAPI(
        title="nephoscope",
        summary="Finds patterns of shallow cloud organisation in satellite pictures.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # both load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
    )
    state = app.state
    state.settings, state.models, state.metrics, state.ready = settings, models, metrics.Metrics(), False
    patterns = next(iter(models.values())).card.patterns
    state.labels = Collection(Path(settings.labels), patterns) if settings.labels else None
    state.admission = Admission(settings.limits)
    state.budget = PixelBudget(settings.limits.decoded_pixels)
    for name, description, attribute in (
        ("nephoscope_requests_inside", "Requests arriving, queued or in progress", "admission.requests"),
        ("nephoscope_pictures_inside", "Pictures in progress or queued", "pool.pictures"),
        ("nephoscope_held_bytes", "Bytes of uploads in memory", "admission.held_bytes"),
    ):
        gauge = Gauge(name, description, registry=state.metrics.registry)
        gauge.set_function(partial(attrgetter(attribute), state))  # read when Prometheus asks
    app.include_router(pages.router)
    app.include_router(api_page.router)
    for prefix, documented in (("/api/v1", True), ("/api", False)):  # without a version: the newest
        app.include_router(api.router, prefix=prefix, include_in_schema=documented)
        app.include_router(labels.router, prefix=prefix, include_in_schema=documented)
        app.include_router(worldview.router, prefix=prefix, include_in_schema=documented)
    app.include_router(metrics.router)
    for error in (problems.Problem, LocationError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(error, problems.on_error)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    # The guard wraps everything, so that Starlette's own responses carry its headers, too.
    return Guard(app, settings, state.metrics)


async def _draw_sample(budget: PixelBudget) -> None:
    await asyncio.sleep(_SAMPLE_DELAY)
    await asyncio.to_thread(pages.draw_sample, budget)


def _openapi(app: FastAPI) -> dict[str, object]:
    """The OpenAPI document, with the schema of problems, which no route returns by itself, and the token."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = schema["components"]
        components["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
        settings: Settings = app.state.settings
        if settings.root_path:
            schema["servers"] = [{"url": settings.root_path}]
        if settings.token is not None:
            components["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer", "description": "`nephoscope serve` prints it."}
            }
            for operations in schema["paths"].values():
                for operation in operations.values():
                    if "401" in operation["responses"]:
                        operation["security"] = [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema
