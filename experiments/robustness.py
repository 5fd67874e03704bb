"""Robustness of a model's masks to changes of the picture: `python -m experiments.robustness DATA [MODEL]`.

The measure is `nephoscope.evaluation.robustness`.
"""

import sys
from pathlib import Path

from nephoscope.evaluation.robustness import agreements, rejected_noise
from nephoscope.inference.model import Model

EVERY = 100  # of the small scenes, one is taken


def main(data: Path, name: str) -> None:
    model = Model.load(name, threads=1)
    print("mean Dice with the masks of the unchanged scene")
    for change, agreement in agreements(model, data, EVERY):
        print(f"  {change:<32}{agreement:.3f}", flush=True)
    print(f"noise in which it finds no pattern  {rejected_noise(model):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), (*sys.argv, "default")[2])
