"""Draw docs/gis.svg, the steps from a picture to a map in QGIS, with the patterns of the built-in sample.

PYTHONPATH=src python scripts/draw_gis_steps.py
"""

from base64 import b64encode
from collections.abc import Iterator
from html import escape
from pathlib import Path

import cv2
import numpy as np

import nephoscope
from nephoscope import Segmentation

TARGET = Path(__file__).parents[1] / "docs" / "gis.svg"
WIDTH, HEIGHT = 1020, 400
MAP = (420, 280)  # width and height of the map in the last panel
INK, GREY, PAPER, LINE = "#1c2733", "#5c6b7a", "#ffffff", "#c9d2da"
SMOOTH = 1.0  # px of the drawing by which outlines are simplified


def text(x: float, y: float, words: str, size: int = 13, colour: str = INK, style: str = "") -> str:
    """A line of text."""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}"{style}>{escape(words)}</text>'


def panel(x: int, width: int, number: int, title: str) -> Iterator[str]:
    """A frame with a number and a title."""
    frame = f'x="{x}" y="8" width="{width}" height="{HEIGHT - 16}" rx="8"'
    yield f'<rect {frame} fill="{PAPER}" stroke="{LINE}"/>'
    yield f'<circle cx="{x + 28}" cy="36" r="13" fill="{INK}"/>'
    yield text(x + 28, 41, str(number), 14, PAPER, ' text-anchor="middle" font-weight="bold"')
    yield text(x + 50, 41, title, 15, style=' font-weight="bold"')


def write_step() -> Iterator[str]:
    """The two commands."""
    yield from panel(8, 250, 1, "Write the files")
    y = 66
    code = ' font-family="monospace" xml:space="preserve"'
    for lines, note in (
        (
            ("nephoscope segment scenes", "  --format gpkg,geotiff,netcdf"),
            "a GeoPackage, masks, probabilities",
        ),
        (("nephoscope styles -o styles",), "once for a model"),
    ):
        high = 18 * len(lines) + 14
        yield f'<rect x="18" y="{y}" width="230" height="{high}" rx="4" fill="#eef2f5"/>'
        for index, line in enumerate(lines):
            yield text(24, y + 20 + 18 * index, line, 12, style=code)
        yield text(20, y + high + 18, note, 12, GREY)
        y += high + 40
    for line in ("Pictures need a known place: by", "their names or tags, or --bounds."):
        yield text(20, y + 4, line, 12, GREY)
        y += 18


def open_step(result: Segmentation) -> Iterator[str]:
    """The files as layers, and the style of each."""
    yield from panel(270, 290, 2, "Drag them into QGIS")
    yield text(288, 74, "scene.gpkg", style=' font-weight="bold"')
    yield text(288, 92, "regions: has its style in it", 12, GREY)
    yield text(288, 126, "scene_patterns.tif", style=' font-weight="bold"')
    yield text(288, 144, "a band a pattern; Load Style:", 12, GREY)
    y = 164
    for band, pattern in enumerate(result.card.styled_patterns, 1):
        yield swatch(290, y - 10, pattern.hex_colour, 1)
        yield text(310, y, f"band {band}: mask_{pattern}.qml", 12)
        y += 19
    yield text(288, y + 18, "scene.nc", style=' font-weight="bold"')
    yield text(288, y + 36, "variable probability; Load Style:", 12, GREY)
    y += 56
    for band, pattern in enumerate(result.card.styled_patterns, 1):
        yield (
            f'<linearGradient id="ramp{band}"><stop offset="0" stop-color="{pattern.hex_colour}" '
            f'stop-opacity="0"/><stop offset="1" stop-color="{pattern.hex_colour}"/></linearGradient>'
            f'<rect x="290" y="{y - 10}" width="34" height="12" fill="url(#ramp{band})" stroke="{LINE}"/>'
        )
        yield text(330, y, f"band {band}: probability_{pattern}.qml", 12)
        y += 19


def map_step(result: Segmentation) -> Iterator[str]:
    """The map: the picture, outlines, a legend."""
    yield from panel(572, 440, 3, "Look")
    pixels = cv2.resize(result.scene.read().pixels, MAP, interpolation=cv2.INTER_AREA)
    picture = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    coded = b64encode(picture).decode()
    yield f'<g transform="translate(582 60)"><image width="{MAP[0]}" height="{MAP[1]}" '
    yield f'href="data:image/jpeg;base64,{coded}"/>'
    for region in result.regions:
        colour = next(each for each in result.card.styled_patterns if each.name == region.pattern).hex_colour
        path = " ".join(ring_path(ring, result.scene.size) for polygon in region.outline for ring in polygon)
        yield f'<path d="{path}" fill="{colour}" fill-opacity="0.3" fill-rule="evenodd" stroke="{colour}" '
        yield 'stroke-width="2"/>'
    yield "</g>"
    x = 590
    for pattern in result.card.styled_patterns:
        yield swatch(x, 354, pattern.hex_colour, 0.4)
        yield text(x + 20, 364, pattern.name, 13)
        x += 34 + 9 * len(pattern.name)


def swatch(x: float, y: float, colour: str, opacity: float) -> str:
    """A square of a legend."""
    box = f'x="{x}" y="{y}" width="12" height="12"'
    return f'<rect {box} fill="{colour}" fill-opacity="{opacity}" stroke="{colour}"/>'


def ring_path(ring: list[tuple[float, float]], size: tuple[int, int]) -> str:
    """A closed line of the drawing."""
    scaled = np.array(ring) * (MAP[0] / size[1], MAP[1] / size[0])
    points = cv2.approxPolyDP(scaled.astype(np.float32)[:, None], SMOOTH, closed=True)[:, 0]
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points.tolist()) + "Z"


def main() -> None:
    """Segment the sample and draw it."""
    result = nephoscope.segment("sample")
    parts = [*write_step(), *open_step(result), *map_step(result)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
    head += f'width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif">'
    title = "<title>From a picture to a map in QGIS, in three steps</title>"
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#f6f8fa"/>'
    TARGET.write_text("\n".join([head, title, ground, *parts, "</svg>\n"]))
    print(TARGET)


if __name__ == "__main__":
    main()
