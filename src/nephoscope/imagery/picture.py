"""Picture files by Pillow: JPEG, PNG, TIFF and WebP."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps
from PIL import Image as PilImage

from nephoscope.core.errors import MissingExtraError, SceneError
from nephoscope.core.extras import require
from nephoscope.core.geo import parse_worldview_name
from nephoscope.core.io import MAX_BYTES
from nephoscope.core.types import GridShape, Mask
from nephoscope.imagery.array import scene_of
from nephoscope.imagery.georeference import Georeference, read_georeference
from nephoscope.imagery.scene import Raster, Scene, check_pixels, check_size
from nephoscope.imagery.tiff import TiffLayout
from nephoscope.imagery.values import Scale, Stretch, choose_stretch, to_raster

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")
_PNG_DEPTH = 24  # position of the byte that holds the bits a value in a PNG's header
_SMALL = 4_000_000  # pixels; twice in memory for a moment, which is quicker
_BLOCK = 1_000_000  # pixels that are copied at once
_DARK = 128  # high bytes below: 16-bit colours use a part of their range
_PNG_COLOURS = (2, 6)  # colour types red-green-blue and with opacity, in the byte that follows


def open_picture(
    source: Path | bytes, name: str, scale: Scale, max_pixels: int, layout: TiffLayout | None = None
) -> Scene:
    """Open a picture file or its content by its header.

    Raises:
        SceneError: not a picture, damaged, too large or too small.
    """
    bounds, day, satellite = parse_worldview_name(name)
    georeference = Georeference(bounds)
    with open_image(source, name, max_pixels) as image:
        size, _ = _upright_size(image)
        if bounds is None:
            georeference = read_georeference(image, source if isinstance(source, Path) else None)
    decoder = _Decoder(source, name, max_pixels, scale, layout)
    return Scene(
        name,
        size,
        georeference.bounds,
        day,
        satellite,
        georeference.reason,
        source,
        decoder.decode,
        projection=georeference.projection,
        _value_warnings=decoder.warnings,
    )


def open_pil_image(image: PilImage.Image, name: str, scale: Scale) -> Scene:
    """Open a picture that Pillow has opened; a name of its file gives location and day.

    Raises:
        SceneError: damaged, too small, or values that no picture has.
    """
    bounds, day, satellite = parse_worldview_name(name)
    try:
        values, stated = _values(image.copy())
        size: GridShape = (values.shape[0], values.shape[1])
        check_size(size)
        stretch = choose_stretch(values, stated, scale)
    except SceneError as error:
        raise SceneError(f"{name}: {error}") from error
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise SceneError(f"{name}: damaged or cut short: {error}") from error
    return scene_of(to_raster(values, stated, stretch), name, stretch, bounds, day, satellite)


class _Decoder:
    """Decodes a picture file; remembers how its values become colours."""

    def __init__(
        self, source: Path | bytes, name: str, max_pixels: int, scale: Scale, layout: TiffLayout | None
    ) -> None:
        self._source, self._name, self._max_pixels = source, name, max_pixels
        self._scale, self._layout = scale, layout
        self._stretch: Stretch | None = None

    def decode(self, min_shape: GridShape) -> Raster:
        values, stated, stretch = self._read(min_shape)  # Pillow's own copy of the pixels is gone
        return to_raster(values, stated, stretch)

    def _read(self, min_shape: GridShape) -> tuple[NDArray[Any], Mask | None, Stretch]:
        with open_image(self._source, self._name, self._max_pixels) as image:
            size, rotated = _upright_size(image)
            if min_shape != size:
                image.draft(None, min_shape if rotated else min_shape[::-1])
            values, stated = _values(image, self._layout)
            if _has_deep_colours(self._source, image):
                values = _deep_colours(self._source)
            if self._layout and self._layout.bits > 8 and values.dtype == np.uint8 and values.max() < _DARK:
                require(f"{self._name}: a TIFF of dark 16-bit colours", "geo", "rasterio")
            if self._stretch is None:
                self._stretch = choose_stretch(values, stated, self._scale)
            return values, stated, self._stretch

    def warnings(self) -> Sequence[str]:
        if self._stretch is None:
            self.decode((1, 1))
        assert self._stretch is not None
        return self._stretch.warnings


@contextmanager
def open_image(source: Path | bytes, name: str, max_pixels: int) -> Iterator[PilImage.Image]:
    """Open a picture by its header; any error while it is used becomes a SceneError that names it."""
    with open_file(source, name) as file:
        try:
            with _read_header(file, max_pixels) as image:
                yield image
        except SceneError as error:
            raise type(error)(f"{name}: {error}") from error
        except MissingExtraError:
            raise
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
    check_pixels((image.height, image.width), max_pixels)
    return image


def readable_again(path: Path, name: str) -> Path | bytes:
    """A source that can be read repeatedly: the file itself, or the content of a pipe.

    Raises:
        SceneError: missing, empty, or not readable.
    """
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


def open_file(source: Path | bytes, name: str) -> BinaryIO:
    """Open a file or its content for reading.

    Raises:
        SceneError: no content, or the file cannot be opened.
    """
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
    check_size(size)
    return size, rotated


def _values(image: PilImage.Image, layout: TiffLayout | None = None) -> tuple[NDArray[Any], Mask | None]:
    """Decode to shape (height, width) or (height, width, 3 or 4), and where the file states data."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    numbers = image.mode in ("L", "RGB", "F", "I") or image.mode.startswith("I;16")
    if numbers and not image.has_transparency_data:
        values = _array(image)
    else:
        values = _array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    if layout is None or not (layout.has_mask or layout.nodata is not None):
        return values, None
    valid = np.ones(values.shape[:2], np.bool_)
    if layout.nodata is not None:
        valid &= (np.atleast_3d(values)[:, :, :3] != layout.nodata).any(axis=2)
    if layout.has_mask:
        image.seek(1)
        mask = np.asarray(image) > 0
        if mask.shape == valid.shape:
            valid &= mask
    return values, valid


def _array(image: PilImage.Image) -> NDArray[Any]:
    """An image's values: as `np.asarray`, which would hold them twice for a moment."""
    if image.width * image.height <= _SMALL:
        return np.asarray(image)
    rows = max(1, _BLOCK // image.width)
    strips = [(0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)]
    first = np.asarray(image.crop(strips[0]))
    values = np.empty((image.height, *first.shape[1:]), first.dtype)
    for strip in strips:
        values[strip[1] : strip[3]] = np.asarray(image.crop(strip))
    return values


def _has_deep_colours(source: Path | bytes, image: PilImage.Image) -> bool:
    """Whether a PNG has colours of 16 bits, of which Pillow keeps the high byte alone."""
    if image.format != "PNG":
        return False
    head = source[:26] if isinstance(source, bytes) else _head(source)
    return len(head) == 26 and head[_PNG_DEPTH] == 16 and head[_PNG_DEPTH + 1] in _PNG_COLOURS


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(26)


def _deep_colours(source: Path | bytes) -> NDArray[Any]:
    """Decode a PNG of 16-bit colours."""
    content = source if isinstance(source, bytes) else source.read_bytes()
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise SceneError("damaged or cut short")
    order = cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(values, order))
