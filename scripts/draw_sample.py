"""Draw docs/sample.jpg: the built-in sample, and beside it what the default model finds in it.

PYTHONPATH=src python scripts/draw_sample.py
"""

from pathlib import Path

import cv2

import nephoscope
from nephoscope.core.io import atomic_write
from nephoscope.outputs.overlay import draw
from nephoscope.plotting.drawing import jpeg, side_by_side

TARGET = Path(__file__).parents[1] / "docs" / "sample.jpg"
SMALLER, QUALITY = 1 / 3, 88


def main() -> None:
    """Draw both, and write the file."""
    segmentation = nephoscope.segment("sample")
    both = side_by_side([segmentation.scene.read().pixels, draw(segmentation)])
    small = cv2.resize(both, None, fx=SMALLER, fy=SMALLER, interpolation=cv2.INTER_AREA)
    atomic_write(TARGET, jpeg(small, QUALITY))


if __name__ == "__main__":
    main()
