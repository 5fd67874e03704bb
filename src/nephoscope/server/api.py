"""What programs may ask: the models, and the patterns of pictures."""

import asyncio
import json
import logging
from collections.abc import Awaitable
from dataclasses import asdict, replace
from inspect import signature
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response

from nephoscope import __version__
from nephoscope.core.errors import CardError, LocationError
from nephoscope.core.geo import parse_bounds, parse_day
from nephoscope.core.patterns import DEFAULT_PATTERNS
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.server import responses, uploads
from nephoscope.server.metrics import Metrics
from nephoscope.server.pool import Pool
from nephoscope.server.problems import KINDS, Problem
from nephoscope.server.schemas import PROBLEMS, ModelCards, Scenes, ServerState
from nephoscope.server.settings import Settings
from nephoscope.server.work import PictureJob, answer

T = TypeVar("T")

log = logging.getLogger("nephoscope.server")
router = APIRouter()

_WHOLE = {"top_k", "least_cover", "minimum_area", "join"}  # a rule's attributes that count pixels
_MOST = 1_000_000_000  # px

_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_BODY = {
    "required": True,
    "description": "A form with one or several pictures, or one picture's file as it is.",
    "content": {
        uploads.FORM: {
            "schema": {
                "type": "object",
                "required": [uploads.FIELD],
                "properties": {
                    uploads.FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}}
                },
            }
        },
        **dict.fromkeys(uploads.SINGLE, _BINARY),
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What was found, in the form that Accept asks for.",
        "content": {
            form.media_type: {} for form in responses.forms() if form.media_type != "application/json"
        },
    }
}


@router.get("/server", tags=["about"], responses=PROBLEMS)
async def server(request: Request) -> ServerState:
    """The patterns, the limits, and whether a token is asked for; this itself needs none."""
    settings: Settings = request.app.state.settings
    return ServerState.model_validate(
        {
            "nephoscope": __version__,
            "token_needed": settings.token is not None,
            "patterns": [
                {
                    "name": pattern.name,
                    "colour": pattern.hex_colour,
                    "meaning": pattern.meaning,
                }
                for pattern in DEFAULT_PATTERNS
            ],
            "limits": asdict(settings.limits),
            "formats": responses.downloads(),
        }
    )


@router.get("/models", tags=["about"], responses=PROBLEMS)
async def models(request: Request) -> ModelCards:
    """The cards of the models that this server has, the usual one first."""
    loaded: dict[str, Model] = request.app.state.models
    return ModelCards(models=[model.card.as_dict() for model in loaded.values()])


@router.get("/problems/{kind}", tags=["about"], response_class=Response, include_in_schema=False)
async def problem(kind: str) -> Response:
    """What a kind of problem means, and what can be done."""
    if kind not in KINDS:
        raise Problem("not-found", f"no kind of problem {kind!r}")
    status, title, advice = KINDS[kind]
    return Response(f"{title} (status {status})\n\n{advice}\n", media_type="text/plain")


@router.post(
    "/segment",
    tags=["patterns"],
    response_model=Scenes,
    responses=PROBLEMS | _ANSWERS,
    openapi_extra={"requestBody": _BODY},
)
async def segment(
    request: Request,
    model: Annotated[str | None, Query(description="A model's name; the first unless said.")] = None,
    tta: Annotated[bool, Query(description="Mean over four mirror images.")] = False,
    bounds: Annotated[
        str | None,
        Query(description="Where all pictures are: a region, or west,south,east,north.", max_length=200),
    ] = None,
    day: Annotated[
        str | None, Query(description="When all were taken.", examples=["2020-02-01"], max_length=40)
    ] = None,
    rules: Annotated[
        str | None,
        Query(
            description="JSON: attributes of rules, by pattern, in place of the card's.",
            examples=['{"Fish": {"threshold": 0.4}}'],
            max_length=4000,
        ),
    ] = None,
    steps: Annotated[
        int | None, Query(description="For npz: probabilities as so many steps.", ge=1, le=255)
    ] = None,
    picture: Annotated[bool, Query(description="For npz: also the picture, as JPEG.")] = False,
    name: Annotated[str | None, Query(description="Of a picture that is the whole body.")] = None,
) -> Response:
    """Find the patterns in one or several pictures.

    Forms: JSON; the contest's CSV; for one picture also the overlay (PNG), its masks (ZIP), GeoJSON, NetCDF,
    and its probabilities (NPZ). Of several pictures, each that fails says so in its own entry of the JSON.
    """
    state = request.app.state
    settings: Settings = state.settings
    pool: Pool = state.pool
    if unknown := sorted(request.query_params.keys() - _PARAMETERS):
        raise Problem(
            "value", f"no parameter {unknown[0][:80]!r}: there are {', '.join(sorted(_PARAMETERS))}"
        )
    with pool.place(uploads.length(request, settings.limits)):
        chosen = _chosen(state.models, model, rules)
        try:
            place = parse_bounds(bounds) if bounds else None
            when = parse_day(day) if day else None
        except LocationError as error:
            raise Problem("value", str(error)) from error
        responses.choose(request.headers.get("accept", ""), 1)  # before a large body comes for nothing
        found = await uploads.pictures(request, name, settings.limits)
        form = responses.choose(request.headers.get("accept", ""), len(found))
        order = PictureJob(chosen, responses.with_steps(form, steps, picture), tta, place, when)
        work = asyncio.gather(*(_one(state, upload, order) for upload in found))
        results = await _unless_gone(request, work, settings.limits.seconds, pool)
    problems = [result for result in results if isinstance(result, Problem)]
    if problems and (len(results) == 1 or form.media_type != "application/json"):
        raise problems[0]
    names = [upload.name for upload in found]
    contents = [
        responses.problem_content(name, result.as_dict()) if isinstance(result, Problem) else result
        for name, result in zip(names, results, strict=True)
    ]
    return form.response(names, contents)


_PARAMETERS = set(signature(segment).parameters) - {"request"}


def _chosen(models: dict[str, Model], name: str | None, rules: str | None) -> Model:
    """A model, under other rules where some are given."""
    if name is not None and name not in models:
        raise Problem("value", f"model={name[:80]}: this server has {', '.join(models)}")
    chosen = models[name] if name else next(iter(models.values()))
    if rules is None:
        return chosen
    card = _with_rules(chosen.card, rules)
    heads = any(rule.evidence != "top_k" for rule in card.rules.values())
    if heads and not chosen.has_presence_head:
        raise Problem("value", f"rules: the network of {card.name} has no presence head")
    return replace(chosen, card=card)


def _with_rules(card: Card, text: str) -> Card:
    try:
        changes = json.loads(text)
    except json.JSONDecodeError as error:
        raise Problem("value", f"rules: not JSON: {error}") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too deep a nesting
        raise Problem("value", f"rules: {error}") from error
    try:
        if not (isinstance(changes, dict) and all(isinstance(change, dict) for change in changes.values())):
            raise Problem("value", 'rules: expected such as {"Fish": {"threshold": 0.4}}')
        for change in changes.values():
            for name in _WHOLE & change.keys():
                if type(change[name]) is not int or change[name] > _MOST:
                    raise Problem("value", f"rules: {name} is a whole number of pixels, up to {_MOST:,}")
        return card.with_rules(changes)
    except CardError as error:
        raise Problem("value", f"rules: {error}") from error


async def _one(state: Any, upload: uploads.Upload, order: PictureJob) -> bytes | Problem:
    """A picture's answer, or why there is none: one picture must never cost the others."""
    pool: Pool = state.pool
    metrics: Metrics = state.metrics
    limits = state.settings.limits

    def work(step: Any) -> bytes:
        with metrics.picture_seconds.time():
            return answer(upload, order, limits, step)

    try:
        result: bytes | Problem = await pool.run(work)
        metrics.pictures.labels("segmented").inc()
    except Problem as problem:
        metrics.pictures.labels("refused").inc()
        result = problem
    except Exception as error:
        metrics.pictures.labels("failed").inc()
        log.exception("%s", upload.name)
        result = Problem("failure", f"{upload.name}: unexpected {type(error).__name__}")
    return result


async def _unless_gone(request: Request, work: Awaitable[T], seconds: float, pool: Pool) -> T:
    """Wait for work, but not for ever, and not for somebody who has left."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if leaving.done():
            raise Problem("request", "you have left")  # nobody reads it
        wait = pool.retry_after()
        raise Problem("time", f"not done after {seconds:g} s; come again in {wait} s", wait)
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait((working, leaving))
        if not working.cancelled():
            working.exception()  # else its end, of which nobody hears, would be told as a fault


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
