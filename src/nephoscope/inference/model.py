"""A model: one ONNX file that carries its own card, run by ONNX Runtime."""

import os
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nephoscope.core.errors import CardError, ModelError
from nephoscope.core.io import available_cpus
from nephoscope.core.types import GridShape, Image, Probabilities
from nephoscope.imagery.scene import Scene
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import measure
from nephoscope.inference.postprocess import resample
from nephoscope.inference.prediction import Prediction, resize_valid, view
from nephoscope.inference.tiling import run_tiled

CARD_KEY = "nephoscope"
"""Name of the card among an ONNX file's metadata."""

INPUT, OUTPUT, PRESENCE = "pictures", "probabilities", "presence"
"""Names of what goes into a model and comes out; the last only where the network has a presence head."""

_MIRRORS = ((1,), (0,), (0, 1))  # axes to flip: left-right, top-bottom, both

_SHIPPED = Path(str(files("nephoscope"))) / "models"


def shipped() -> list[str]:
    """Names of the models that come with nephoscope."""
    return sorted(path.stem for path in _SHIPPED.glob("*.onnx"))


class NetworkOutput(NamedTuple):
    """What a network gives for some pictures of its input size.

    Attributes:
        probabilities: from 0 to 1, shape (count, patterns, height, width).
        presence: of its presence head, from 0 to 1, shape (count, patterns); None where it has none.
    """

    probabilities: NDArray[np.float32]
    presence: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to run, and its card. Threads may share one.

    Attributes:
        card: what the model is.
        threads: how many threads one run of the network uses.
    """

    card: Card
    threads: int
    _session: ort.InferenceSession

    @classmethod
    def load(
        cls, model: str | Path = "default", *, threads: int | None = None, device: str = "auto"
    ) -> "Model":
        """Load a model by its name or its file.

        Nothing is fetched and nothing in the file is executed but the network's own operations.

        Args:
            model: the name of a shipped model, or the path of an ONNX file with a card.
            threads: for one run of the network; all the processor's if left out.
            device: `cpu`, `cuda`, or `auto` for the best there is.

        Raises:
            ModelError: no such model, no ONNX file, no card, a newer card, outputs other than the card
                says, or no such device.
        """
        path = model_file(str(model))
        threads = threads or available_cpus()
        session = _session(path, threads, _providers(device))
        try:
            text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        except UnicodeDecodeError as error:
            raise ModelError(f"{path}: its card is no text: {error}") from error
        if text is None:
            raise ModelError(f"{path}: no card inside: not a nephoscope model (see `nephoscope export`)")
        try:
            card = Card.from_json(text)
        except CardError as error:
            raise ModelError(f"{path}: {error}") from error
        _check_interface(session, card, path)
        return cls(card, threads, session)

    @property
    def has_presence_head(self) -> bool:
        """Whether the network itself says which patterns are in a picture."""
        return len(self._session.get_outputs()) > 1

    def __call__(self, pictures: Image) -> NetworkOutput:
        """Run the network.

        Args:
            pictures: red, green, blue, shape (count, height, width, 3) at the card's input size.

        Raises:
            ModelError: the network gave something that is no probability.
        """
        answers = [np.asarray(answer, np.float32) for answer in self._session.run(None, {INPUT: pictures})]
        if not all(answer.min() >= 0 and answer.max() <= 1 for answer in answers):
            raise ModelError(f"the model {self.card.name} gives numbers that are no probabilities")
        return NetworkOutput(answers[0], answers[1] if len(answers) > 1 else None)

    def predict(self, scene: Scene, *, tta: bool = False) -> Prediction:
        """Run the network on a scene of any size.

        Args:
            scene: the picture.
            tta: mean over the picture and its mirror images: a little better, four times the work.

        Raises:
            SceneError: the picture cannot be decoded.
            ModelError: the network gave something that is no probability.
        """
        card = self.card
        raster, canvas = view(scene, card.input_size)
        fields, presence = self._mean_over_mirrors(canvas) if tta else self._run(canvas, ())
        grid = _rules_grid(canvas.shape, card)
        valid_mask = resize_valid(raster.valid_mask, grid)
        probabilities = np.empty((len(card.patterns), *grid), np.float32)
        for index, probability in enumerate(fields):
            np.multiply(resample(probability, grid), valid_mask, out=probabilities[index])
        measures = measure(canvas, resize_valid(raster.valid_mask, (canvas.shape[0], canvas.shape[1])))
        return Prediction(scene, raster, card, probabilities, valid_mask, presence, tta, measures)

    def _mean_over_mirrors(self, canvas: Image) -> tuple[Probabilities, Probabilities | None]:
        """The mean over a canvas and its mirror images; one of them is held at a time."""
        fields, presence = self._run(canvas, ())
        fields, heads = fields.copy(), [presence]
        for axes in _MIRRORS:
            more, presence = self._run(canvas, axes)
            fields += more
            heads.append(presence)
        fields /= len(heads)
        known = [head for head in heads if head is not None]
        return fields, np.asarray(np.mean(known, axis=0), np.float32) if known else None

    def _run(self, canvas: Image, axes: tuple[int, ...]) -> tuple[Probabilities, Probabilities | None]:
        """Probabilities of one view, turned back, and of its presence head.

        A tile that has a pattern speaks for the scene.
        """
        heads: list[Probabilities] = []

        def network(pictures: Image) -> Probabilities:
            output = self(pictures)
            if output.presence is not None:
                heads.append(output.presence)
            return output.probabilities

        flipped = np.ascontiguousarray(np.flip(canvas, axes)) if axes else canvas
        fields = run_tiled(flipped, self.card.input_size, network)
        presence = np.concatenate(heads).max(axis=0) if heads else None
        return np.flip(fields, tuple(axis + 1 for axis in axes)), presence


def _rules_grid(canvas: tuple[int, ...], card: Card) -> GridShape:
    height, width = (
        max(1, round(side * fine / whole))
        for side, fine, whole in zip(canvas[:2], card.grid, card.input_size, strict=True)
    )
    return height, width


def model_file(model: str) -> Path:
    """The file of a shipped model by its name, or the path itself.

    Raises:
        ModelError: neither.
    """
    names = shipped()
    if model in names:
        return _SHIPPED / f"{model}.onnx"
    path = Path(model)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise ModelError(f"{model}: {error.strerror or error}") from error
    if path.suffix or os.sep in model:
        raise ModelError(f"{model}: no such model file")
    near = get_close_matches(model, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
    raise ModelError(f"{model}: no such model; {hint}")


def _providers(device: str) -> list[str]:
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    has_cuda = cuda in ort.get_available_providers()
    match device:
        case "cpu":
            return [cpu]
        case "cuda" if not has_cuda:
            raise ModelError(
                "cuda: this ONNX Runtime has none; install onnxruntime-gpu in place of onnxruntime"
            )
        case "cuda" | "auto":
            return [cuda, cpu] if has_cuda else [cpu]
        case _:
            raise ModelError(f"{device}: no such device; there are auto, cpu, cuda")


def _session(path: Path, threads: int, providers: list[str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its complaints come back as exceptions, told once, by us
    try:
        # From memory rather than by path: a file cannot then point at others beside it.
        return ort.InferenceSession(path.read_bytes(), options, providers=providers)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ModelError(
            f"{path}: not an ONNX model that ONNX Runtime can run: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _check_interface(session: ort.InferenceSession, card: Card, path: Path) -> None:
    """Hold the network's inputs and outputs against what every nephoscope model has."""

    def shape(node: Any) -> list[int | None]:
        return [side if isinstance(side, int) else None for side in node.shape]

    height, width = card.input_size
    expected = {
        INPUT: ("tensor(uint8)", [None, height, width, 3]),
        OUTPUT: ("tensor(float)", [None, len(card.patterns), height, width]),
    }
    if any(rule.evidence != "top_k" for rule in card.rules.values()) or len(session.get_outputs()) > 1:
        expected[PRESENCE] = ("tensor(float)", [None, len(card.patterns)])
    found = {node.name: (node.type, shape(node)) for node in (*session.get_inputs(), *session.get_outputs())}
    if list(found.items()) != list(expected.items()):
        raise ModelError(f"{path}: its inputs and outputs are {found}; a nephoscope model has {expected}")
