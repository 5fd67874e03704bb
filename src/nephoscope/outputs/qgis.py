"""Styles for QGIS: the colours and names of patterns, for each output that QGIS opens.

QGIS fills in all that a style leaves out, so a style holds what differs from its defaults. QGIS 3.22 loads
all of them.

Source: what QGIS 3 writes itself by *Export > Save as QGIS Layer Style File*.
"""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from nephoscope.core.patterns import Pattern

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_VERSION = "3.22.0"  # the oldest that the styles were loaded by
_FILL = 77  # of 255, as `fill-opacity` of the format `geojson`
_OUTLINE = "0.5"  # mm
FREQUENT = 0.5
"""Frequency of the full colour: few cells have a pattern on more than half of their area and days."""


def styles(patterns: Sequence[Pattern]) -> dict[str, bytes]:
    """Make all styles of a model's patterns, by file name.

    Bands of rasters are in the patterns' order, one style a band.
    """
    made = {"regions.qml": regions_style(patterns)}
    for band, pattern in enumerate(patterns, 1):
        made[f"mask_{pattern}.qml"] = _mask(pattern, band)
        made[f"probability_{pattern}.qml"] = _ramp(pattern, band, 1)
        made[f"frequency_{pattern}.qml"] = _ramp(pattern, band, FREQUENT)
    return made


def regions_style(patterns: Iterable[Pattern]) -> bytes:
    """A style of regions, by their field `pattern`."""
    root = _root()
    renderer = SubElement(root, "renderer-v2", type="categorizedSymbol", attr="pattern", symbollevels="0")
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for index, pattern in enumerate(patterns):
        SubElement(
            categories, "category", value=pattern.name, label=pattern.name, symbol=str(index), render="true"
        )
        symbol = SubElement(symbols, "symbol", {"type": "fill", "name": str(index), "alpha": "1"})
        layer = SubElement(
            symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0", "locked": "0"}
        )
        colour = "{},{},{}".format(*pattern.colour)
        properties = {
            "color": f"{colour},{_FILL}",
            "style": "solid",
            "outline_color": f"{colour},255",
            "outline_style": "solid",
            "outline_width": _OUTLINE,
            "outline_width_unit": "MM",
            "joinstyle": "bevel",
        }
        options = SubElement(layer, "Option", type="Map")
        for name, value in properties.items():
            SubElement(options, "Option", type="QString", name=name, value=value)
        for name, value in properties.items():  # before 3.22 QGIS knows no options
            SubElement(layer, "prop", k=name, v=value)
    return _written(root)


def _mask(pattern: Pattern, band: int) -> bytes:
    """A style of a band of 0, 1 and no data: what has no entry in the palette is transparent."""
    root = _root()
    renderer = _raster(root, "paletted", band)
    palette = SubElement(renderer, "colorPalette")
    SubElement(palette, "paletteEntry", value="1", label=pattern.name, color=pattern.hex_colour, alpha="255")
    return _written(root)


def _ramp(pattern: Pattern, band: int, most: float) -> bytes:
    """A style of shares: from transparent at 0 to the pattern's colour at `most` and above."""
    root, end = _root(), f"{most:g}"
    renderer = _raster(root, "singlebandpseudocolor", band)
    renderer.attrib |= {"classificationMin": "0", "classificationMax": end}
    shader = SubElement(
        SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        minimumValue="0",
        maximumValue=end,
        clip="0",
    )
    for value, label, alpha in (("0", f"{pattern} 0", "0"), (end, f"{pattern} {end}", "255")):
        SubElement(shader, "item", value=value, label=label, color=pattern.hex_colour, alpha=alpha)
    return _written(root)


def _root() -> Element:
    return Element("qgis", version=_VERSION, styleCategories="Symbology")


def _raster(root: Element, kind: str, band: int) -> Element:
    pipe = SubElement(root, "pipe")
    return SubElement(
        pipe, "rasterrenderer", type=kind, band=str(band), opacity="1", alphaBand="-1", nodataColor=""
    )


def _written(root: Element) -> bytes:
    indent(root)
    return f"{_DOCTYPE}{tostring(root, encoding='unicode')}\n".encode()
