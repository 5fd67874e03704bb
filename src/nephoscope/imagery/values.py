"""Values of a picture, of any type and range, as colours from 0 to 255.

Source of the true-colour stretch: Gumley, Descloitres and Schmaltz 2010, "Creating Reprojected True Color
MODIS Images: A Tutorial", version 1.0.2, Space Science and Engineering Center, University of
Wisconsin-Madison. NASA's Corrected Reflectance imagery in Worldview is made in this way.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import SceneError
from nephoscope.core.types import Image, Mask
from nephoscope.imagery.scene import Raster, find_nodata

Values = NDArray[Any]

ScaleName = Literal["auto", "byte", "unit", "uint16", "reflectance"]
Scale = ScaleName | tuple[float, float]
"""What the values of a picture mean.

`byte`: colours from 0 to 255. `unit`: colours from 0 to 1. `uint16`: colours from 0 to 65,535. `reflectance`:
corrected reflectances from 0 to about 1 (percent and integers of 1/10,000 are recognised), which get the
true-colour stretch of NASA Worldview. `(low, high)`: stretched linearly, `low` to black and `high` to white.
`auto`: what type and values say, where that is unambiguous.
"""

_LARGEST_REFLECTANCE = 1.1  # becomes white
_CURVE = ((0, 30, 60, 120, 190, 255), (0, 110, 160, 210, 240, 255))  # from linear to displayed brightness
_PER_INTEGER = 1e-4  # reflectance of 1 in integers, as MODIS, VIIRS and Sentinel-2 products store it
_SAMPLES = 200_000  # values that decide on the scale
_BLOCK = 1_000_000  # pixels that become colours at once
_BRIGHTEST = 99.9  # percentile that becomes white where a picture uses a part of its range
_FULL_RANGE = 32_768  # 16-bit colours whose largest value is below use a part of their range
_SURELY_BYTES = 130  # reflectances in percent stay below
_HINT = "--scale or scale= states it: byte, unit, uint16, reflectance, or LOW,HIGH"


@dataclass(frozen=True)
class Stretch:
    """A map from values to colours: linear from `low` to `high`, then the true-colour curve if `curve`."""

    low: float
    high: float
    curve: bool = False
    warning: str = ""  # why the result may be wrong

    @property
    def warnings(self) -> list[str]:
        """The warning, if there is one."""
        return [self.warning] if self.warning else []

    def apply(self, values: Values) -> NDArray[np.uint8]:
        """Colours from 0 to 255 of values of any shape; NaN becomes 0."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255) and not self.curve:
            return np.asarray(values, np.uint8)
        if values.dtype == np.uint16 and self == _UINT16:
            return (values >> 8).astype(np.uint8)
        linear = np.asarray(values, np.float32) - np.float32(self.low)
        linear *= np.float32(255 / (self.high - self.low))
        np.nan_to_num(linear, copy=False)
        if self.curve:
            linear = np.interp(linear, *_CURVE)
        return np.asarray(np.clip(np.rint(linear), 0, 255), np.uint8)


_BYTES = Stretch(0, 255)
_UNIT = Stretch(0, 1)
_UINT16 = Stretch(0, 65_535)
_COLOURS = {"byte": _BYTES, "unit": _UNIT, "uint16": _UINT16}
_MISFIT = (0.02, 1.5)  # of the white of a stated scale; pictures have their largest value in between


def parse_scale(text: str) -> Scale:
    """Parse a scale: a name, or `LOW,HIGH`.

    Raises:
        SceneError: neither.
    """
    name = text.strip().lower()
    for known in get_args(ScaleName):
        if name == known:
            return known  # type: ignore[no-any-return]
    try:
        low, high = (float(part) for part in name.split(","))
    except ValueError:
        names = ", ".join(get_args(ScaleName))
        raise SceneError(f"unknown scale {text!r}; available: {names}, or two numbers LOW,HIGH") from None
    return low, high


def choose_stretch(values: Values, valid: Mask | None, scale: Scale, units: str = "") -> Stretch:
    """Choose how values become colours.

    Args:
        values: of the picture, shape (height, width) or (height, width, bands).
        valid: where there is data, shape (height, width); None for everywhere.
        scale: what they mean.
        units: `reflectance` or `%` where the file or array says so; else empty.

    Raises:
        SceneError: an unknown scale, values that no picture has, or, with `auto`, an ambiguous range.
    """
    if isinstance(scale, str) and scale not in get_args(ScaleName):
        scale = parse_scale(scale)
    if not isinstance(scale, str):
        return _linear(scale)
    if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
        raise SceneError(f"values of type {values.dtype} are no picture: expected integers or floats")
    if values.dtype == np.uint8 and scale in ("auto", "byte"):
        return _BYTES
    sample = _sample(values, valid)
    if scale == "reflectance":
        return _reflectance(values.dtype, sample)
    if scale in _COLOURS:
        return _stated(_COLOURS[scale], scale, sample)
    if units:
        return _reflectance(values.dtype, sample) if units != "%" else _true_colour(100)
    return _automatic(values.dtype, sample)


def _linear(ends: object) -> Stretch:
    try:
        low, high = (float(end) for end in ends)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        low = high = float("nan")
    if not (np.isfinite([low, high]).all() and low != high):
        raise SceneError(f"scale must be a name or two different numbers, got {ends!r}")
    return Stretch(low, high)


def _stated(stretch: Stretch, scale: str, sample: Values) -> Stretch:
    """The stretch of a stated scale, with a warning if the values cannot have been meant."""
    highest = float(sample.max()) if sample.size else stretch.high
    least, most = (factor * stretch.high for factor in _MISFIT)
    if least <= highest <= most or highest == 0:
        return stretch
    return replace(stretch, warning=f"values up to {highest:.6g} with the scale {scale}: {_HINT}")


def _sample(values: Values, valid: Mask | None) -> Values:
    """Some of the finite values with data, evenly spread over the picture."""
    step = max(1, round((values.size / _SAMPLES) ** 0.5))
    some = values[::step, ::step]
    if valid is not None:
        some = some[valid[::step, ::step]]
    return some[np.isfinite(some)]


def _reflectance(dtype: np.dtype[Any], sample: Values) -> Stretch:
    if dtype == np.uint8:
        raise SceneError("8-bit values are colours, not reflectances: leave the scale out")
    if np.issubdtype(dtype, np.integer):
        return _true_colour(1 / _PER_INTEGER)
    percent = sample.size and np.percentile(sample, 99) > 2  # no scene is so bright
    return _true_colour(100 if percent else 1)


def _true_colour(one: float) -> Stretch:
    """The true-colour stretch of reflectances, of which `one` stands for 1."""
    return Stretch(0, _LARGEST_REFLECTANCE * one, curve=True)


def _automatic(dtype: np.dtype[Any], sample: Values) -> Stretch:
    if not sample.size:
        return _BYTES
    low, high = float(sample.min()), float(sample.max())
    if np.issubdtype(dtype, np.integer) or _are_whole(sample, high):
        if low >= 0 and high <= 255:
            return _BYTES
        if low >= 0 and _FULL_RANGE <= high <= 65_535:
            return _UINT16
        return _stretched(sample, low, high)
    if low >= 0 and high <= 1 and _are_whole(sample * 255, high * 255):
        return _UNIT
    if high > 255:
        return _stretched(sample, low, high)
    if low >= 0 and high > _SURELY_BYTES:
        return _BYTES
    raise SceneError(f"values from {low:.4g} to {high:.4g} may be colours or reflectances; {_HINT}")


def _are_whole(sample: Values, high: float) -> bool:
    """Whether floats hold whole numbers, which are more than 0 and 1."""
    return high > 1 and bool(np.all(np.abs(sample - np.rint(sample)) < 1e-3))


def _stretched(sample: Values, low: float, high: float) -> Stretch:
    white = float(np.percentile(sample, _BRIGHTEST))
    black = 0.0 if white > 0 else low  # fill values are often negative
    white = white if white > black else black + 1
    warning = (
        f"values from {low:.6g} to {high:.6g} use a part of their range and were stretched from {black:.6g} "
        f"to {white:.6g}: {_HINT}"
    )
    return Stretch(black, white, warning=warning)


def to_raster(values: Values, valid: Mask | None, stretch: Stretch) -> Raster:
    """Make a raster of a picture's values.

    Args:
        values: shape (height, width) or (height, width, bands): grey, red-green-blue, or with opacity as the
            fourth band.
        valid: where there is data, as the file or array states it; None where it states nothing. Large black
            areas and transparent pixels have none either.
        stretch: from values to colours.
    """
    if values.ndim == 2:
        values = values[:, :, None]
    transparent = values[:, :, 3] == 0 if values.shape[2] == 4 else None
    changes = valid is not None or transparent is not None
    pixels = values if stretch == _BYTES and values.dtype == np.uint8 and values.shape[2] == 3 else None
    if pixels is None or changes:
        pixels = _colours(values, stretch)
    if valid is None:
        valid = ~find_nodata(pixels)
    else:
        missing = ~valid
        pixels[missing] = 255  # so that they do not join dark pixels beside them to a large area
        valid = valid & ~find_nodata(pixels)
        pixels[missing] = 0
    if transparent is not None:
        valid = valid & ~transparent
        pixels[transparent] = 0
    return Raster(pixels, np.asarray(valid, np.bool_))


def _colours(values: Values, stretch: Stretch) -> Image:
    """Colours in an array of their own, made in blocks: as floats, a whole picture would need much memory."""
    pixels = np.empty((*values.shape[:2], 3), np.uint8)
    rows = max(1, _BLOCK // values.shape[1])
    for top in range(0, len(values), rows):
        pixels[top : top + rows] = stretch.apply(values[top : top + rows, :, :3])
    return pixels
