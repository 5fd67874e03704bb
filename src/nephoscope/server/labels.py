"""Labels that visitors draw, saved in a data set: `serve --labels FOLDER`."""

import asyncio
import json
import logging
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request

from nephoscope.core.errors import DatasetError, LabelError, LocationError, SceneError
from nephoscope.core.geo import parse_bounds, parse_day
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.collection import Collection, LabelledScene, canonical
from nephoscope.datasets.rle import decode
from nephoscope.imagery.reading import open_scene
from nephoscope.server import schemas, uploads
from nephoscope.server.clients import Admission, client_of
from nephoscope.server.inspection import check_picture
from nephoscope.server.limits import Limits
from nephoscope.server.pool import Pool
from nephoscope.server.problems import Problem

log = logging.getLogger("nephoscope.server")

router = APIRouter()

_PART = "labels"
_MOST_BYTES = 8 * 1024 * 1024  # of a part of labels; those of four ragged masks have a tenth of it
_COARSE = (1, 1)  # pixels; a JPEG is decoded at an eighth
_BODY = {
    "required": True,
    "description": "A form with two files: `picture`, and `labels`, a JSON object of run lengths by pattern.",
    "content": {
        uploads.FORM: {
            "schema": {
                "type": "object",
                "required": [uploads.FIELD, _PART],
                "properties": {
                    uploads.FIELD: {"type": "string", "format": "binary"},
                    _PART: {"type": "string", "format": "binary"},
                },
            }
        }
    },
}


@router.get(
    "/labels", tags=["labels"], operation_id="count_labels", responses=schemas.problems("token", "not-found")
)
async def count(request: Request, query: Annotated[schemas.LabelsQuery, Query()]) -> schemas.LabelCounts:
    """How many pictures have labels, and what one person drew in one of them."""
    annotations = await asyncio.to_thread(_collection(request).annotations)
    person, image = canonical(query.annotator.strip()), canonical(query.image)
    own = {each.image: each.texts for each in annotations if each.annotator == person}
    pictures = len({each.image for each in annotations})
    return schemas.LabelCounts(pictures=pictures, own=len(own), labels=own.get(image))


@router.post(
    "/labels",
    tags=["labels"],
    operation_id="save_labels",
    responses=schemas.problems(
        *("token", "origin", "not-found", "length", "too-large", "not-a-picture", "picture", "value"),
        *("place", "storage"),
    ),
    openapi_extra={"requestBody": _BODY},
)
async def save(request: Request, query: Annotated[schemas.SaveLabelsQuery, Query()]) -> schemas.SavedLabels:
    """Save what one person drew on a picture, in place of what the same person drew on it before.

    Labels are on the contest's grid of 1400 x 2100 pixels. Patterns that are left out are not in the picture.
    """
    collection, state = _collection(request), request.app.state
    limits: Limits = state.settings.limits
    pool: Pool = state.pool
    admission: Admission = state.admission
    length = uploads.content_length(request, limits)
    with admission.receive(client_of(request.scope), length, pool.retry_after()) as arrival:
        bounds = parse_bounds(query.bounds) if query.bounds else None
        day = parse_day(query.day) if query.day else None

        def held(size: int) -> None:
            admission.count(arrival, size, pool.retry_after())

        most = {uploads.FIELD: limits.picture_bytes, _PART: _MOST_BYTES}
        picture, labels = await uploads.read_parts(request, most, limits, held)
        masks = await asyncio.to_thread(_masks, labels.content, collection.patterns)

        def work() -> str:
            check_picture(picture, limits.pixels)
            scene = open_scene(picture.content, name=picture.name, max_pixels=limits.pixels)
            scene.read(_COARSE)  # a file that is cut short shows only now
            scene = scene.with_location(bounds, day)
            record = Record(picture.name, "", scene.satellite or "", scene.day, scene.bounds)
            return collection.save(
                LabelledScene(picture.name, picture.content, query.annotator.strip(), masks, record)
            )

        try:
            return schemas.SavedLabels(image=await asyncio.to_thread(work))
        except SceneError as error:
            raise Problem("picture", str(error)) from error
        except LocationError as error:
            raise Problem("place", str(error)) from error
        except DatasetError as error:
            raise Problem("value", str(error)) from error
        except OSError as error:
            log.exception("labels")
            raise Problem("storage", f"{picture.name}: not saved: {error.strerror or error}") from error


def _collection(request: Request) -> Collection:
    collection: Collection | None = request.app.state.labels
    if collection is None:
        raise Problem("not-found", "this server keeps no labels; `nephoscope serve --labels FOLDER` does")
    return collection


def _masks(content: bytes, patterns: tuple[str, ...]) -> Any:
    """Masks of all patterns on the label grid, from JSON."""
    try:
        texts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Problem("value", f"labels: invalid JSON: {error}") from error
    if not (isinstance(texts, dict) and all(isinstance(text, str) for text in texts.values())):
        example = json.dumps({patterns[0]: "1 3 1401 3"})
        raise Problem("value", f"labels: expected run lengths by pattern, such as {example}")
    if unknown := sorted(texts.keys() - set(patterns)):
        raise Problem(
            "value", f"labels: unknown pattern {unknown[0][:80]!r}; available: {', '.join(patterns)}"
        )
    try:
        return np.stack([decode(texts.get(name, ""), LABEL_GRID) for name in patterns])
    except LabelError as error:
        raise Problem("value", f"labels: {error}") from error
