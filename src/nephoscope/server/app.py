"""The application: its parts put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from nephoscope import __version__
from nephoscope.inference.model import Model
from nephoscope.server import api, pages, problems, worldview
from nephoscope.server.guard import Guard
from nephoscope.server.metrics import CONTENT_TYPE, Metrics
from nephoscope.server.pool import Pool
from nephoscope.server.schemas import ProblemDetails
from nephoscope.server.settings import Settings

VERSION = "v1"
"""Of the API. Addresses without it mean the newest."""

_SETTLED = 5  # s after which drawing the sample, which takes seconds, disturbs nobody's first look


def create_app(settings: Settings) -> Guard:
    """The whole server as an ASGI application, behind its guard.

    Raises:
        ModelError: a model cannot be used.
    """
    loaded = (Model.load(model, threads=1) for model in settings.models)
    models = {model.card.name: model for model in loaded}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = app.state
        state.pool = Pool(settings.workers, settings.limits)
        state.overpasses = worldview.Overpasses(settings.archive, settings.limits)
        for model in models.values():  # the first run of a network allocates what the others use again
            model(np.zeros((1, *model.card.input_size, 3), np.uint8))
        state.ready = True
        drawing = asyncio.create_task(_draw_the_sample())
        yield
        drawing.cancel()
        state.ready = False
        state.overpasses.close()
        state.pool.close()

    app = FastAPI(
        title="nephoscope",
        summary="Finds how shallow clouds organise: Fish, Flower, Gravel and Sugar in satellite pictures.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # both load their scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
    )
    metrics = Metrics()
    metrics.watch(
        "nephoscope_requests_inside", "Requests in work or waiting", lambda: app.state.pool.requests
    )
    metrics.watch(
        "nephoscope_pictures_inside", "Pictures in work or waiting", lambda: app.state.pool.pictures
    )
    metrics.watch("nephoscope_held_bytes", "Uploads held in memory", lambda: app.state.pool.held_bytes)
    app.state.settings, app.state.models, app.state.metrics = settings, models, metrics
    app.state.ready = False

    app.include_router(pages.router)
    for prefix, shown in ((f"/api/{VERSION}", True), ("/api", False)):
        app.include_router(api.router, prefix=prefix, include_in_schema=shown)
        app.include_router(worldview.router, prefix=prefix, include_in_schema=shown)
    _add_health(app, metrics)
    app.add_exception_handler(problems.Problem, problems.on_problem)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(Exception, problems.on_failure)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    # Outside of all that Starlette adds, so that its own answers carry the guard's headers, too.
    return Guard(app, settings, metrics)


async def _draw_the_sample() -> None:
    """Before anyone asks for it, but after the page of whoever opens it at once."""
    await asyncio.sleep(_SETTLED)
    await asyncio.to_thread(pages.sample)


def _add_health(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"])
    async def readyz(request: Request) -> dict[str, str]:
        """The models are loaded, and the server is not about to stop."""
        if not request.app.state.ready:
            raise problems.Problem("time", "not ready", 1)
        return {"status": "ready"}

    @app.get("/metrics", tags=["operation"], response_class=Response)
    async def tell() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)


def _openapi(app: FastAPI) -> dict[str, object]:
    """The OpenAPI document, with the form of problems, which no route returns by itself."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schema["components"]["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
        app.openapi_schema = schema
    return app.openapi_schema
