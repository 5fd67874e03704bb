"""Fuzzing: requests generated from the OpenAPI document, and damaged pictures."""

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image as PilImage
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from asking import ask, post
from conftest import encoded, offline, serving
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.server.limits import Limits
from nephoscope.server.memory import PixelBudget
from nephoscope.server.problems import Problem
from nephoscope.server.responses import response_formats
from nephoscope.server.settings import Settings
from nephoscope.server.uploads import Upload
from nephoscope.server.work import PictureJob, segment_upload

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_requests_generated_from_the_openapi_document(tiny_model):
    """502 is what an archive that is not there is answered with, and no fault of the server."""
    with serving(replace(offline(), models=(str(tiny_model()),))) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        tried: Counter[str] = Counter()
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(
                max_examples=20,
                derandomize=True,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def hold(case):
                tried[case.operation.label] += 1
                answered = case.call(base_url=address)
                checks = CHECKS[1:] if answered.status_code == 502 else CHECKS
                case.validate_response(answered, checks=checks)

            given(operation.as_strategy())(hold)()
        document = ask(address, "/openapi.json").json["paths"]
        assert len(tried) == sum(len(methods) for methods in document.values())
        assert tried["POST /api/v1/segment"] == 20
        assert ask(address, "/readyz").status == 200


def seeds() -> dict[str, bytes]:
    pixels = make_scene(1, (60, 90), patterns=("Flower",)).pixels
    made = {ending: encoded(pixels, ending) for ending in (".jpg", ".png", ".webp", ".tif")}
    for name, options in {
        "progressive": {"format": "JPEG", "progressive": True},
        "cmyk": {"format": "JPEG"},
    }.items():
        file = io.BytesIO()
        PilImage.fromarray(pixels).convert("CMYK" if name == "cmyk" else "RGB").save(file, **options)
        made[name] = file.getvalue()
    return made


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bytes changed, cut out, doubled, or cut off."""
    mutated = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        at, count = int(rng.integers(len(mutated))), int(rng.integers(1, 9))
        match int(rng.integers(5)):
            case 0:
                mutated[at : at + count] = rng.integers(0, 256, count, np.uint8).tobytes()
            case 1:
                mutated[at : at + count] = b"\xff" * count
            case 2:
                del mutated[at : at + count]
            case 3:
                mutated[at:at] = mutated[at : at + 40]
            case 4:
                del mutated[max(at, 20) :]
        if len(mutated) < 2:
            break
    return bytes(mutated)


@pytest.mark.filterwarnings("ignore")
def test_damaged_pictures_never_crash(tiny_model):
    job = PictureJob(Model.load(tiny_model(), threads=1), response_formats()[0])
    rng = np.random.default_rng(0)
    outcomes = {"answered": 0, "refused": 0}
    blamed = set()
    for name, content in seeds().items():
        for _ in range(70):
            try:
                assert segment_upload(
                    Upload(name, damaged(content, rng)), job, Limits(), PixelBudget(10**9), lambda: None
                )
                outcomes["answered"] += 1
            except Problem as problem:
                blamed.add((name, problem.detail.partition(":")[0]))
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes
    assert all(name == stated for name, stated in blamed)


def test_server_survives_damaged_pictures(tiny_model):
    rng = np.random.default_rng(1)
    with serving(Settings(models=(str(tiny_model()),))) as address:
        for content in seeds().values():
            for _ in range(8):
                assert post(address, damaged(content, rng)).status in (200, 413, 415, 422)
        assert post(address, seeds()[".png"]).status == 200
