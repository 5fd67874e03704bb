"""Segment one uploaded picture and render the result."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import prod

from nephoscope.core.errors import MissingExtraError, SceneError, TooManyPixelsError
from nephoscope.core.geo import Bounds
from nephoscope.core.types import GridShape
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.scene import Scene
from nephoscope.inference import payload
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import apply_rules
from nephoscope.inference.tiling import canvas_size
from nephoscope.server.inspection import Weight, check_picture
from nephoscope.server.limits import Limits
from nephoscope.server.memory import PixelBudget
from nephoscope.server.problems import Problem
from nephoscope.server.responses import ResponseFormat
from nephoscope.server.uploads import Upload

_COARSE = ("application/json", "text/csv", payload.MEDIA_TYPE)  # answers that need no picture of full size
_DRAWN = 2  # times the memory of decoding, for an answer that is drawn at the picture's full size; measured
_CANVAS = 6  # memory of a pixel of the network's canvas, as pixels of the budget; measured
_DRAFTS = (8, 4, 2)  # times a JPEG can be decoded smaller


@dataclass(frozen=True)
class PictureJob:
    """What a request asks for each of its pictures; bounds and day replace their own."""

    model: Model
    format: ResponseFormat
    tta: bool = False
    bounds: Bounds | None = None
    day: date | None = None
    extent: float | None = None  # degrees from west to east, of pictures of unknown bounds


def segment_upload(
    upload: Upload, job: PictureJob, limits: Limits, budget: PixelBudget, checkpoint: Callable[[], None]
) -> bytes:
    """Segment a picture and render it in the format of the job, once the budget has room for its pixels.

    The checkpoint is called between steps and while waiting; what it raises ends the work.

    Raises:
        Problem: the picture cannot be used, or the format needs bounds or a day that are not known.
    """
    weight = check_picture(upload, limits.pixels)
    try:
        scene = open_scene(upload.content, name=upload.name, max_pixels=limits.pixels)
        scene = scene.with_location(job.bounds, job.day, job.extent)
        frame = job.model.card.input_size
        canvas = canvas_size(scene.size, scene.degrees, frame)
        frames = prod(canvas) / prod(frame)
        if frames > limits.frames:
            raise Problem(
                "too-large",
                f"{scene.name}: spans {frames:.0f} frames of the network; the limit is {limits.frames}; "
                "run `nephoscope segment` on your own machine instead",
            )
        if job.format.media_type in _COARSE:
            pixels = _decoding_cost(scene, weight, canvas)
        else:
            pixels = _DRAWN * _decoding_cost(scene, weight, scene.size)
        budget.check(scene.name, pixels)
        with budget.reserve(pixels + _CANVAS * prod(canvas), checkpoint):
            checkpoint()
            segmentation = apply_rules(job.model.predict(scene, tta=job.tta))
            checkpoint()
            job.format.check(segmentation)
            return job.format.render(segmentation)
    except TooManyPixelsError as error:
        raise Problem("too-large", str(error)) from error
    except MissingExtraError as error:
        raise Problem("not-a-picture", f"this server lacks a library: {error}") from error
    except SceneError as error:
        raise Problem("picture", str(error)) from error
    except MemoryError as error:
        raise Problem("too-large", f"{upload.name}: not enough memory") from error


def _decoding_cost(scene: Scene, weight: Weight, canvas: GridShape) -> int:
    """Memory that decoding a scene takes, as pixels of the budget."""
    # As in `prediction.view`: a JPEG is decoded at twice the size of the canvas at least.
    spare = min(side // (2 * least) for side, least in zip(scene.size, canvas, strict=True))
    draft = next((times for times in _DRAFTS if times <= spare), 1)
    return round(prod(scene.size) * (weight.whole + weight.decoded / draft**2))
