"""Models: ONNX files that carry their own card, run by ONNX Runtime."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nephoscope.core.errors import CardError, DeviceError, ModelError
from nephoscope.core.io import available_cpus
from nephoscope.core.types import Image, Probabilities
from nephoscope.imagery.resize import resize_mask_by_area
from nephoscope.imagery.scene import Scene
from nephoscope.inference.card import Card
from nephoscope.inference.devices import device_of, open_session
from nephoscope.inference.model_files import is_shipped, model_file
from nephoscope.inference.postprocess import resample
from nephoscope.inference.prediction import Prediction, view
from nephoscope.inference.tiling import run_tiled

CARD_KEY = "nephoscope"  # key of the card in an ONNX file's metadata

INPUT, OUTPUT, PRESENCE = "pictures", "probabilities", "presence"
"""Names of a model's input and outputs; the last only where the network has a presence head."""

_MIRRORS = ((1,), (0,), (0, 1))  # axes to flip: left-right, top-bottom, both

log = logging.getLogger("nephoscope")


class NetworkOutput(NamedTuple):
    """Output of a network for pictures of its input size."""

    probabilities: NDArray[np.float32]  # from 0 to 1, shape (count, patterns, height, width)
    presence: NDArray[np.float32] | None  # of the presence head, shape (count, patterns)


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model, which threads may share. A pickled one is loaded again where it is unpickled.

    The pickle of a shipped model has its name, that of another the content of its file.
    """

    card: Card
    threads: int  # that one run of the network uses
    _session: ort.InferenceSession
    _source: str | bytes  # name of a shipped model, or the content of its file
    _requested: str  # device that was asked for

    def __repr__(self) -> str:
        height, width = self.card.input_size
        patterns = ", ".join(self.card.patterns)
        return f"<Model {self.card.name}: {patterns}; input {height}x{width} pixels, {self.threads} threads>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the session is made of, and the card, whose rules may have changed."""
        return _restore, (self._source, self.card, self.threads, self._requested)

    @classmethod
    def load(
        cls, model: str | Path = "default", *, threads: int | None = None, device: str = "auto"
    ) -> "Model":
        """Load a model by name or from a file, without network access.

        Args:
            model: a model's name, or the path of an ONNX file with a card.
            threads: for one run of the network. Default: all processors.
            device: `cpu`, `cuda` or another of `devices.DEVICES`, or `auto` for a GPU if ONNX Runtime can use
                one, else the CPU.

        Raises:
            ModelError: an unknown model, not an ONNX file, no card, a card of another version, or outputs
                that differ from the card.
            DeviceError: the device is unknown or cannot be used.
        """
        path = model_file(str(model))
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror or error}") from error
        loaded = cls.from_bytes(content, str(path), threads=threads, device=device)
        return replace(loaded, _source=path.stem) if is_shipped(path) else loaded

    @classmethod
    def from_bytes(
        cls, content: bytes, name: str, *, threads: int | None = None, device: str = "auto"
    ) -> "Model":
        """Load a model from the content of its file; errors say `name`. The rest is as in `load`."""
        threads = threads or available_cpus()
        try:
            session = open_session(content, threads, device)
        except DeviceError:
            raise
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error
        try:
            text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        except UnicodeDecodeError as error:
            raise ModelError(f"{name}: its card is not text: {error}") from error
        if text is None:
            raise ModelError(
                f"{name}: no card inside: not a nephoscope model (`nephoscope export` makes one)"
            )
        try:
            card = Card.from_json(text)
        except CardError as error:
            raise ModelError(f"{name}: {error}") from error
        _check_interface(session, card, name)
        log.debug("model %s from %s on %s", card.name, name, ", ".join(session.get_providers()))
        return cls(card, threads, session, content, device)

    @property
    def content(self) -> bytes:
        """The content of the model's file, as it was loaded."""
        if isinstance(self._source, bytes):
            return self._source
        return model_file(self._source).read_bytes()

    @property
    def device(self) -> str:
        """Name of the device that the network runs on, such as `cpu`."""
        return device_of(self._session)

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
        log.info(
            "%s: %s px, decoded at %s, segmented at %s on %s",
            scene.name,
            *("x".join(map(str, shape[:2])) for shape in (scene.size, raster.pixels.shape, canvas.shape)),
            self.device,
        )
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


def _restore(source: str | bytes, card: Card, threads: int, device: str) -> Model:
    """Load a pickled model again, with the card that it had."""
    if isinstance(source, bytes):
        loaded = Model.from_bytes(source, card.name, threads=threads, device=device)
    else:
        loaded = Model.load(source, threads=threads, device=device)
    return replace(loaded, card=card)


def _check_interface(session: ort.InferenceSession, card: Card, name: str) -> None:
    """Check that the network's inputs and outputs are those of a nephoscope model with this card."""
    height, width = card.input_size
    expected = {
        INPUT: ("tensor(uint8)", [None, height, width, 3]),
        OUTPUT: ("tensor(float)", [None, len(card.patterns), height, width]),
    }
    if card.needs_presence_head or len(session.get_outputs()) > 1:
        expected[PRESENCE] = ("tensor(float)", [None, len(card.patterns)])
    nodes = (*session.get_inputs(), *session.get_outputs())
    try:
        actual = {
            node.name: (node.type, [side if isinstance(side, int) else None for side in node.shape])
            for node in nodes
        }
    except UnicodeDecodeError as error:
        raise ModelError(f"{name}: damaged: a name in it is not text: {error}") from error
    if list(actual.items()) != list(expected.items()):
        raise ModelError(f"{name}: its inputs and outputs are {actual}; its card requires {expected}")
