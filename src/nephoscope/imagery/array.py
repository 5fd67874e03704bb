"""Arrays as pictures: NumPy, masked, PyTorch, Dask, and whatever NumPy can convert."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import SceneError
from nephoscope.core.geo import Bounds, parse_worldview_name
from nephoscope.core.types import GridShape, Mask
from nephoscope.imagery.scene import Raster, Scene, check_size
from nephoscope.imagery.values import Scale, Stretch, Values, choose_stretch, to_raster

_MOST_BANDS = 31  # a longer axis is a side of the picture


def open_array(array: Any, name: str, scale: Scale, bands: Sequence[int] | None = None) -> Scene:
    """Open an array as a picture.

    Args:
        array: of shape (height, width), (height, width, bands) or (bands, height, width), or one of these in
            a batch of one. Integers or floats. Masked values and NaN are no data.
        name: of the scene.
        scale: what the values mean.
        bands: numbers, from 1, of red, green and blue. Default: the only ones there are.

    Raises:
        SceneError: another shape or type, or an ambiguous range of values.
    """
    try:
        values, valid = as_values(array)
        values, valid = _channels_last(values, valid, bands)
        check_size((values.shape[0], values.shape[1]))
        stated = valid_of(values, valid)
        stretch = choose_stretch(values[:, :, :3] if values.ndim == 3 else values, stated, scale)
        raster = to_raster(values, stated, stretch)
    except SceneError as error:
        raise SceneError(f"{name}: {error}") from error
    return scene_of(raster, name, stretch, *parse_worldview_name(name))


def scene_of(
    raster: Raster,
    name: str,
    stretch: Stretch,
    bounds: Bounds | None = None,
    day: date | None = None,
    satellite: str | None = None,
) -> Scene:
    """A scene of a decoded picture."""
    size: GridShape = (raster.pixels.shape[0], raster.pixels.shape[1])
    return Scene(
        name,
        size,
        bounds,
        day,
        satellite,
        "",
        None,
        partial(_keep, raster),
        [raster],
        _value_warnings=partial(list, stretch.warnings),  # unlike a lambda it can be pickled
    )


def _keep(raster: Raster, _min_shape: GridShape) -> Raster:
    return raster


def as_values(array: Any) -> tuple[Values, NDArray[np.bool_] | None]:
    """Values of an array of any library, and where they are valid if it says so, both of one shape.

    Raises:
        SceneError: NumPy cannot convert it to numbers.
    """
    if hasattr(array, "detach"):  # PyTorch's; on a GPU or with gradients it does not convert by itself
        array = array.detach().cpu()
    try:
        if type(array).__module__.partition(".")[0] == "dask":  # NumPy would drop its mask
            array = array.compute()
    except Exception as error:  # any task's
        raise SceneError(f"its Dask array cannot be computed: {error}") from error
    if isinstance(array, np.ma.MaskedArray):
        valid = None if array.mask is np.ma.nomask else ~np.ma.getmaskarray(array)
        return np.asarray(array.data), valid
    try:
        values = np.asanyarray(array)
    except Exception as error:  # any library's conversion
        raise SceneError(f"{type(array).__name__} cannot be converted to an array: {error}") from error
    if isinstance(values, np.ma.MaskedArray):
        return as_values(values)
    if values.dtype == np.bool_ or not np.issubdtype(values.dtype, np.number):
        raise SceneError(f"an array of type {values.dtype} is no picture: expected integers or floats")
    if np.issubdtype(values.dtype, np.complexfloating):
        raise SceneError("complex numbers are no picture: take their absolute values")
    return values, None


def valid_of(values: Values, valid: NDArray[np.bool_] | None) -> Mask | None:
    """Where every band is valid and finite, shape (height, width); None where nothing is stated.

    Args:
        values: shape (height, width) or (height, width, bands).
        valid: of the same shape or of (height, width), where known.
    """
    known = [] if valid is None else [valid]
    if np.issubdtype(values.dtype, np.floating) and not (finite := np.isfinite(values)).all():
        known.append(finite)
    masks = [each if each.ndim == 2 else each.all(axis=2) for each in known]
    return np.asarray(np.logical_and.reduce(masks), np.bool_) if masks else None


def _channels_last(
    values: Values, valid: NDArray[np.bool_] | None, bands: Sequence[int] | None
) -> tuple[Values, NDArray[np.bool_] | None]:
    """Bring bands to the last axis, and choose them."""
    shape = values.shape
    if values.ndim == 4 and shape[0] == 1:
        values, valid = values[0], None if valid is None else valid[0]
    elif values.ndim == 4:
        raise SceneError(f"a batch of {shape[0]} pictures: give them one by one to segment_many")
    if values.ndim == 2:
        if bands is not None:
            raise SceneError("an array of shape (height, width) has one band: leave bands out")
        return values, valid
    if values.ndim != 3:
        raise SceneError(
            f"expected an array of shape (height, width), (height, width, bands) or (bands, height, width), "
            f"got {shape}"
        )
    if values.shape[2] > _MOST_BANDS and values.shape[0] <= _MOST_BANDS:
        values = np.moveaxis(values, 0, 2)
        valid = None if valid is None else np.moveaxis(valid, 0, 2)
    count = values.shape[2]
    if bands is not None:
        if not all(1 <= band <= count for band in bands):
            raise SceneError(f"bands {', '.join(map(str, bands))}: the array has {count}, counted from 1")
        chosen = [band - 1 for band in bands]
        values, valid = values[:, :, chosen], None if valid is None else valid[:, :, chosen]
    elif count not in (1, 3, 4):
        raise SceneError(f"an array of {count} bands, shape {shape}: bands= names red, green and blue")
    return values, valid
