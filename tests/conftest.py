"""What tests share: the default model, tiny models, made-up pictures, and real scenes where there are any."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.card import Card
from nephoscope.inference.model import CARD_KEY, Model
from nephoscope.inference.postprocess import Rule

if TYPE_CHECKING:
    from nephoscope.server.settings import Settings

pytest.register_assert_rewrite("asking", "browsing", "filling")  # their asserts show values as tests' do

RULES = {
    "Fish": Rule(0.25, 500, 0.8517, 0, 4000),
    "Flower": Rule(0.45, 16000, 0.7965, 0, 4000),
    "Gravel": Rule(0.3, 16000, 0.6743, 0, 4000),
    "Sugar": Rule(0.5, 16000, 0.781, 0, 4000),
}
DEFAULT_CARD = Path(__file__).parents[1] / "src" / "nephoscope" / "models" / "default.json"
OWN_RULE = Rule(threshold=0.5, top_k=100, presence=0.6, least_cover=0, minimum_area=50)
OWN_PATTERNS = {count: tuple(f"Class-{number}" for number in range(1, count + 1)) for count in (2, 6, 8)}
"""Made-up patterns, for models and data sets of other numbers of patterns than four."""

CLOUDS = Path(os.environ.get("NEPHOSCOPE_CLOUDS", Path(__file__).parents[2] / "shared" / "clouds"))


@pytest.fixture(scope="session")
def model() -> Model:
    """The default model."""
    return Model.load()


@pytest.fixture(scope="session")
def clouds() -> Path:
    """A folder of real labelled scenes."""
    if not (CLOUDS / "train.csv.xz").is_file():
        pytest.skip(f"no real labelled scenes in {CLOUDS} (NEPHOSCOPE_CLOUDS names another folder)")
    return CLOUDS


@pytest.fixture
def picture() -> np.ndarray:
    """A small made-up picture, red, green, blue, with a swath gap."""
    return make_scene(2, (160, 240), patterns=("Flower", "Sugar")).pixels


@pytest.fixture
def jpeg(tmp_path: Path, picture: np.ndarray) -> Path:
    """The same as a JPEG file."""
    path = tmp_path / "scene.jpg"
    path.write_bytes(encoded(picture, ".jpg"))
    return path


def encoded(pixels: np.ndarray, ending: str) -> bytes:
    """A picture as a file's bytes; red, green, blue (and alpha) or grey."""
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return bytes(cv2.imencode(ending, pixels)[1])


@pytest.fixture(scope="session")
def card() -> Card:
    """The default model's card, as of a model without presence head and calibration, for tests' models."""
    card = Card.from_json(DEFAULT_CARD.read_text())
    return replace(card, rules=RULES, calibration={}, unbiased_rules={}, area_ratios={})


@pytest.fixture
def tiny_model(tmp_path: Path, card: Card) -> Callable[..., Path]:
    """Makes tiny models in a folder of the test's own."""
    return tiny_models(tmp_path, card)


def tiny_models(folder: Path, card: Card) -> Callable[..., Path]:
    """Makes model files whose network is a 1x1 convolution: a pattern's probability is a colour's brightness.

    Patterns follow red (Fish), green (Flower), blue (Gravel), red (Sugar), green and so on.

    Keywords: `patterns` of the card, with `OWN_RULE` where there is no rule; `raw_card` replaces the card;
    `outputs` changes the number of outputs, `brightest` the probability of white; others change the card.
    """

    def make(
        name: str = "tiny.onnx",
        outputs: int | None = None,
        raw_card: str | None = "",
        brightest: float = 1.0,
        patterns: Sequence[str] = DEFAULT_NAMES,
        **changes: object,
    ) -> Path:
        if tuple(patterns) != DEFAULT_NAMES:
            rules = {name: card.rules.get(name, OWN_RULE) for name in patterns}
            changes = {"patterns": tuple(patterns), "rules": rules, **changes}
        outputs = outputs or len(patterns)
        made = replace(card, **{"name": "tiny", "made_with": "tests", "weights": "float32", **changes})
        height, width = made.input_size
        weights = (
            np.eye(3, dtype=np.float32)[np.arange(outputs) % 3].reshape(outputs, 3, 1, 1) * brightest / 255
        )
        graph = helper.make_graph(
            [
                helper.make_node("Cast", ["pictures"], ["numbers"], to=TensorProto.FLOAT),
                helper.make_node("Transpose", ["numbers"], ["colours"], perm=[0, 3, 1, 2]),
                helper.make_node("Conv", ["colours", "weights"], ["probabilities"]),
            ],
            "tiny",
            [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["count", height, width, 3])],
            [
                helper.make_tensor_value_info(
                    "probabilities", TensorProto.FLOAT, ["count", outputs, height, width]
                )
            ],
            [numpy_helper.from_array(weights, "weights")],
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        if raw_card is not None:
            helper.set_model_props(proto, {CARD_KEY: raw_card or made.to_json()})
        path = folder / name
        onnx.save(proto, path)
        return path

    return make


def hide(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Make modules of optional extras look as if they were not installed."""
    from importlib.util import find_spec

    def visible(name: str, *rest: str) -> object:
        return None if name.partition(".")[0] in modules else find_spec(name, *rest)

    for user in ("core.extras", "imagery.reading", "imagery.sources"):
        monkeypatch.setattr(f"nephoscope.{user}.find_spec", visible)


@contextmanager
def serving(settings: "Settings") -> Iterator[str]:
    """A server on a free port of this machine, in a thread; gives its address."""
    from nephoscope.server.server import listen, make_server

    server, listening = make_server(settings), listen("127.0.0.1", 0)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < end, "the server takes too long to start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()


def offline() -> "Settings":
    """A server's settings; its archive is not there."""
    from nephoscope.imagery.worldview import WorldviewClient
    from nephoscope.server.settings import Settings

    return Settings(archive=WorldviewClient("http://127.0.0.1:9/", fallback=None, tries=1))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A server's address, with the default model; its archive is not there."""
    with serving(offline()) as address:
        yield address


@pytest.fixture(scope="session")
def tiny_server(tmp_path_factory: pytest.TempPathFactory, card: Card) -> Iterator[str]:
    """The same with a tiny model, for tests in which it does not matter what a picture shows."""
    path = tiny_models(tmp_path_factory.mktemp("tiny"), card)()
    with serving(replace(offline(), models=(str(path),))) as address:
        yield address


@pytest.fixture
def start(tiny_model: Callable[..., Path]) -> Callable[..., AbstractContextManager[str]]:
    """Serves a tiny model with limits and settings of a test's own."""
    from nephoscope.server.limits import Limits
    from nephoscope.server.settings import Settings

    def starting(limits: Limits | None = None, **settings: Any) -> AbstractContextManager[str]:
        return serving(Settings(models=(str(tiny_model()),), limits=limits or Limits(), **settings))

    return starting


@pytest.fixture
def content(jpeg: Path) -> bytes:
    """The bytes of a small JPEG file."""
    return jpeg.read_bytes()
