"""What a worker does with one picture."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import prod

from nephoscope.core.errors import SceneError, TooManyPixelsError
from nephoscope.core.geo import Bounds
from nephoscope.core.types import GridShape
from nephoscope.imagery.scene import Scene, open_scene
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import segment
from nephoscope.inference.tiling import canvas_size
from nephoscope.server.inspection import check_picture
from nephoscope.server.problems import Problem
from nephoscope.server.responses import Form
from nephoscope.server.settings import Limits
from nephoscope.server.uploads import Upload


@dataclass(frozen=True)
class PictureJob:
    """What a request asks for each of its pictures.

    Attributes:
        model: the network and the rules.
        form: of the answer.
        tta: mean over mirror images.
        bounds: where all pictures are, whatever they say themselves.
        day: when all were taken.
    """

    model: Model
    form: Form
    tta: bool = False
    bounds: Bounds | None = None
    day: date | None = None


def answer(upload: Upload, order: PictureJob, limits: Limits, step: Callable[[], None]) -> bytes:
    """One picture's patterns in the form that is asked for.

    Args:
        upload: the picture.
        order: what to do with it.
        limits: that are kept.
        step: called between the steps; what it raises ends the work.

    Raises:
        Problem: the picture cannot be used, or the form needs what is not known of it.
    """
    check_picture(upload, limits.pixels)
    try:
        scene = open_scene(upload.content, name=upload.name, max_pixels=limits.pixels)
        scene = scene.with_location(order.bounds, order.day)
        _check_frames(scene, order.model.card.input_size, limits)
        step()
        found = segment(scene, order.model, tta=order.tta)
        step()
        order.form.check(found)
        return order.form.render(found)
    except TooManyPixelsError as error:
        raise Problem("too-large", str(error)) from error
    except SceneError as error:
        raise Problem("picture", str(error)) from error
    except MemoryError as error:
        raise Problem("too-large", f"{upload.name}: takes more memory than there is") from error


def _check_frames(scene: Scene, frame: GridShape, limits: Limits) -> None:
    """See that a scene does not span more of the network's frames than allowed."""
    frames = prod(canvas_size(scene.size, scene.bounds, frame)) / prod(frame)
    if frames > limits.frames:
        raise Problem(
            "too-large",
            f"{scene.name}: spans {frames:.0f} frames of the network, and {limits.frames} are taken here; "
            "`nephoscope segment` takes it on your own machine",
        )
