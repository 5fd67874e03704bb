"""Models: ONNX files that carry their own card, run by ONNX Runtime."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nephoscope.core.errors import CardError, ModelError
from nephoscope.core.io import available_cpus
from nephoscope.core.types import Image, Probabilities
from nephoscope.imagery.resize import resize_mask_by_area
from nephoscope.imagery.scene import Scene
from nephoscope.inference.card import Card
from nephoscope.inference.postprocess import resample
from nephoscope.inference.prediction import Prediction, view
from nephoscope.inference.tiling import run_tiled

CARD_KEY = "nephoscope"  # key of the card in an ONNX file's metadata

INPUT, OUTPUT, PRESENCE = "pictures", "probabilities", "presence"
"""Names of a model's input and outputs; the last only where the network has a presence head."""

_MIRRORS = ((1,), (0,), (0, 1))  # axes to flip: left-right, top-bottom, both

_SHIPPED = Path(str(files("nephoscope"))) / "models"


def shipped() -> list[str]:
    """Names of the models that are part of nephoscope."""
    return sorted(path.stem for path in _SHIPPED.glob("*.onnx"))


class NetworkOutput(NamedTuple):
    """Output of a network for pictures of its input size."""

    probabilities: NDArray[np.float32]  # from 0 to 1, shape (count, patterns, height, width)
    presence: NDArray[np.float32] | None  # of the presence head, shape (count, patterns)


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model, which threads may share."""

    card: Card
    threads: int  # that one run of the network uses
    _session: ort.InferenceSession

    @classmethod
    def load(
        cls, model: str | Path = "default", *, threads: int | None = None, device: str = "auto"
    ) -> "Model":
        """Load a model by name or from a file, without network access.

        Args:
            model: the name of a shipped model, or the path of an ONNX file with a card.
            threads: for one run of the network. Default: all processors.
            device: `cpu`, `cuda`, or `auto` for CUDA where it is available.

        Raises:
            ModelError: an unknown model or device, not an ONNX file, no card, a card of another version, or
                outputs that differ from the card.
        """
        path = model_file(str(model))
        threads = threads or available_cpus()
        session = _session(path, threads, _providers(device))
        try:
            text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        except UnicodeDecodeError as error:
            raise ModelError(f"{path}: its card is not text: {error}") from error
        if text is None:
            raise ModelError(
                f"{path}: no card inside: not a nephoscope model (`nephoscope export` makes one)"
            )
        try:
            card = Card.from_json(text)
        except CardError as error:
            raise ModelError(f"{path}: {error}") from error
        _check_interface(session, card, path)
        return cls(card, threads, session)

    @property
    def has_presence_head(self) -> bool:
        """Whether the network has an output for the presence of each pattern in a picture."""
        return len(self._session.get_outputs()) > 1

    def __call__(self, pictures: Image) -> NetworkOutput:
        """Run the network.

        Args:
            pictures: red, green, blue, shape (count, height, width, 3) at the card's input size.

        Raises:
            ModelError: the network returned values outside [0, 1].
        """
        outputs = [np.asarray(output, np.float32) for output in self._session.run(None, {INPUT: pictures})]
        if not all(output.min() >= 0 and output.max() <= 1 for output in outputs):
            raise ModelError(f"the model {self.card.name} returned values outside [0, 1]")
        return NetworkOutput(outputs[0], outputs[1] if len(outputs) > 1 else None)

    def predict(self, scene: Scene, *, tta: bool = False) -> Prediction:
        """Run the network on a scene of any size.

        Args:
            scene: the picture.
            tta: mean over the picture and its mirror images: slightly better, four times the work.

        Raises:
            SceneError: the picture cannot be decoded.
            ModelError: the network returned values outside [0, 1].
        """
        card = self.card
        scene_view = view(scene, card.input_size)
        raster, canvas = scene_view
        fields, presence = self._mean_over_mirrors(canvas) if tta else self._run(canvas, ())
        rows, columns = (
            max(1, round(side * fine / whole))
            for side, fine, whole in zip(canvas.shape[:2], card.grid, card.input_size, strict=True)
        )
        valid_mask = resize_mask_by_area(raster.valid_mask, (rows, columns))
        probabilities = np.empty((len(card.patterns), rows, columns), np.float32)
        for index, probability in enumerate(fields):
            np.multiply(resample(probability, (rows, columns)), valid_mask, out=probabilities[index])
        return Prediction(
            scene, raster, card, probabilities, valid_mask, presence, tta, scene_view.measures()
        )

    def _mean_over_mirrors(self, canvas: Image) -> tuple[Probabilities, Probabilities | None]:
        """Mean over a canvas and its mirror images, of which one is in memory at a time."""
        fields, presence = self._run(canvas, ())
        fields, presences = fields.copy(), [presence]
        for axes in _MIRRORS:
            more, presence = self._run(canvas, axes)
            fields += more
            presences.append(presence)
        fields /= len(presences)
        known = [each for each in presences if each is not None]
        return fields, np.asarray(np.mean(known, axis=0), np.float32) if known else None

    def _run(self, canvas: Image, axes: tuple[int, ...]) -> tuple[Probabilities, Probabilities | None]:
        """Run on a canvas flipped along some axes, and flip back; the presence is the tiles' highest."""
        presences: list[Probabilities] = []

        def network(pictures: Image) -> Probabilities:
            output = self(pictures)
            if output.presence is not None:
                presences.append(output.presence)
            return output.probabilities

        flipped = np.ascontiguousarray(np.flip(canvas, axes)) if axes else canvas
        fields = run_tiled(flipped, self.card.input_size, network)
        presence = np.concatenate(presences).max(axis=0) if presences else None
        return np.flip(fields, tuple(axis + 1 for axis in axes)), presence


def model_file(model: str) -> Path:
    """Path of a model: a shipped one by its name, or a file.

    Raises:
        ModelError: neither exists.
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
    if path.suffix or len(path.parts) > 1:
        raise ModelError(f"{model}: no such model file")
    near = get_close_matches(model, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"available: {', '.join(names) or 'none'}"
    raise ModelError(f"unknown model {model!r}; {hint}")


def _providers(device: str) -> list[str]:
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    has_cuda = cuda in ort.get_available_providers()
    match device:
        case "cpu":
            return [cpu]
        case "cuda" if not has_cuda:
            raise ModelError(
                "cuda: this ONNX Runtime has no CUDA; install onnxruntime-gpu in place of onnxruntime"
            )
        case "cuda" | "auto":
            return [cuda, cpu] if has_cuda else [cpu]
        case _:
            raise ModelError(f"unknown device {device!r}; available: auto, cpu, cuda")


def _session(path: Path, threads: int, providers: list[str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its errors come as exceptions
    try:
        # Not by path: the file could then refer to other files.
        return ort.InferenceSession(path.read_bytes(), options, providers=providers)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: not an ONNX model that ONNX Runtime can run: {reason}") from error


def _check_interface(session: ort.InferenceSession, card: Card, path: Path) -> None:
    """Check that the network's inputs and outputs are those of a nephoscope model with this card."""
    height, width = card.input_size
    expected = {
        INPUT: ("tensor(uint8)", [None, height, width, 3]),
        OUTPUT: ("tensor(float)", [None, len(card.patterns), height, width]),
    }
    if any(rule.evidence != "top_k" for rule in card.rules.values()) or len(session.get_outputs()) > 1:
        expected[PRESENCE] = ("tensor(float)", [None, len(card.patterns)])
    nodes = (*session.get_inputs(), *session.get_outputs())
    actual = {
        node.name: (node.type, [side if isinstance(side, int) else None for side in node.shape])
        for node in nodes
    }
    if list(actual.items()) != list(expected.items()):
        raise ModelError(f"{path}: its inputs and outputs are {actual}; its card requires {expected}")
