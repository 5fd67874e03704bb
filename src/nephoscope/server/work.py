"""Segment one uploaded picture and render the result."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import prod

from nephoscope.core.errors import MissingExtraError, SceneError, TooManyPixelsError
from nephoscope.core.geo import Bounds
from nephoscope.imagery.reading import open_scene
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import apply_rules
from nephoscope.inference.tiling import canvas_size
from nephoscope.server.inspection import check_picture
from nephoscope.server.limits import Limits
from nephoscope.server.problems import Problem
from nephoscope.server.responses import ResponseFormat
from nephoscope.server.uploads import Upload


@dataclass(frozen=True)
class PictureJob:
    """What a request asks for each of its pictures; bounds and day replace their own."""

    model: Model
    format: ResponseFormat
    tta: bool = False
    bounds: Bounds | None = None
    day: date | None = None


def segment_upload(upload: Upload, job: PictureJob, limits: Limits, checkpoint: Callable[[], None]) -> bytes:
    """Segment a picture and render it in the format of the job.

    The checkpoint is called between steps; what it raises ends the work.

    Raises:
        Problem: the picture cannot be used, or the format needs bounds or a day that are not known.
    """
    check_picture(upload, limits.pixels)
    try:
        scene = open_scene(upload.content, name=upload.name, max_pixels=limits.pixels)
        scene = scene.with_location(job.bounds, job.day)
        frame = job.model.card.input_size
        frames = prod(canvas_size(scene.size, scene.degrees, frame)) / prod(frame)
        if frames > limits.frames:
            raise Problem(
                "too-large",
                f"{scene.name}: spans {frames:.0f} frames of the network; the limit is {limits.frames}; "
                "run `nephoscope segment` on your own machine instead",
            )
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
