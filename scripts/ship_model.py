"""Make a model file one of nephoscope's own: `python scripts/ship_model.py MODEL.onnx NAME`.

Writes `NAME.onnx` and its card `NAME.json` into src/nephoscope/models. The card is the one in the file, with
the texts below for what a run cannot know: names, licence, and where data come from.
"""

import dataclasses
import sys
from pathlib import Path

import onnx

from nephoscope.core.io import atomic_write
from nephoscope.inference.model import Model
from nephoscope.training.export import with_card

MODELS = Path(__file__).parents[1] / "src" / "nephoscope" / "models"

DESCRIPTIONS = {
    "default": "FPN on EfficientNet-Lite2, trained on MODIS true colour over the trade-wind oceans",
    "quick": "FPN at an eighth of the resolution on EfficientNet-Lite0: about a quarter of default's time",
}
DATA = (
    "4,627 labelled MODIS true-colour scenes of 480x320 px from the contest 'Understanding Clouds from "
    "Satellite Images' (2019); imagery NASA Worldview (free to use, credit NASA EOSDIS), labels Rasp, "
    "Schulz, Bony and Stevens 2020 (doi:10.1175/BAMS-D-19-0324.1); the contest's own terms were not checked"
)
SPLIT = (
    "by date: trained on season-years up to 2015 and on undated scenes; validated on 414 scenes of "
    "season-year 2016"
)


def main(file: Path, name: str) -> None:
    """Write the model and its card."""
    card = Model.load(file).card
    changes = {"name": name, "description": DESCRIPTIONS[name], "licence": "Apache-2.0"}
    card = dataclasses.replace(card, **changes, training={**card.training, "data": DATA, "split": SPLIT})
    atomic_write(MODELS / f"{name}.onnx", with_card(onnx.load(file), card))
    atomic_write(MODELS / f"{name}.json", card.to_json().encode())
    print(f"{name}: {(MODELS / f'{name}.onnx').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
