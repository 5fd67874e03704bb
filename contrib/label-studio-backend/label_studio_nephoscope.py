"""Predictions in Label Studio: its machine-learning backend API, served by a model of nephoscope.

python label_studio_nephoscope.py PICTURES

A prediction is a brush mask for each pattern that is present, to be corrected as any annotation. Pictures are
read from one folder; from addresses only if they begin as stated.

Source: "Write your own ML backend", labelstud.io/guide/ml_create; the labelling interface's XML,
labelstud.io/tags.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

import nephoscope
from nephoscope import Model, NephoscopeError
from nephoscope.core.errors import LabelError
from nephoscope.core.patterns import C3ONTEXT_NAMES
from nephoscope.datasets.exchange.label_studio import brush_region
from nephoscope.datasets.exchange.pictures import names_in_address
from nephoscope.inference.prediction import Predictor

PORT = 9090
"""Label Studio's own examples use this port."""

_LONGEST = 1_000_000  # letters of a labelling interface
_OURS = {theirs.casefold(): ours for theirs, ours in C3ONTEXT_NAMES.items()}

log = logging.getLogger("nephoscope.label_studio")


class Request(BaseModel):
    """Tasks to predict, and the labelling interface of their project."""

    tasks: list[dict[str, Any]]
    label_config: str = ""


class Interface(NamedTuple):
    """What predictions need to know of a labelling interface.

    Attributes:
        control: name of the tag of brush labels.
        picture: name of the tag of the picture.
        key: of a task's data, which has the picture's address.
        labels: of the interface, by pattern.
    """

    control: str
    picture: str
    key: str
    labels: dict[str, str]


def make_app(folder: Path, model: Predictor, addresses: Sequence[str] = ()) -> FastAPI:
    """Make the server.

    Args:
        folder: of the pictures; nothing outside of it is read.
        model: that predicts.
        addresses: beginnings of web addresses from which pictures are fetched, ending in `/`.
    """
    if wrong := [each for each in addresses if not each.endswith("/") or "://" not in each]:
        raise ValueError(f"{wrong[0]}: give the beginning of an address with its last /")
    app, patterns = FastAPI(title="nephoscope for Label Studio"), model.card.patterns

    @app.get("/")
    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "UP", "model_class": "nephoscope"}

    @app.post("/setup")
    def setup(request: dict[str, Any]) -> dict[str, str]:
        read_interface(str(request.get("schema") or ""), patterns)
        return {"model_version": model.card.name}

    @app.post("/predict")
    def predict(request: Request) -> dict[str, Any]:
        interface = read_interface(request.label_config, patterns)
        results = [_predict(task, interface) for task in request.tasks]
        return {"results": results, "model_version": model.card.name}

    def _predict(task: dict[str, Any], interface: Interface) -> dict[str, Any]:
        # Label Studio reports an entry without `result`, and goes on with the others. An empty one would say
        # that there is no pattern.
        try:
            address = task.get("data", {}).get(interface.key)
            return {
                **prediction(find_picture(address, folder, addresses), model, interface),
                "model_version": model.card.name,
            }
        except (NephoscopeError, OSError) as error:
            log.warning("task %s: %s", task.get("id"), error)
            return {"error": str(error)}

    return app


def read_interface(text: str, patterns: Sequence[str]) -> Interface:
    """Read a labelling interface.

    Raises:
        HTTPException: it has no picture with brush labels of the patterns; Label Studio shows the message.
    """
    if len(text) > _LONGEST or "<!" in text.replace("<!--", ""):  # entities can stand for gigabytes
        raise HTTPException(400, "the labelling interface is too long, or has declarations")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise HTTPException(400, f"the labelling interface cannot be read: {error}") from error
    pictures = {each.get("name"): each.get("value", "").removeprefix("$") for each in root.iter("Image")}
    for brushes in root.iter("BrushLabels"):
        picture = brushes.get("toName", "")
        labels: dict[str, str] = {}
        for label in brushes.iter("Label"):
            value = label.get("value", "")
            name = value.strip().casefold()
            labels |= {each: value for each in patterns if name == each.casefold() or _OURS.get(name) == each}
        if pictures.get(picture) and labels:
            return Interface(brushes.get("name", ""), picture, pictures[picture], labels)
    raise HTTPException(
        400, f"the labelling interface needs an Image with BrushLabels of {', '.join(patterns)}"
    )


def find_picture(address: object, folder: Path, addresses: Sequence[str]) -> Path | str:
    """The file, or the web address, of a task's picture.

    Files are looked for by the path that Label Studio's local storage states, then by their name.

    Raises:
        LabelError: there is none in the folder.
    """
    if isinstance(address, str) and address.startswith(tuple(addresses)):
        return address
    names = names_in_address(address)
    (inner, *_) = parse_qs(urlsplit(str(address)).query).get("d", [""])
    root = folder.resolve()
    for name in filter(str.isprintable, [*([unquote(inner)] if inner else []), *names]):
        path = (root / name.lstrip("/")).resolve()  # links may lead out of the folder, too
        if path.is_relative_to(root) and path.is_file():
            return path
    raise LabelError(f"{names[-1]}: no such picture in the folder of the backend")


def prediction(picture: Path | str, model: Predictor, interface: Interface) -> dict[str, Any]:
    """A prediction as Label Studio takes it; scores are those of the patterns' presence."""
    result = nephoscope.segment(picture, model)
    regions = [
        brush_region(
            name,
            result.mask(name, result.scene.size),
            label=interface.labels[name],
            control=interface.control,
            picture=interface.picture,
        )
        | {"score": round(result.scores[name], 4)}
        for name in result.present
        if name in interface.labels
    ]
    return {"result": regions, "score": max((each["score"] for each in regions), default=0.0)}


def main() -> None:
    """Serve until interrupted."""
    import uvicorn

    parser = argparse.ArgumentParser(description="Predictions of nephoscope in Label Studio.")
    parser.add_argument("folder", type=Path, help="folder of the pictures; nothing else is read")
    parser.add_argument("--model", default="default", help="name or file of a model")
    parser.add_argument(
        "--address", action="append", default=[], help="also fetch pictures whose address begins so"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder}: not a folder")
    app = make_app(options.folder, Model.load(options.model), options.address)
    uvicorn.run(app, host=options.host, port=options.port)


if __name__ == "__main__":
    main()
