"""What a worker does with one picture."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import prod

from nephoscope.model import Model
from nephoscope.place import Bounds
from nephoscope.scene import Least, SceneError, TooManyPixels, read_scene
from nephoscope.segmentation import segment_scene, worth_decoding
from nephoscope.tiles import canvas_size
from nephoscope.web.answers import Form
from nephoscope.web.problems import Problem
from nephoscope.web.settings import Limits
from nephoscope.web.uploads import Upload, check_picture


@dataclass(frozen=True)
class Order:
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


def answer(upload: Upload, order: Order, limits: Limits, step: Callable[[], None]) -> bytes:
    """One picture's patterns in the form that is asked for.

    Args:
        upload: the picture.
        order: what to do with it.
        limits: that are kept.
        step: called between the steps; what it raises ends the work.

    Raises:
        Problem: the picture cannot be used, or the form needs what is not known of it.
    """
    check_picture(upload)
    card = order.model.card
    least = _within(limits, upload.name, card.input_size, order.bounds, worth_decoding(card, order.bounds))
    try:
        scene = read_scene(upload.content, name=upload.name, least=least, max_pixels=limits.pixels)
    except TooManyPixels as error:
        raise Problem("too-large", str(error)) from error
    except SceneError as error:
        raise Problem("picture", str(error)) from error
    except MemoryError as error:
        raise Problem("too-large", f"{upload.name}: takes more memory than there is") from error
    step()
    found = segment_scene(scene.placed(order.bounds, order.day), order.model, tta=order.tta)
    step()
    order.form.check(found)
    return order.form.render(found)


def _within(limits: Limits, name: str, frame: tuple[int, int], stated: Bounds | None, least: Least) -> Least:
    """As `least`, and sees that the scene does not span more of the network's frames than allowed."""

    def checked(size: tuple[int, int], bounds: Bounds | None) -> tuple[int, int]:
        canvas = canvas_size(size, stated or bounds, frame)
        frames = prod(canvas) / prod(frame)
        if frames > limits.frames:
            raise Problem(
                "too-large",
                f"{name}: spans {frames:.0f} frames of the network, and {limits.frames} are taken here; "
                "`nephoscope segment` takes it on your own machine",
            )
        return least(size, bounds)

    return checked
