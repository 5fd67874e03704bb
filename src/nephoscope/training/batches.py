"""Batches of scenes, in an order that seed and epoch decide, shared among processes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nephoscope.training.cache import Scenes


class Batch(NamedTuple):
    """Some scenes as the cache holds them: uint8, a row a scene; and their indices."""

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
    ) -> None:
        self.scenes, self.batch, self.parts = np.asarray(scenes), batch, parts
        self.shuffle, self.seed, self.share = shuffle, seed, share
        self.count = min(len(self.scenes), limit or len(self.scenes))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that comes next; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        count = self.count // self.batch if self.shuffle else -(-self.count // self.batch)
        return count * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        scenes, (rank, processes) = self.scenes, self.share
        if self.shuffle:
            scenes = np.random.default_rng((self.seed, self.epoch)).permutation(scenes)
        for start in range(0, len(self) // self.parts * self.batch, self.batch):
            own = scenes[start : start + self.batch][rank::processes]
            yield from (part.tolist() for part in np.array_split(own, self.parts) if len(part))


class SceneDataset(Dataset[Batch]):
    """Indexed by lists: collating single scenes would cost more than the network."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes

    def __getitem__(self, indices: list[int]) -> Batch:
        return Batch(
            torch.from_numpy(self.scenes.pictures[indices]),
            torch.from_numpy(self.scenes.masks[indices]),
            torch.tensor(indices, dtype=torch.int64),
        )


def batches(scenes: Scenes, sampler: SceneBatchSampler, *, on_gpu: bool) -> DataLoader[Batch]:
    """Load batches in the order of a sampler; for a GPU, workers prefetch into pinned memory."""
    return DataLoader(
        SceneDataset(scenes),
        batch_size=None,
        sampler=sampler,
        num_workers=2 if on_gpu else 0,
        pin_memory=on_gpu,
        persistent_workers=on_gpu,
        prefetch_factor=4 if on_gpu else None,
    )
