"""Batches of scenes, in an order that seed and epoch decide, shared among processes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nephoscope.training.cache import Scenes
from nephoscope.training.replay import Replay


class Batch(NamedTuple):
    """Some scenes as the cache holds them: uint8, a row a scene; and their indices.

    Scenes of `Replay` are numbered after those of the run.
    """

    pictures: Tensor
    masks: Tensor
    indices: Tensor


class SceneBatchSampler(Sampler[list[int]]):
    """Lists of scene indices, one a step. The order depends on seed and epoch only.

    Args:
        scenes: indices to draw from.
        batch: scenes a step, over all processes.
        parts: a process divides its share of a step into this many lists.
        shuffle: draw a new order each epoch, and leave out an incomplete last step.
        seed: of the orders.
        limit: scenes an epoch, drawn anew each time; 0 for all.
        share: rank of this process, and number of processes.
        replay: indices of older scenes, drawn anew each epoch; they do not count for `limit`.
        replayed: number of older scenes among the scenes of a step.
    """

    def __init__(
        self,
        scenes: Sequence[int],
        batch: int,
        parts: int = 1,
        *,
        shuffle: bool,
        seed: int = 0,
        limit: int = 0,
        share: tuple[int, int] = (0, 1),
        replay: Sequence[int] = (),
        replayed: int = 0,
    ) -> None:
        self.scenes, self.batch, self.parts = np.asarray(scenes), batch, parts
        self.shuffle, self.seed, self.share = shuffle, seed, share
        self.replay, self.replayed = np.asarray(replay, np.int64), replayed
        self.count = min(len(self.scenes), limit or len(self.scenes))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that comes next; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        own = self.batch - self.replayed
        count = self.count // own if self.shuffle else -(-self.count // own)
        return count * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        scenes, (rank, processes) = self.scenes, self.share
        if self.shuffle:
            rng = np.random.default_rng((self.seed, self.epoch))
            scenes = self._with_replay(rng.permutation(scenes), rng)
        for start in range(0, len(self) // self.parts * self.batch, self.batch):
            own = scenes[start : start + self.batch][rank::processes]
            yield from (part.tolist() for part in np.array_split(own, self.parts) if len(part))

    def _with_replay(self, scenes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Scenes in the order of the steps, with older ones at the end of each step."""
        if not self.replayed:
            return scenes
        steps, own = len(self) // self.parts, self.batch - self.replayed
        older = np.resize(rng.permutation(self.replay), (steps, self.replayed))
        return np.hstack([scenes[: steps * own].reshape(steps, own), older]).reshape(-1)


class SceneDataset(Dataset[Batch]):
    """Indexed by lists: collating single scenes would cost more than the network."""

    def __init__(self, scenes: Scenes, replay: Replay | None = None) -> None:
        self.scenes, self.replay = scenes, replay

    def __getitem__(self, indices: list[int]) -> Batch:
        first = len(self.scenes.records)  # index of the first older scene
        own = [index for index in indices if index < first]
        pictures, masks = self.scenes.pictures[own], self.scenes.masks[own]
        if self.replay is not None and len(own) < len(indices):
            older = [index - first for index in indices if index >= first]
            indices = [*own, *(index + first for index in older)]
            pictures = np.concatenate([pictures, self.replay.scenes.pictures[older]])
            masks = np.concatenate([masks, self.replay.bits[self.replay.scenes.masks[older]]])
        return Batch(
            torch.from_numpy(pictures), torch.from_numpy(masks), torch.tensor(indices, dtype=torch.int64)
        )


def batches(
    scenes: Scenes, sampler: SceneBatchSampler, replay: Replay | None = None, *, on_gpu: bool
) -> DataLoader[Batch]:
    """Load batches in the order of a sampler; for a GPU, workers prefetch into pinned memory."""
    return DataLoader(
        SceneDataset(scenes, replay),
        batch_size=None,
        sampler=sampler,
        num_workers=2 if on_gpu else 0,
        pin_memory=on_gpu,
        persistent_workers=on_gpu,
        prefetch_factor=4 if on_gpu else None,
    )
