"""The server's response to programs: a prediction as NumPy archive (`.npz`)."""

import io
import json
import zipfile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import CardError, PayloadError
from nephoscope.core.types import Mask, Probabilities
from nephoscope.inference.card import Card
from nephoscope.inference.prediction import Prediction

MEDIA_TYPE = "application/x-npz"


class Payload(NamedTuple):
    """The part of a `Prediction` that a server sends; attributes as there."""

    card: Card
    probabilities: Probabilities
    valid_mask: Mask
    head_probabilities: NDArray[np.float32] | None
    tta: bool


def quantize_probabilities(probabilities: Probabilities, steps: int) -> NDArray[np.uint8]:
    """Quantize probabilities to whole steps, rounded up.

    For a threshold that is a whole number of steps, `probability > threshold` holds for the steps exactly
    where it holds for the probabilities.

    Args:
        probabilities: from 0 to 1.
        steps: from 0 to 1, at most 255.
    """
    thresholds = np.arange(steps + 1).astype(np.float32) / np.float32(steps)
    whole = np.minimum(np.ceil(probabilities * np.float32(steps)), steps).astype(np.uint8)
    # The rounded product may be on the other side of a threshold.
    whole -= (whole > 0) & (probabilities <= thresholds[np.maximum(whole, 1) - 1])
    whole += (whole < steps) & (probabilities > thresholds[whole])
    return np.asarray(whole, np.uint8)


def pack(
    prediction: Prediction | Payload,
    about: dict[str, Any],
    steps: int | None = None,
    picture: bytes | None = None,
) -> bytes:
    """Pack a prediction into an archive.

    Its members are `probabilities`, `valid`, `about` and `card`, and optionally `heads` (presence
    probabilities) and `picture`; texts and picture as bytes.

    Args:
        prediction: of a network.
        about: plain values that describe the scene, stored as JSON.
        steps: compress the probabilities to so many steps, see `quantize_probabilities`. Default: exact.
        picture: a JPEG file's content, for a client that cannot read the scene's own format.
    """
    exact = prediction.probabilities
    members: dict[str, NDArray[Any]] = {
        "probabilities": exact if steps is None else quantize_probabilities(exact, steps),
        "valid": prediction.valid_mask,
        "about": _bytes(json.dumps(about | {"tta": prediction.tta}, ensure_ascii=False).encode()),
        "card": _bytes(prediction.card.to_json().encode()),
    }
    if prediction.head_probabilities is not None:
        members["heads"] = prediction.head_probabilities
    if picture is not None:
        members["picture"] = _bytes(picture)
    # float32 does not shrink, and compressing it takes longer than running many a network.
    method, level = (zipfile.ZIP_STORED, None) if steps is None else (zipfile.ZIP_DEFLATED, 1)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method, compresslevel=level) as file:
        for name, array in members.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return archive.getvalue()


def unpack(content: bytes) -> Payload:
    """Unpack an archive of `pack` with exact probabilities.

    Such an archive is not compressed. One whose members say that they are larger than the whole is refused
    before anything is inflated, so that a small response cannot fill the memory.

    Raises:
        PayloadError: it is damaged, something else, or packed in steps.
    """
    try:
        members = _members(content)
        about = json.loads(members["about"].tobytes())
        card = Card.from_json(members["card"].tobytes().decode())
        probabilities, valid_mask = members["probabilities"], members["valid"]
        presence = members.get("heads")
        tta = bool(about["tta"])
    except (CardError, PayloadError) as error:
        raise PayloadError(str(error)) from error
    except Exception as error:  # bytes from elsewhere can make NumPy and zipfile raise anything
        raise PayloadError(f"not a response of nephoscope: {error!r}") from error
    shape = (len(card.patterns), *valid_mask.shape)
    if probabilities.dtype != np.float32 or probabilities.shape != shape or valid_mask.dtype != np.bool_:
        raise PayloadError(
            f"probabilities are {probabilities.dtype} of shape {probabilities.shape}, not {shape}"
        )
    if presence is not None and (presence.dtype != np.float32 or presence.shape != shape[:1]):
        raise PayloadError(f"presence is {presence.dtype} of shape {presence.shape}, not {shape[:1]}")
    if presence is None and card.needs_presence_head:
        raise PayloadError("its rules need a presence head, and there is none")
    if valid_mask.ndim != 2 or not valid_mask.size:
        raise PayloadError(f"probabilities of shape {probabilities.shape}")
    if not all(
        values.min() >= 0 and values.max() <= 1 for values in (probabilities, presence) if values is not None
    ):
        raise PayloadError("values outside [0, 1]")
    return Payload(card, probabilities, valid_mask, presence, tta)


def _members(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an archive that is no larger once it is inflated."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        inflated = sum(member.file_size for member in file.infolist())
    if inflated > len(content):
        raise PayloadError(f"its {len(content):,} bytes would become {inflated:,}")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)
