"""Older labelled scenes in every step of a run, so that it does not forget them.

Source: experience replay (Rolnick et al. 2019, Experience Replay for Continual Learning, arXiv:1811.11682).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import TrainingError
from nephoscope.core.types import GridShape
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.splits import folds_for
from nephoscope.training.cache import Scenes, open_scenes


@dataclass(frozen=True, eq=False)
class Replay:
    """Older scenes to train on.

    Attributes:
        scenes: of the folder.
        training: indices of those to train on: of the folder's own training split.
        bits: bits of the run's patterns by bits of the folder's, shape (256,); see `PackedMasks`.
    """

    scenes: Scenes
    training: list[int]
    bits: NDArray[np.uint8]


def open_replay(
    folder: Path, run: Scenes, held_out: Sequence[Record], size: GridShape, **options: Any
) -> Replay:
    """Open older scenes.

    Args:
        folder: of the older scenes.
        run: scenes of the run.
        held_out: validation scenes of the run; older scenes of the same days or names are left out.
        size: height and width.
        options: as of `open_scenes`.

    Raises:
        TrainingError: the older labels lack a pattern of the run, or no scene is left.
        DatasetError: see `open_scenes` and `Scenes.split`.
    """
    scenes = open_scenes(folder, size, **options)
    if missing := [name for name in run.patterns if name not in scenes.patterns]:
        raise TrainingError(
            f"{folder}: no labels of {', '.join(missing)}; scenes of --replay need labels of all patterns "
            f"of DATA: {', '.join(run.patterns)}"
        )
    if len(scenes.records) < 2:
        raise TrainingError(f"{folder}: --replay needs at least 2 older scenes, got {len(scenes.records)}")
    own, _ = scenes.split(folds_for(scenes.records))
    groups, images = {record.group for record in held_out}, {record.image for record in held_out}
    training = [
        index
        for index in own
        if scenes.records[index].group not in groups and scenes.records[index].image not in images
    ]
    if not training:
        raise TrainingError(f"{folder}: no scene is left that is not among the validation scenes of DATA")
    return Replay(scenes, training, _bits(scenes.patterns, run.patterns))


def replayed(batch: int, share: float) -> int:
    """Number of older scenes among the scenes of a step; at least one, and not all.

    Raises:
        TrainingError: a step has no room for both.
    """
    if batch < 2:
        raise TrainingError("--replay needs a --batch of at least 2: new and older scenes in each step")
    return min(batch - 1, max(1, round(batch * share)))


def _bits(theirs: tuple[str, ...], ours: tuple[str, ...]) -> NDArray[np.uint8]:
    values = np.arange(256, dtype=np.uint16)
    table = np.zeros(256, np.uint16)
    for bit, name in enumerate(ours):
        table |= (values >> theirs.index(name) & 1) << bit
    return table.astype(np.uint8)
