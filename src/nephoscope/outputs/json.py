"""`json`: scores, area fractions and every region of a scene, for programs."""

import json
from collections.abc import Sequence
from typing import Any

from nephoscope.core.version import __version__
from nephoscope.inference.regions import Region
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web


def summary(segmentation: Segmentation) -> dict[str, Any]:
    """Describe the scene, and each pattern's presence, score, area fraction and probability, as plain values.

    The probability is that people would draw the pattern in the scene; None without calibration.
    """
    scene, presence = segmentation.scene, segmentation.presence_probabilities
    rounded = {name: round(value, 4) for name, value in presence.items()}
    return {
        "scene": scene.name,
        "width": scene.size[1],
        "height": scene.size[0],
        "satellite": scene.satellite,
        "date": scene.day.isoformat() if scene.day else None,
        "bounds": scene.bounds._asdict() if scene.bounds else None,
        "projection": scene.projection or None,
        "assumed_extent": segmentation.assumed_extent
        and dict(zip(("width", "height"), segmentation.assumed_extent, strict=True)),
        "valid": round(float(segmentation.valid_mask.mean()), 4),
        "warnings": segmentation.warnings,
        "patterns": {
            name: {
                "present": name in segmentation.present,
                "score": round(segmentation.scores[name], 4),
                "cover": round(segmentation.area_fractions[name], 4),
                "probability": rounded.get(name),
            }
            for name in segmentation.card.patterns
        },
    }


def everything(segmentation: Segmentation, *, outlines: bool = True) -> dict[str, Any]:
    """The summary, every region in the picture's pixels, the model and its rules, as plain values."""
    return summary(segmentation) | {
        "regions": [
            _described(region) | ({"outline": region.outline} if outlines else {})
            for region in segmentation.regions
        ],
        "model": {"name": segmentation.card.name, "made_with": segmentation.card.made_with},
        "rules": segmentation.card.rules_in_words,
        "join": segmentation.join,
        "tta": segmentation.prediction.tta,
        "nephoscope": __version__,
    }


def render(segmentation: Segmentation) -> list[bytes]:
    """Render everything as one file."""
    return [(json.dumps(everything(segmentation), ensure_ascii=False) + "\n").encode()]


def _described(region: Region) -> dict[str, Any]:
    """Numbers to four digits after the point: a hundredth of a permille, a fraction of any pixel."""
    return {
        "pattern": region.pattern,
        "area": round(region.area, 4),
        "cover": round(region.area_fraction, 4),
        "box": [round(side, 4) for side in region.box],
        "centroid": [round(side, 4) for side in region.centroid],
        "mean_probability": round(region.mean_probability, 4),
    }


def web_render(segmentation: Segmentation, *, outlines: bool = True) -> bytes:
    """Render everything for a server's response; `outlines` of regions are most of the bytes."""
    import orjson  # outlines are thousands of numbers a picture

    return orjson.dumps(everything(segmentation, outlines=outlines))


def _web_merge(contents: Sequence[bytes]) -> bytes:
    return b'{"scenes": [' + b", ".join(content.strip() for content in contents) + b"]}\n"


FORMAT = Format(
    name="json",
    description="Scores, covers and every region, in pixels",
    media_type="application/json",
    render=render,
    endings=(".json",),
    web=Web(label="Regions", kind="JSON", render=web_render, merge=_web_merge, file_name="scenes.json"),
)
