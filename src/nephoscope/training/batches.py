"""Batches of scenes: in an order that seed and epoch decide, shared out among processes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nephoscope.training.cache import Scenes


class Batch(NamedTuple):
    """Some scenes as they lie in the cache.

    Attributes:
        pictures: uint8, shape (count, height, width, 3).
        masks: uint8, one bit a pattern, shape (count, height, width).
        indices: which scenes they are, shape (count,).
    """

    pictures: Tensor
    masks: Tensor
    indices: Tensor


class SceneBatchSampler(Sampler[list[int]]):
    """Lists of scenes, one a step; a new order each epoch, the same again for the same seed and epoch.

    Args:
        scenes: indices to go through.
        batch: scenes a step, over all processes.
        parts: in how many parts a process does its share of a step, each a list of its own.
        shuffle: whether the order changes; then the last scenes, too few for a step, wait for another epoch.
        seed: of the orders.
        limit: if it is not 0, at most so many scenes an epoch, another draw each time.
        rank: of this process.
        processes: how many share the scenes.
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
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.scenes, self.batch, self.parts = np.asarray(scenes), batch, parts
        self.shuffle, self.seed, self.rank, self.processes = shuffle, seed, rank, processes
        self.count = min(len(self.scenes), limit or len(self.scenes))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        count = self.count // self.batch if self.shuffle else -(-self.count // self.batch)
        return count * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        scenes = self.scenes
        if self.shuffle:
            scenes = np.random.default_rng((self.seed, self.epoch)).permutation(scenes)
        for start in range(0, len(self) // self.parts * self.batch, self.batch):
            mine = scenes[start : start + self.batch][self.rank :: self.processes]
            yield from (part.tolist() for part in np.array_split(mine, self.parts) if len(part))


class _Shelf(Dataset[Batch]):
    """Hands out batches: many scenes at once, for taking them one by one would cost more than the network."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes

    def __getitem__(self, indices: list[int]) -> Batch:
        return Batch(
            torch.from_numpy(self.scenes.pictures[indices]),
            torch.from_numpy(self.scenes.masks[indices]),
            torch.tensor(indices, dtype=torch.int64),
        )


def batches(scenes: Scenes, order: SceneBatchSampler, *, on_gpu: bool) -> DataLoader[Batch]:
    """Batches in an order. For a GPU, helpers fetch ahead into memory it can copy from at once."""
    return DataLoader(
        _Shelf(scenes),
        batch_size=None,
        sampler=order,
        num_workers=2 if on_gpu else 0,
        pin_memory=on_gpu,
        persistent_workers=on_gpu,
        prefetch_factor=4 if on_gpu else None,
    )
