"""The layout of a TIFF file, by its tags: bands, types, compression, no-data value, mask.

Source: TIFF 6.0, 1992; BigTIFF, AWare Systems; GDAL, "GTiff driver" (tag 42113).
"""

from dataclasses import dataclass
from typing import Any, BinaryIO

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, in either order of bytes."""

_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _BANDS, _PLANAR, _FORMAT = 254, 258, 259, 262, 277, 284, 339
_METADATA, _NODATA = 42112, 42113  # GDAL's
_NAMING = ('role="description"', 'role="colorinterp"')
_MASK = 4  # bit of the subfile type: a transparency mask
_SEPARATE = 2  # bands one after the other
_TYPES = {
    1: "unsigned integers",
    2: "signed integers",
    3: "floats",
    5: "complex integers",
    6: "complex floats",
}
_RGB, _YCBCR = 2, 6
# Pillow reads these through its own decoders or the libtiff that it brings.
_PILLOW_READS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
_OTHERS = {34887: "LERC", 50000: "ZSTD", 50001: "WebP", 34925: "LZMA", 34712: "JPEG 2000", 50002: "JPEG XL"}


@dataclass(frozen=True)
class TiffLayout:
    """What a TIFF file holds."""

    bands: int
    bits: int  # of a value
    type: str  # of values, in words
    compression: int
    photometric: int
    separate: bool  # bands one after the other
    nodata: float | None  # GDAL's no-data value
    has_mask: bool  # an internal mask, in a second directory
    names_bands: bool  # GDAL's metadata describe bands, or say which are the colours

    @property
    def problem(self) -> str:
        """Why Pillow cannot read it, or reads it wrongly; empty if it reads it."""
        if self.compression not in _PILLOW_READS:
            return f"with {_OTHERS.get(self.compression, f'compression {self.compression}')} compression"
        if self.type != "unsigned integers" or self.bits > 16:
            return f"of {self.bits}-bit {self.type}"
        if self.bits == 16 and self.separate and self.bands > 1:
            return "of 16 bits whose bands are stored one after the other"
        coloured = self.photometric in (_RGB, _YCBCR) and self.bands in (3, 4)
        if not coloured and (self.bands > 2 or (self.bands == 2 and self.bits > 8)):
            return f"of {self.bands} bands" + (" without colours" if self.bands < 5 else "")
        if self.bands > 4:
            return f"of {self.bands} bands"
        return ""

    @property
    def is_simple(self) -> bool:
        """Whether Pillow reads it: 8-bit colours or one band of 16 bits, nothing stated as no data."""
        deep = self.bits > 8 and self.bands > 1  # Pillow keeps the high byte alone
        stated = self.separate or self.has_mask or self.names_bands or self.nodata is not None
        return not (self.problem or deep or stated)


def read_layout(file: BinaryIO) -> TiffLayout | None:
    """Read a TIFF's layout from its tags, and rewind the file; None for other files and damaged tags."""
    try:
        head = file.read(8)
        if head[:4] not in TIFF_SIGNATURES:
            return None
        if b"+" in head[2:4]:
            head += file.read(8)
        first = _directory(head, file)
        second = _directory(head, file, first.next) if first.next else {}
        return TiffLayout(
            bands=int(first.get(_BANDS, 1)),
            bits=int(max(first.get(_BITS, (1,)))),
            type=_TYPES.get(int(max(first.get(_FORMAT, (1,)))), "an unknown type"),
            compression=int(first.get(_COMPRESSION, 1)),
            photometric=int(first.get(_PHOTOMETRIC, 1)),
            separate=int(first.get(_PLANAR, 1)) == _SEPARATE,
            nodata=_number(first.get(_NODATA)),
            names_bands=any(word in str(first.get(_METADATA, "")).lower() for word in _NAMING),
            has_mask=bool(int(second.get(_SUBFILE, 0)) & _MASK),
        )
    except Exception:  # a damaged tag can make Pillow raise anything; opening the file tells the reason
        return None
    finally:
        file.seek(0)


def _directory(head: bytes, file: BinaryIO, start: int | None = None) -> Any:
    from PIL import TiffImagePlugin  # for TIFFs alone

    # Pillow's table of layouts lacks one-bit transparency masks, which GDAL writes as a second directory.
    for order in (b"II", b"MM"):
        TiffImagePlugin.OPEN_INFO.setdefault((order, 4, (1,), 1, (1,), ()), ("1", "1"))
    directory = TiffImagePlugin.ImageFileDirectory_v2(head)
    file.seek(directory.next if start is None else start)
    directory.load(file)
    return directory


def _number(text: object) -> float | None:
    try:
        return None if text is None else float(str(text).strip(" \0"))
    except ValueError:
        return None
