"""Satellite pictures: opened by their header, decoded when a size is asked for.

`open_scene` reads name, size, place and day. `Scene.read` decodes, as coarsely as the caller allows.
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
MAX_PIXELS = 100_000_000
"""Largest picture that is decoded unless the caller allows more: 300 MB once decoded."""

_LEAST_SIDE = 32  # px; less cannot show how clouds organise
_LONGEST = 20  # times the shorter side; enlarged for the network, a thread would fill the memory
GAP_BRIGHTNESS = 10  # of 255: a swath gap is black, and JPEG's ringing at its edge stays below this
_GAP_SHARE = 0.0005  # of the picture: a smaller black patch is a shadow, not a gap


class Raster(NamedTuple):
    """A decoded picture.

    Attributes:
        pixels: red, green, blue, shape (height, width, 3); black or nearly so where there is no data.
        valid_mask: boolean, shape (height, width); false where there is no data.
    """

    pixels: Image
    valid_mask: Mask


@dataclass(frozen=True, eq=False)
class Scene:
    """One satellite picture, not yet decoded.

    Attributes:
        name: what it is called in tables and files: its file name where it has one.
        size: height and width in pixels.
        bounds: where it is, if known.
        day: when it was taken, if known.
        satellite: what took it, if known.
        location_problem: why the place is not known although the file has a georeference; else empty.
        source: the picture's file or its content; None for an array.
    """

    name: str
    size: GridShape
    bounds: Bounds | None
    day: date | None
    satellite: str | None
    location_problem: str
    source: Path | bytes | None = field(repr=False)
    _decode: Callable[[GridShape], Raster] = field(repr=False)
    _full: list[Raster] = field(default_factory=list, repr=False)  # one, once it is decoded at full size

    def read(self, min_shape: GridShape | None = None) -> Raster:
        """Decode the picture. The full-size raster is kept, so that a second call costs nothing.

        Args:
            min_shape: least height and width wanted; a JPEG is decoded at a half, a quarter or an eighth of
                its size where that is enough. Full size if left out.

        Raises:
            SceneError: the picture is damaged, or its file is no longer there.
        """
        if self._full and min_shape is None:
            return self._full[0]
        raster = self._decode(min_shape or self.size)
        if raster.valid_mask.shape == self.size:
            self._full[:] = [raster]
        return raster

    def with_location(self, bounds: Bounds | None = None, day: date | None = None) -> "Scene":
        """The same scene with the place and day that somebody states; what is None stays as it is."""
        return replace(self, bounds=bounds or self.bounds, day=day or self.day)


def open_scene(
    source: str | Path | bytes | BinaryIO | NDArray[Any],
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Scene:
    """Open a picture: JPEG, PNG, TIFF or WebP, colour or grey, 8 or 16 bits, with or without alpha.

    Swath gaps (large black areas) and transparent pixels become "no data". Of 16-bit values the high byte is
    kept. EXIF rotation is applied. Satellite, date and place are taken from names such as
    `Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg`; where the name tells no place, from GeoTIFF tags
    or a world file. All three are believed: what was cropped later must be stated anew. The time in a TIFF's
    tags is that of its last change, and tells nothing.

    Args:
        source: a path, the bytes of a file, an open binary file, or an array of shape (height, width),
            (height, width, 3) or (height, width, 4), uint8 or uint16.
        name: what to call the scene; the file's name if left out.
        max_pixels: a picture with more is refused.

    Raises:
        SceneError: no picture, damaged, too large or too small.
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
        size, turned = _upright_size(image)
        if min_shape != size:
            image.draft(None, min_shape if turned else min_shape[::-1])
        array = _decode(image)
    return _to_raster(array)


@contextmanager
def _open_image(source: Path | bytes, name: str, max_pixels: int) -> Iterator[PilImage.Image]:
    """An opened picture; whatever goes wrong while it is used becomes a SceneError that names it."""
    with _open(source, name) as file, _header(file, name, max_pixels) as image:
        try:
            yield image
        except SceneError as error:
            raise SceneError(f"{name}: {error}") from error
        except Exception as error:  # a damaged file can make a decoder raise anything
            raise SceneError(f"{name}: damaged or cut short: {error}") from error


def _readable_again(path: Path, name: str) -> Path | bytes:
    """A file that can be read again and again: itself, or what came out of a pipe."""
    try:
        if path.is_file():
            if path.stat().st_size == 0:
                raise SceneError(f"{name}: the file is empty")
            return path
        with path.open("rb") as pipe:  # what is not there, or is a folder, does not open
            return read_bounded(pipe, name)
    except FileNotFoundError:
        raise SceneError(f"{path}: no such file") from None
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror or error}") from error


def _open(source: Path | bytes, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        if not source:
            raise SceneError(f"{name}: nothing came")
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


_pillow_limit = threading.Lock()


@contextmanager
def _header(file: BinaryIO, name: str, max_pixels: int) -> Iterator[PilImage.Image]:
    """Open a picture without decoding it, and refuse it by its header."""
    # Pillow's own limit is one for the whole process: it steps aside, for this header, for the caller's.
    with _pillow_limit:
        theirs, PilImage.MAX_IMAGE_PIXELS = PilImage.MAX_IMAGE_PIXELS, None
        try:
            image = PilImage.open(file, formats=FORMATS)
        except Exception as error:  # as above
            raise SceneError(f"{name}: not a JPEG, PNG, TIFF or WebP picture") from error
        finally:
            PilImage.MAX_IMAGE_PIXELS = theirs
    with image:
        if image.width * image.height > max_pixels:
            raise TooManyPixelsError(
                f"{name}: {image.width} x {image.height} px is over the limit of {max_pixels:,} pixels"
            )
        yield image


def _upright_size(image: PilImage.Image) -> tuple[GridShape, bool]:
    """Height and width once EXIF rotation is applied, and whether that swaps the sides."""
    # Pillow tells the size of a TIFF as it is once turned, that of other formats as it is stored.
    turned = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    size = (image.width, image.height) if turned else (image.height, image.width)
    _check_size(size)
    return size, turned


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
        raise SceneError("32 bits a pixel: give a true-colour picture of 8 or 16 bits")
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
    """An array is decoded already."""
    return raster


def _to_raster(array: NDArray[Any]) -> Raster:
    """Colour pixels and where there is data, from a grey, colour or colour-with-alpha array."""
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
    """Where a picture has no data: connected black areas of at least 0.05 % of it, as swath gaps are.

    Args:
        pixels: red, green, blue, shape (height, width, 3).

    Returns:
        Boolean, shape (height, width).
    """
    black = cv2.inRange(pixels, (0, 0, 0), (GAP_BRIGHTNESS,) * 3)
    least = max(1, round(_GAP_SHARE * black.size))
    if cv2.countNonZero(black) < least:
        return np.zeros(black.shape, np.bool_)
    _, parts = cv2.connectedComponents(black, connectivity=8)
    large = np.bincount(parts[black > 0]) >= least  # part 0, all that is not black, counts as empty
    return np.take(large, np.asarray(parts))
