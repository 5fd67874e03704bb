"""Which bands of a picture are red, green and blue, by their names."""

from collections.abc import Sequence

from nephoscope.core.errors import SceneError

Bands = tuple[int | str, ...]
"""Red, green and blue, or one grey band: by number from 1, or by name."""

# Names in use, in lower case: of colours, and of the bands nearest to them.
_TRIPLES = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("b04", "b03", "b02"),  # Sentinel-2; beside a B01 they may be MODIS's, whose red is B01
    ("b4", "b3", "b2"),  # Landsat 8 and 9
    ("m05", "m04", "m03"),  # VIIRS
)
_AMBIGUOUS = {"b04": "b01", "b4": "b1"}
_OPACITY = ("a", "alpha")


def parse_bands(text: str) -> Bands:
    """Parse `1,4,3` or `red,green,blue`.

    Raises:
        SceneError: neither one nor three bands.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, 3) or not all(parts):
        raise SceneError(
            f"bands {text!r}: give three, for red, green and blue, or one: 1,4,3 or red,green,blue"
        )
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def choose_bands(names: Sequence[str], bands: Bands | None) -> list[int]:
    """Indices, from 0, of the bands of red, green and blue, or of one grey band.

    Args:
        names: of all bands; empty where a band has none.
        bands: as stated; None for those that the names tell, or the only ones there are.

    Raises:
        SceneError: a stated band is missing, or nothing tells which bands to use.
    """
    lower = [name.strip().lower() for name in names]
    if bands is not None:
        return [_find(lower, names, band) for band in bands]
    for triple in _TRIPLES:
        if all(name in lower for name in triple) and _AMBIGUOUS.get(triple[0]) not in lower:
            opacity = [name for name in _OPACITY if name in lower][:1]
            return [lower.index(name) for name in (*triple, *opacity)]
    if len(names) in (1, 3):
        return list(range(len(names)))
    what = f"{len(names)} bands" + (f" ({', '.join(filter(None, names))})" if any(names) else "")
    raise SceneError(f"{what}: nothing says which are red, green and blue; --bands 1,4,3 or bands= states it")


def has_colours(names: Sequence[str]) -> bool:
    """Whether names of bands tell which are red, green and blue."""
    lower = {name.strip().lower() for name in names}
    return any(set(triple) <= lower for triple in _TRIPLES)


def _find(lower: Sequence[str], names: Sequence[str], band: int | str) -> int:
    if isinstance(band, int) and 1 <= band <= len(names):
        return band - 1
    if str(band).lower() in lower:
        return lower.index(str(band).lower())
    available = ", ".join(name or str(number) for number, name in enumerate(names, 1))
    raise SceneError(f"no band {band}; available: {available}")
