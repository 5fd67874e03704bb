"""The default model in eager PyTorch, for comparison: `python -m benchmarks.same_network PICTURE`."""

import sys
from pathlib import Path

import numpy as np
import torch

from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.resize import resize
from nephoscope.inference.model import Model
from nephoscope.training.networks import Deployed, build


def load() -> Deployed:
    torch.manual_seed(0)
    card = Model.load().card
    network = build(card.network, len(card.patterns))
    return Deployed(network, card.network["mean"], card.network["deviation"]).eval()


@torch.inference_mode()
def probabilities(network: Deployed, pictures: np.ndarray) -> np.ndarray:
    return network(torch.from_numpy(pictures))[0].numpy()


if __name__ == "__main__":
    scene = open_scene(Path(sys.argv[1]))
    print(probabilities(load(), resize(scene.read().pixels, (320, 480))[None]).shape)
