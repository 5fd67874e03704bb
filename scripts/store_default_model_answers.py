"""Store what the default model says of a made-up picture, for the test that guards it.

Run it only when the default model changes: python scripts/store_default_model_answers.py
"""

from pathlib import Path

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.pipeline import segment

picture = make_scene(53, (350, 525), patterns=DEFAULT_NAMES).pixels
segmentation = segment(picture)
np.savez_compressed(
    Path(__file__).parents[1] / "tests" / "default_model.npz",
    picture=picture,
    probabilities=segmentation.probabilities[:, ::10, ::10],
    masks=np.packbits(segmentation.masks),
)
print(segmentation.present, segmentation.scores)
