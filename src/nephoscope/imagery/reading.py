"""`open_scene`: any picture as a scene, whatever holds it."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image as PilImage

from nephoscope.core.errors import SceneError
from nephoscope.core.extras import require
from nephoscope.imagery.array import open_array
from nephoscope.imagery.bands import Bands, parse_bands
from nephoscope.imagery.picture import open_file, open_picture, open_pil_image, read_bounded, readable_again
from nephoscope.imagery.scene import MAX_PIXELS, Scene
from nephoscope.imagery.tiff import read_layout
from nephoscope.imagery.values import Scale

ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""File endings of pictures, in small letters."""

_BIG_ENDIAN_BIGTIFF = b"MM\0+"  # first bytes
LABELLED_ENDINGS = (".nc", ".nc4", ".cdf", ".zarr")
"""File endings of what xarray opens, in small letters."""


def open_scene(
    source: Any,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    bands: str | Sequence[int | str] | None = None,
    scale: Scale | str = "auto",
) -> Scene:
    """Open a picture by its header.

    What a file or array states as no data is no data: NaN and infinite values, masked values, a no-data
    value, a mask. So are large black areas (gaps between swaths) and transparent pixels. EXIF rotation is
    applied. Satellite, date and bounds come from names such as
    `Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg`; where the name has no bounds, they come from
    GeoTIFF tags, coordinates, or a world file. All are wrong for a picture that was cropped later. The time
    in a TIFF's tags is that of its last change, and is not used.

    Args:
        source: a path, the bytes of a file, or an open binary file: JPEG, PNG, TIFF or WebP, with the extra
            `geo` every raster that rasterio opens, and NetCDF and Zarr with CF coordinates; a web address of
            a GeoTIFF (with `geo`); a PIL image; an array of NumPy, PyTorch or Dask, masked or not, of shape
            (height, width), (height, width, bands) or (bands, height, width), or a batch of one; a DataArray
            or Dataset of xarray; a Scene of satpy.
        name: of the scene. Default: the file's name.
        max_pixels: a larger picture is refused.
        bands: red, green and blue, by number from 1 or by name, such as `(1, 4, 3)`; or one grey band.
            Default: those that the file calls so, or the only ones there are.
        scale: what the values mean; see `imagery.values.Scale`.

    Raises:
        SceneError: not a picture, damaged, too large or too small, or values whose meaning must be stated.
    """
    chosen = _bands(bands)
    meaning = cast(Scale, scale)
    if isinstance(source, str | Path | bytes) or hasattr(source, "read"):
        return _open_file(source, name, meaning, chosen, max_pixels)
    if isinstance(source, PilImage.Image):
        name = name or Path(getattr(source, "filename", "") or "image").name
        return open_pil_image(source, name, meaning)
    if type(source).__module__.partition(".")[0] in ("xarray", "satpy"):
        from nephoscope.imagery.labelled import open_labelled

        return open_labelled(source, name or _own_name(source), meaning, chosen, max_pixels)
    if _is_array(source):
        if chosen and not all(isinstance(band, int) for band in chosen):
            raise SceneError(f"{name or 'array'}: an array's bands have no names: give numbers, from 1")
        return open_array(source, name or "array", meaning, cast("tuple[int, ...] | None", chosen))
    raise SceneError(
        f"{name or 'picture'}: {type(source).__name__} is no picture: give a path, bytes, an open file, "
        "a PIL image, an array, or an object of xarray or satpy; nephoscope.segment_many takes several"
    )


def _bands(bands: str | int | Sequence[int | str] | None) -> Bands | None:
    if bands is None:
        return None
    return parse_bands(",".join(map(str, [bands] if isinstance(bands, int | str) else bands)))


def _is_array(source: object) -> bool:
    return (
        isinstance(source, np.ndarray)
        or hasattr(source, "__array__")
        or hasattr(source, "__array_interface__")
    )


def _own_name(source: Any) -> str:
    name = getattr(source, "name", None) or "array"
    return str(name)


def _open_file(
    source: str | Path | bytes | BinaryIO,
    name: str | None,
    scale: Scale,
    bands: Bands | None,
    max_pixels: int,
) -> Scene:
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        name = name or source.rpartition("/")[2].partition("?")[0] or "picture"
        require(f"{name}: a web address", "geo", "rasterio")
        return _open_raster(source, name, scale, bands, max_pixels)
    if isinstance(source, str | Path):
        path = Path(source)
        name = name or path.name
        if path.suffix.lower() in LABELLED_ENDINGS and path.exists():
            extra, engine = ("atlas", "zarr") if path.suffix.lower() == ".zarr" else ("geo", "h5netcdf")
            require(f"{name}: a {path.suffix} file", extra, "xarray", engine)
            from nephoscope.imagery.labelled import open_labelled_file

            return open_labelled_file(path, name, scale, bands, max_pixels)
        content = readable_again(path, name)
    else:
        own = getattr(source, "name", None)
        name = name or (Path(own).name if isinstance(own, str) else "picture")
        content = source if isinstance(source, bytes) else _read_file(source, name)
    with open_file(content, name) as file:
        layout = read_layout(file)
        unknown_to_pillow = file.read(4) == _BIG_ENDIAN_BIGTIFF
    if unknown_to_pillow:
        require(f"{name}: a TIFF of big-endian 64-bit offsets", "geo", "rasterio")
        return _open_raster(content, name, scale, bands, max_pixels)
    by_pillow = (layout.is_simple if layout else _may_be_picture(content)) and not _has_mask_file(content)
    if bands is None and by_pillow:
        scene = open_picture(content, name, scale, max_pixels, layout)
        if not (layout and scene.location_problem and _has_geo()):
            return scene
    elif not _has_geo():
        what = "a choice of bands" if bands else f"a TIFF {layout.problem}" if layout else ""
        if bands or (layout and layout.problem):
            require(f"{name}: {what}", "geo", "rasterio")
        return open_picture(content, name, scale, max_pixels, layout)
    return _open_raster(content, name, scale, bands, max_pixels)


def _has_mask_file(content: Path | bytes) -> bool:
    """Whether a mask by GDAL lies beside a file, which rasterio reads."""
    return isinstance(content, Path) and content.with_name(f"{content.name}.msk").is_file() and _has_geo()


def _read_file(file: BinaryIO, name: str) -> bytes:
    try:
        content = read_bounded(file, name)
    except (OSError, ValueError) as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(f"{name}: cannot be read: {error}") from error
    if not isinstance(content, bytes):
        raise SceneError(f"{name}: opened as text: open it in binary mode, by open(path, 'rb')")
    return content


def _may_be_picture(content: Path | bytes) -> bool:
    """Whether a file that is no TIFF is left to Pillow; others may be of one of GDAL's formats."""
    return isinstance(content, bytes) or content.suffix.lower() in ENDINGS or not content.suffix


def _open_raster(
    source: Path | bytes | str, name: str, scale: Scale, bands: Bands | None, max_pixels: int
) -> Scene:
    from nephoscope.imagery.raster_file import open_raster

    return open_raster(source, name, scale, bands, max_pixels)


def _has_geo() -> bool:
    return find_spec("rasterio") is not None
