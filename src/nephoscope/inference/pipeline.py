"""From pictures to segmentations: `segment` for one, `segment_many` for many."""

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from nephoscope.core.errors import InputWarning, InvalidRequestError, ModelError, NephoscopeError
from nephoscope.core.geo import BoundsLike, DayLike
from nephoscope.core.io import available_cpus, map_in_order
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.scene import Scene
from nephoscope.imagery.sources import find_sources, open_source
from nephoscope.imagery.values import Scale
from nephoscope.inference.card import RuleChanges
from nephoscope.inference.model import Model
from nephoscope.inference.prediction import Predictor
from nephoscope.inference.segmentation import Segmentation, apply_rules


def segment(
    picture: Any,
    model: Predictor | str | Path = "default",
    *,
    bands: str | Sequence[int | str] | None = None,
    scale: Scale | str = "auto",
    extent: float | None = None,
    rules: RuleChanges | None = None,
    threshold: float | Mapping[str, float] | None = None,
    join: int | None = None,
    tta: bool = False,
    bounds: BoundsLike | None = None,
    day: DayLike | None = None,
    server: str | None = None,
) -> Segmentation:
    """Segment the patterns of one picture.

    Args:
        picture: what `open_scene` opens (a path, a file's bytes, an open file, a PIL image, an array of
            NumPy, PyTorch or Dask, an object of xarray, a Scene of satpy), a scene that it opened, or a word
            that the command takes: a web address, `worldview:SATELLITE/DAY/REGION`, `sample`.
        model: a loaded model, or the name or path of one.
        bands: red, green and blue by number or name; see `open_scene`.
        scale: what the picture's values mean; see `open_scene`.
        extent: degrees from west to east that a picture of unknown location shows. Default: it is taken to
            show 21 x 14 degrees; see `Segmentation.assumed_extent`.
        rules: `contest` or `unbiased` for those of the model card (the highest Dice, or areas and numbers of
            scenes as in the labels); or by pattern, a `Rule`, or the attributes of its rule to change, such
            as `{"Fish": {"presence": 0.5}}`. Default: `contest`.
        threshold: pixels with a higher probability belong to a pattern; one number from 0 to 1 for all, or
            by pattern. Default: from the rules.
        join: components of a pattern with at most this many pixels of the rules' grid between them count as
            one region. Default: from the model card.
        tta: mean over the picture and its mirror images: a little better, four times the work.
        bounds: of the picture, in place of its own: west, south, east, north in degrees, or a region's name.
        day: on which it was taken, in place of its own: a date, or a text such as `2020-02-01`.
        server: run the network on another machine: the address that its `nephoscope serve` printed, with the
            token. `model` is then the name of one of its models.

    Raises:
        SceneError: the picture cannot be used.
        LocationError: `bounds` are no box on Earth, or `day` is not a day.
        ModelError: the model cannot be used, or a rule is for an unknown pattern or out of range.
        ServerError: the server cannot be reached, or refuses.

    Warns:
        InputWarning: results may be unreliable; see `Segmentation.warnings`.
    """
    predictor = _load(model, server)
    segmentation = _segment(
        picture,
        model=predictor,
        rules=_changed_rules(predictor, rules, threshold),
        bands=bands,
        scale=scale,
        extent=extent,
        join=join,
        tta=tta,
        bounds=bounds,
        day=day,
    )
    for text in segmentation.warnings:
        warnings.warn(f"{segmentation.scene.name}: {text}", InputWarning, stacklevel=2)
    return segmentation


def segment_many(
    pictures: Any,
    model: Predictor | str | Path = "default",
    *,
    bands: str | Sequence[int | str] | None = None,
    scale: Scale | str = "auto",
    extent: float | None = None,
    rules: RuleChanges | None = None,
    threshold: float | Mapping[str, float] | None = None,
    join: int | None = None,
    tta: bool = False,
    bounds: BoundsLike | None = None,
    day: DayLike | None = None,
    server: str | None = None,
    workers: int | None = None,
    errors: Literal["return", "raise"] = "return",
) -> Generator[Segmentation | NephoscopeError, None, None]:
    """Segment many pictures; results come in their order, as they are needed.

    No Python warnings are issued: see `Segmentation.warnings`.

    Args:
        pictures: a folder, a glob, or an iterable of whatever `segment` takes; folders and globs in it stand
            for all of their pictures. Few pictures are held at a time, so the iterable may be endless.
        model: a loaded model, or the name or path of one.
        bands: of every picture, as for `segment`; so are the other options down to `server`.
        scale: what values mean.
        extent: degrees from west to east of pictures of unknown location.
        rules: `contest`, `unbiased`, or changes by pattern.
        threshold: of all patterns, or by pattern.
        join: distance up to which components count as one.
        tta: mean over mirror images.
        bounds: of all pictures.
        day: of all pictures.
        server: that runs the network.
        workers: pictures that are processed at the same time. Default: the number of processors.
        errors: `return` yields the error of a picture that cannot be segmented in its place, `raise` raises
            it and ends.

    Returns:
        A generator of a segmentation, or the error, for each picture.

    Raises:
        InvalidRequestError: `workers` or `errors` is none of what is possible.
        ModelError: the model cannot be used, or a rule is for an unknown pattern or out of range.
    """
    if errors not in ("return", "raise"):
        raise InvalidRequestError(f"errors must be 'return' or 'raise', got {errors!r}")
    if workers is not None and workers < 1:
        raise InvalidRequestError(f"workers must be at least 1, got {workers}")
    workers = workers or available_cpus()
    predictor = _load(model, server, threads=max(1, available_cpus() // workers))
    work = partial(
        _segment,
        model=predictor,
        extent=extent,
        rules=_changed_rules(predictor, rules, threshold),
        join=join,
        tta=tta,
        bounds=bounds,
        day=day,
    )
    one = partial(_segment_or_error, work=work, errors=errors)
    return map_in_order(one, _openers(pictures, bands=bands, scale=scale), workers)


def _load(model: Predictor | str | Path, server: str | None, threads: int | None = None) -> Predictor:
    if server is not None:
        from nephoscope.inference.remote import RemoteModel

        if not isinstance(model, str | Path):
            raise ModelError(
                f"{model.card.name}: a loaded model cannot run on a server; "
                "give the name of one of the server's"
            )
        return RemoteModel(server, str(model))
    return Model.load(model, threads=threads) if isinstance(model, str | Path) else model


def _changed_rules(
    model: Predictor, rules: RuleChanges | None, threshold: float | Mapping[str, float] | None
) -> RuleChanges | None:
    """Changes of the model's rules, checked before the network runs; None without changes."""
    if not rules and threshold is None:
        return None
    changed = model.card.with_rules(rules or {}, threshold)
    return rules if threshold is None else changed.rules


def _segment(
    picture: Any,
    *,
    model: Predictor,
    rules: RuleChanges | None,
    bands: str | Sequence[int | str] | None = None,
    scale: Scale | str = "auto",
    extent: float | None,
    join: int | None,
    tta: bool,
    bounds: BoundsLike | None,
    day: DayLike | None,
) -> Segmentation:
    if isinstance(picture, Scene):
        scene = picture
    elif isinstance(picture, str):
        scene = open_source(picture, bands=bands, scale=scale)
    else:
        scene = open_scene(picture, bands=bands, scale=scale)
    scene = scene.with_location(bounds, day, extent)
    return apply_rules(model.predict(scene, tta=tta), rules, join=join)


def _openers(pictures: Any, **reading: Any) -> Iterator[tuple[Callable[[], Any], dict[str, Any]]]:
    """A function for each picture that gives what `segment` takes, and how it is to be read."""
    for picture in [pictures] if _is_one(pictures) else pictures:
        if isinstance(picture, str | Path):
            for source in find_sources([str(picture)], **reading):
                yield source.open, {}
        else:
            yield partial(_same, picture), reading


def _is_one(pictures: Any) -> bool:
    """Whether this is one picture, or a word for several, though it can be iterated over."""
    array = any(hasattr(pictures, name) for name in ("__array__", "__array_interface__", "read"))
    return array or isinstance(pictures, str | Path | bytes) or not isinstance(pictures, Iterable)


def _same(picture: Any) -> Any:
    return picture


def _segment_or_error(
    item: tuple[Callable[[], Any], dict[str, Any]], work: Callable[..., Segmentation], errors: str
) -> Segmentation | NephoscopeError:
    opener, reading = item
    try:
        return work(opener(), **reading)
    except NephoscopeError as error:
        if errors == "raise":
            raise
        return error
