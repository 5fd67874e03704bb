"""Scenes: satellite pictures, opened by their header and decoded on demand.

`open_scene` reads name, size, location and day. `Scene.read` decodes, as coarsely as the caller allows.
"""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps
from PIL import Image as PilImage

from nephoscope.core.errors import SceneError, TooManyPixelsError
from nephoscope.core.geo import Bounds, parse_worldview_name
from nephoscope.core.io import MAX_BYTES
from nephoscope.core.types import GridShape, Image, Mask
from nephoscope.imagery.georeference import Georeference, read_georeference

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")
MAX_PIXELS = 100_000_000  # default limit of a picture's pixels: 300 MB once decoded

_LEAST_SIDE = 32  # px; a smaller picture cannot show how clouds organise
_LONGEST = 20  # times the shorter side; a narrower picture, enlarged for the network, would fill the memory
NODATA_BRIGHTNESS = 10  # of 255: no data is black, and JPEG's ringing at its edge stays below this
_MIN_NODATA_FRACTION = 0.0005  # of the picture: a smaller black patch is a shadow


class Raster(NamedTuple):
    """A decoded picture."""

    pixels: Image  # red, green, blue, shape (height, width, 3); nearly black where there is no data
    valid_mask: Mask  # boolean, shape (height, width); false where there is no data


@dataclass(frozen=True, eq=False)
class Scene:
    """One satellite picture, not yet decoded. Its bounds, day and satellite are None where unknown."""

    name: str  # in tables and files: its file name where it has one
    size: GridShape  # height and width in pixels
    bounds: Bounds | None
    day: date | None  # on which it was taken
    satellite: str | None
    location_problem: str  # why the bounds are unknown although the file has a georeference; else empty
    source: Path | bytes | None = field(repr=False)  # the file or its content; None for an array
    _decode: Callable[[GridShape], Raster] = field(repr=False)
    _full: list[Raster] = field(default_factory=list, repr=False)  # one, once it is decoded at full size

    def read(self, min_shape: GridShape | None = None) -> Raster:
        """Decode the picture. A full-size raster is kept for the next call.

        Args:
            min_shape: least height and width. A JPEG is decoded at a half, a quarter or an eighth of its size
                where that is enough. Default: full size.

        Raises:
            SceneError: the picture is damaged, or its file is missing.
        """
        if self._full and min_shape is None:
            return self._full[0]
        raster = self._decode(min_shape or self.size)
        if raster.valid_mask.shape == self.size:
            self._full[:] = [raster]
        return raster

    def with_location(self, bounds: Bounds | None = None, day: date | None = None) -> "Scene":
        """A copy of the scene with other bounds and day; None leaves them unchanged."""
        return replace(self, bounds=bounds or self.bounds, day=day or self.day)


def open_scene(
    source: str | Path | bytes | BinaryIO | NDArray[Any],
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Scene:
    """Open a picture: JPEG, PNG, TIFF or WebP, colour or grey, 8 or 16 bits, with or without alpha.

    Large black areas (gaps between swaths) and transparent pixels become "no data". Of 16-bit values the high
    byte is kept. EXIF rotation is applied. Satellite, date and bounds come from names such as
    `Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg`; where the name has no bounds, they come from
    GeoTIFF tags or a world file. All are wrong for a picture that was cropped later. The time in a TIFF's
    tags is that of its last change, and is not used.

    Args:
        source: a path, the bytes of a file, an open binary file, or an array of shape (height, width),
            (height, width, 3) or (height, width, 4), uint8 or uint16.
        name: of the scene. Default: the file's name.
        max_pixels: a larger picture is refused.

    Raises:
        SceneError: not a picture, damaged, too large or too small.
    """
    if isinstance(source, np.ndarray):
        return _open_array(source, name or "array")
    if isinstance(source, str | Path):
        name = name or Path(source).name
        source = _readable_again(Path(source), name)
    name = name or "picture"
    if not isinstance(source, bytes | Path):
        source = read_bounded(source, name)
    bounds, day, satellite = parse_worldview_name(name)
    georeference = Georeference(bounds)
    with _open_image(source, name, max_pixels) as image:
        size, _ = _upright_size(image)
        if bounds is None:
            georeference = read_georeference(image, source if isinstance(source, Path) else None)
    decode = partial(_decode_file, source, name, max_pixels)
    return Scene(name, size, georeference.bounds, day, satellite, georeference.reason, source, decode)


def _decode_file(source: Path | bytes, name: str, max_pixels: int, min_shape: GridShape) -> Raster:
    with _open_image(source, name, max_pixels) as image:
        size, rotated = _upright_size(image)
        if min_shape != size:
            image.draft(None, min_shape if rotated else min_shape[::-1])
        array = _decode(image)
    return _to_raster(array)


@contextmanager
def _open_image(source: Path | bytes, name: str, max_pixels: int) -> Iterator[PilImage.Image]:
    """Open a picture by its header; any error while it is used becomes a SceneError that names it."""
    with _open(source, name) as file:
        try:
            with _read_header(file, max_pixels) as image:
                yield image
        except SceneError as error:
            raise type(error)(f"{name}: {error}") from error
        except Exception as error:  # a damaged file can make a decoder raise anything
            raise SceneError(f"{name}: damaged or cut short: {error}") from error


_pillow_limit = threading.Lock()


def _read_header(file: BinaryIO, max_pixels: int) -> PilImage.Image:
    # Pillow's own limit applies to the whole process: it is lifted for this header.
    with _pillow_limit:
        limit, PilImage.MAX_IMAGE_PIXELS = PilImage.MAX_IMAGE_PIXELS, None
        try:
            image = PilImage.open(file, formats=FORMATS)
        except Exception as error:  # a damaged file can make a decoder raise anything
            raise SceneError("not a JPEG, PNG, TIFF or WebP picture") from error
        finally:
            PilImage.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > max_pixels:
        size = f"{image.width} x {image.height} px"
        raise TooManyPixelsError(f"{size} is over the limit of {max_pixels:,} pixels")
    return image


def _readable_again(path: Path, name: str) -> Path | bytes:
    """A source that can be read repeatedly: the file itself, or the content of a pipe."""
    try:
        if path.is_file():
            if path.stat().st_size == 0:
                raise SceneError(f"{name}: the file is empty")
            return path
        with path.open("rb") as pipe:  # raises for a missing file or a folder
            return read_bounded(pipe, name)
    except FileNotFoundError:
        raise SceneError(f"{path}: no such file") from None
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror or error}") from error


def _open(source: Path | bytes, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        if not source:
            raise SceneError(f"{name}: no content")
        return io.BytesIO(source)
    try:
        return source.open("rb")
    except OSError as error:
        raise SceneError(f"{source}: {error.strerror or error}") from error


def read_bounded(file: BinaryIO, name: str) -> bytes:
    """Read a stream to its end.

    Raises:
        SceneError: there are more than `MAX_BYTES`.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise SceneError(f"{name}: more than {MAX_BYTES:,} bytes")
    return content


def _upright_size(image: PilImage.Image) -> tuple[GridShape, bool]:
    """Height and width after EXIF rotation, and whether it swaps the sides."""
    # Pillow applies the rotation to the size of a TIFF, but not to that of other formats.
    rotated = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    size = (image.width, image.height) if rotated else (image.height, image.width)
    _check_size(size)
    return size, rotated


def _check_size(size: GridShape) -> None:
    if min(size) < _LEAST_SIDE:
        raise SceneError(f"{size[1]} x {size[0]} px is too small: at least {_LEAST_SIDE} a side")
    if max(size) > _LONGEST * min(size):
        raise SceneError(f"{size[1]} x {size[0]} px is more than {_LONGEST} times as long as wide")


def _decode(image: PilImage.Image) -> NDArray[Any]:
    """Decode to a uint8 array of shape (height, width), (height, width, 3) or (height, width, 4)."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return np.asarray(image)
    if image.mode.startswith("I;16"):
        return _high_byte(np.asarray(image))
    if image.mode in ("F", "I"):
        raise SceneError("32 bits a pixel are not supported: give a true-colour picture of 8 or 16 bits")
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _high_byte(values: NDArray[Any]) -> Image:
    return (values >> 8).astype(np.uint8)


def _open_array(array: NDArray[Any], name: str) -> Scene:
    colours = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or colours not in (1, 3, 4) or array.dtype not in (np.uint8, np.uint16):
        raise SceneError(
            f"{name}: expected uint8 or uint16 of shape (height, width), (height, width, 3) or "
            f"(height, width, 4), not {array.dtype} of shape {array.shape}"
        )
    size: GridShape = (array.shape[0], array.shape[1])
    try:
        _check_size(size)
    except SceneError as error:
        raise SceneError(f"{name}: {error}") from error
    bounds, day, satellite = parse_worldview_name(name)
    raster = _to_raster(_high_byte(array) if array.dtype == np.uint16 else array)
    return Scene(name, size, bounds, day, satellite, "", None, partial(_keep, raster), [raster])


def _keep(raster: Raster, _min_shape: GridShape) -> Raster:
    return raster


def _to_raster(array: NDArray[Any]) -> Raster:
    """Make a raster of a grey, colour or colour-with-alpha array."""
    if array.ndim == 2:
        array = array[:, :, None]
    pixels = np.ascontiguousarray(np.broadcast_to(array[:, :, :3], (*array.shape[:2], 3)))
    nodata = find_nodata(pixels)
    if array.shape[2] == 4:
        transparent = array[:, :, 3] == 0
        pixels[transparent] = 0
        nodata |= transparent
    return Raster(pixels, ~nodata)


def find_nodata(pixels: Image) -> Mask:
    """Find no data: connected black areas of at least 0.05 % of the picture, such as gaps between swaths.

    Pixels are red, green, blue, of shape (height, width, 3); the mask's shape is (height, width).
    """
    black = cv2.inRange(pixels, (0, 0, 0), (NODATA_BRIGHTNESS,) * 3)
    least = max(1, round(_MIN_NODATA_FRACTION * black.size))
    if cv2.countNonZero(black) < least:
        return np.zeros(black.shape, np.bool_)
    _, labels = cv2.connectedComponents(black, connectivity=8)
    large = np.bincount(labels[black > 0]) >= least  # label 0, all that is not black, has no pixels here
    return np.take(large, np.asarray(labels))
