"""The JSON API: server state, models, problems, and segmentation of pictures."""

import asyncio
import json
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated, Any, cast, get_args

from fastapi import APIRouter, Query, Request, Response

from nephoscope.core.errors import CardError
from nephoscope.core.geo import parse_bounds, parse_day
from nephoscope.core.version import __version__
from nephoscope.inference import payload
from nephoscope.inference.card import Card, RuleChanges, RuleSet
from nephoscope.inference.model import Model
from nephoscope.outputs.json import web_render
from nephoscope.server import responses, schemas, uploads
from nephoscope.server.clients import Admission, client_of
from nephoscope.server.limits import Limits
from nephoscope.server.metrics import Metrics
from nephoscope.server.pool import Checkpoint, Pool
from nephoscope.server.problems import KINDS, Problem
from nephoscope.server.settings import Settings
from nephoscope.server.work import PictureJob, segment_upload

log = logging.getLogger("nephoscope.server")
router = APIRouter()

_PIXEL_COUNTS = {"top_k", "least_cover", "minimum_area", "join"}  # attributes of a rule that count pixels
_MAX_PIXEL_COUNT = 1_000_000_000

_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_FORM_SCHEMA = {
    "type": "object",
    "required": [uploads.FIELD],
    "properties": {uploads.FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}}},
}
_BODY = {
    "required": True,
    "description": "A form with one or several pictures, or the file of one picture.",
    "content": {uploads.FORM: {"schema": _FORM_SCHEMA}, **dict.fromkeys(uploads.SINGLE, _BINARY)},
}
_MEDIA_TYPES = [each.media_type for each in responses.response_formats()]
_SUCCESS = {
    "description": "The result, in the format that Accept asks for.",
    "content": {
        each: {"schema": {"type": "string", "contentMediaType": each}}
        for each in _MEDIA_TYPES
        if each != "application/json"
    },
}


@router.get("/server", tags=["about"], operation_id="get_server", responses=schemas.problems())
async def server(request: Request) -> schemas.ServerState:
    """Patterns, limits and formats, and whether a token is needed; this route itself needs none."""
    settings: Settings = request.app.state.settings
    patterns: dict[str, schemas.PatternMeaning] = {}
    for model in request.app.state.models.values():
        for each in model.card.styled_patterns:
            meaning = schemas.PatternMeaning(name=each.name, colour=each.hex_colour, meaning=each.meaning)
            patterns.setdefault(each.name, meaning)
    return schemas.ServerState(
        nephoscope=__version__,
        token_needed=settings.token is not None,
        patterns=list(patterns.values()),
        limits=asdict(settings.limits),
        workers=settings.workers,
        labels=settings.labels is not None,
        formats=[schemas.Download(**each) for each in responses.downloads()],
    )


@router.get("/models", tags=["about"], operation_id="list_models", responses=schemas.problems("token"))
async def models(request: Request) -> schemas.ModelCards:
    """The cards of the loaded models, the default one first."""
    loaded: dict[str, Model] = request.app.state.models
    return schemas.ModelCards(models=[model.card.as_dict() for model in loaded.values()])


@router.get("/problems/{kind}", tags=["about"], response_class=Response, include_in_schema=False)
async def problem(kind: str) -> Response:
    """What a kind of problem means, and what to do."""
    if kind not in KINDS:
        raise Problem("not-found", f"unknown kind of problem {kind!r}; available: {', '.join(KINDS)}")
    status, title, advice = KINDS[kind]
    return Response(f"{title} (status {status})\n\n{advice}\n", media_type="text/plain")


@router.post(
    "/segment",
    tags=["patterns"],
    operation_id="segment_pictures",
    response_model=schemas.Scenes,
    responses=schemas.problems(
        "token",
        "origin",
        "format",
        "length",
        "too-large",
        "not-a-picture",
        "picture",
        "model",
        "value",
        "place",
        "time",
    )
    | {200: _SUCCESS},
    openapi_extra={"requestBody": _BODY},
)
async def segment(request: Request, query: Annotated[schemas.SegmentQuery, Query()]) -> Response:
    """Find the patterns in one or several pictures.

    Formats: JSON and the contest's CSV; for one picture also the overlay (PNG), masks (ZIP), GeoJSON, NetCDF,
    and probabilities (NPZ). In JSON, a picture that fails does not affect the others: its entry holds the
    problem.
    """
    state = request.app.state
    limits: Limits = state.settings.limits
    if unknown := sorted(request.query_params.keys() - schemas.SegmentQuery.model_fields.keys()):
        available = ", ".join(sorted(schemas.SegmentQuery.model_fields))
        raise Problem("value", f"unknown parameter {unknown[0][:80]!r}; available: {available}")
    accept = request.headers.get("accept", "")
    pool: Pool = state.pool
    admission: Admission = state.admission
    client, length = client_of(request.scope), uploads.content_length(request, limits)
    with admission.receive(client, length, pool.retry_after()) as arrival:
        model = _select_model(state.models, query.model, query.rules)
        bounds = parse_bounds(query.bounds) if query.bounds else None
        day = parse_day(query.day) if query.day else None
        responses.negotiate(accept, 1)  # fails before a large body is read

        def count(size: int) -> None:
            admission.count(arrival, size, pool.retry_after())

        pictures = await uploads.read_pictures(request, query.name, limits, count)
        chosen = responses.negotiate(accept, len(pictures))
        if chosen.media_type == payload.MEDIA_TYPE:
            render = partial(responses.render_npz, steps=query.steps, picture=query.picture)
            chosen = replace(chosen, render=render)
        elif chosen.media_type == "application/json" and not query.outlines:
            chosen = replace(chosen, render=partial(web_render, outlines=False))
        job = PictureJob(model, chosen, query.tta, bounds, day, query.extent)
        with admission.work(arrival, pool.retry_after()):
            work = [_segment_one(state, picture, job, client) for picture in pictures]
            results = await _wait(request, work, limits.seconds, pool, state.metrics)
    problems = [result for result in results if isinstance(result, Problem)]
    if problems and (len(results) == 1 or chosen.media_type != "application/json"):
        raise problems[0]  # which counts it
    for problem in problems:
        state.metrics.problems.labels(problem.kind).inc()
    names = [picture.name for picture in pictures]
    contents = [
        json.dumps({"scene": name, "problem": result.as_dict()}, ensure_ascii=False).encode()
        if isinstance(result, Problem)
        else result
        for name, result in zip(names, results, strict=True)
    ]
    return await responses.compressed(chosen.response(names, contents), request)


def _select_model(models: dict[str, Model], name: str | None, rules: str | None) -> Model:
    """The model of a request, with the rules of the request."""
    if name is not None and name not in models:
        raise Problem("model", f"unknown model {name[:80]!r}; available: {', '.join(models)}")
    model = models[name] if name else next(iter(models.values()))
    if rules is None:
        return model
    card = _with_rules(model.card, rules)
    if card.needs_presence_head and not model.has_presence_head:
        raise Problem("value", f"rules: the network of {card.name} has no presence head")
    return replace(model, card=card)


def _with_rules(card: Card, text: str) -> Card:
    if text in get_args(RuleSet):
        return _changed(card, cast(RuleSet, text))
    try:
        changes = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem("value", f"rules: invalid JSON: {error}") from error
    if not (isinstance(changes, dict) and all(isinstance(change, dict) for change in changes.values())):
        example = json.dumps({card.patterns[0]: {"threshold": 0.4}})
        raise Problem("value", f"rules: expected an object such as {example}")
    for change in changes.values():
        for name in _PIXEL_COUNTS & change.keys():
            if type(change[name]) is not int or change[name] > _MAX_PIXEL_COUNT:
                raise Problem("value", f"rules: {name} must be an integer of at most {_MAX_PIXEL_COUNT:,}")
    return _changed(card, changes)


def _changed(card: Card, changes: RuleChanges) -> Card:
    try:
        return card.with_rules(changes)
    except CardError as error:
        raise Problem("value", f"rules: {error}") from error


async def _segment_one(state: Any, upload: uploads.Upload, job: PictureJob, client: str) -> bytes | Problem:
    """A picture's content or its problem; an exception would end the work on the request's other pictures."""
    pool: Pool = state.pool
    metrics: Metrics = state.metrics

    def work(checkpoint: Checkpoint) -> bytes:
        with metrics.picture_seconds.time():
            return segment_upload(upload, job, state.settings.limits, state.budget, checkpoint)

    result: bytes | Problem
    try:
        result, outcome = await pool.run(work, client), "segmented"
    except Problem as problem:
        result, outcome = problem, "refused"
    except Exception as error:
        result, outcome = Problem("failure", f"{upload.name}: unexpected {type(error).__name__}"), "failed"
        log.exception("%s", upload.name)
    metrics.pictures.labels(outcome).inc()
    return result


async def _wait(
    request: Request,
    work: Sequence[Coroutine[Any, Any, bytes | Problem]],
    seconds: float,
    pool: Pool,
    metrics: Metrics,
) -> list[bytes | Problem]:
    """Results of all pictures in order; after a timeout, of those that are done, and problems of the others.

    Raises:
        Problem: the client has disconnected, or no picture is done in time.
    """
    working = [asyncio.ensure_future(each) for each in work]
    leaving = asyncio.ensure_future(_disconnected(request))
    everything = asyncio.gather(*working)
    try:
        await asyncio.wait((everything, leaving), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() and not everything.done():
            raise Problem("request", "the client disconnected")
        wait = pool.retry_after()
        late = Problem("time", f"not done after {seconds:g} s; retry in {wait} s", wait)
        undone = sum(not each.done() for each in working)
        metrics.pictures.labels("late").inc(undone)
        if undone == len(working):
            raise late
        return [each.result() if each.done() else late for each in working]
    finally:
        everything.cancel()  # and all that is not done
        leaving.cancel()
        await asyncio.gather(everything, leaving, *working, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
