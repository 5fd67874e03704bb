"""A segmentation as HTML for notebooks: the picture with its patterns, and a small table."""

from base64 import b64encode
from html import escape

import numpy as np

from nephoscope.core.geo import format_degrees
from nephoscope.core.io import sanitize_name
from nephoscope.core.patterns import Pattern
from nephoscope.imagery.resize import resize, resize_mask_by_area
from nephoscope.inference.segmentation import Segmentation
from nephoscope.plotting.drawing import annotate, jpeg

_LONGEST_SIDE = 640  # px
_LARGEST = 100_000  # bytes of the JPEG
_QUALITIES = (85, 70, 50, 30, 15)  # tried in this order until the JPEG is small enough


def html(segmentation: Segmentation) -> str:
    """Make HTML without scripts and links, of at most about 150 kB.

    It needs neither the picture's file nor an optional library.
    """
    counts = segmentation.components.max(axis=(1, 2)).tolist()
    patterns = zip(segmentation.card.styled_patterns, counts, strict=True)
    rows = "".join(_row(segmentation, pattern, count) for pattern, count in patterns)
    head = _cells("th", "pattern", "area", "regions", "score", "present from")
    notes = "".join(f"<div>⚠ {_text(warning)}</div>" for warning in segmentation.warnings)
    picture = b64encode(_picture(segmentation)).decode()
    return (
        f"<div><div>{_text(_title(segmentation))}</div>{notes}"
        f'<img alt="the picture with its patterns" src="data:image/jpeg;base64,{picture}">'
        f"<table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
    )


def _picture(segmentation: Segmentation) -> bytes:
    """A JPEG of the annotated picture; a very noisy one loses quality, so that notebooks stay small."""
    pixels, valid_mask = segmentation.prediction.raster
    factor = _LONGEST_SIDE / max(pixels.shape)
    size = (max(1, round(pixels.shape[0] * factor)), max(1, round(pixels.shape[1] * factor)))
    masks = [
        (each, resize_mask_by_area(segmentation.mask(each.name), size))
        for each in segmentation.card.styled_patterns
    ]
    drawn = np.asarray(annotate(resize(pixels, size), valid_mask, masks)[0])
    content = b""
    for quality in _QUALITIES:
        content = jpeg(drawn, quality)
        if len(content) <= _LARGEST:
            break
    return content


def _row(segmentation: Segmentation, pattern: Pattern, regions: int) -> str:
    name = pattern.name
    square = f'<span style="color:{pattern.hex_colour}">■</span>'
    area = f"{segmentation.area_fractions[name]:.1%}" if regions else "not found"
    score, least = segmentation.scores[name], segmentation.card.rules[name].presence
    return _cells("td", f"{square} {_text(name)}", area, str(regions), f"{score:.2f}", f"{least:.2f}")


def _cells(tag: str, first: str, *others: str) -> str:
    """A row of a table: text on the left, then numbers."""
    numbers = "".join(
        f'<{tag} style="text-align:right;padding:2px 0 2px 18px">{other}</{tag}>' for other in others
    )
    return f'<tr><{tag} style="text-align:left">{first}</{tag}>{numbers}</tr>'


def _title(segmentation: Segmentation) -> str:
    scene = segmentation.scene
    place = ""
    if bounds := scene.bounds:
        west, east = (format_degrees(edge, "EW") for edge in (bounds.west, bounds.east))
        south, north = (format_degrees(edge, "NS") for edge in (bounds.south, bounds.north))
        place = f"{west} to {east}, {south} to {north}"
    size = f"{scene.size[1]} × {scene.size[0]} pixels"
    facts = (scene.name, scene.satellite, scene.day, place, size, f"model {segmentation.card.name}")
    return ", ".join(str(fact) for fact in facts if fact)


def _text(text: str) -> str:
    return escape(sanitize_name(text))
