"""Speed of training, compared with a plain loop, and of reading scenes.

python -m benchmarks.training FOLDER_OF_LABELLED_SCENES [SIZE] [SCENES]

The plain loop is that of a tutorial: the same network of segmentation-models-pytorch in single precision, a
`Dataset` that decodes a JPEG and its run lengths, augmentation on the CPU with torchvision, a `DataLoader`
with a worker a core. Both train on the same scenes in the same batches on the same device. The first epoch of
each is not counted.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from PIL import Image as PilImage
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from nephoscope.core.io import available_cpus
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.training.batches import SceneBatchSampler, batches
from nephoscope.training.cache import open_scenes
from nephoscope.training.config import make_recipe
from nephoscope.training.devices import PRECISIONS, precision
from nephoscope.training.module import SegmentationModule
from nephoscope.training.networks import describe, start


class Plain(TorchDataset):
    """One scene at a time, from its files."""

    def __init__(self, dataset: Dataset, size: tuple[int, int]) -> None:
        self.dataset, self.size = dataset, size
        self.change = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomVerticalFlip(),
                v2.RandomAffine(15, (0.1, 0.1), (0.77, 1.3)),
                v2.ColorJitter(0.15, 0.15),
            ]
        )

    def __len__(self) -> int:
        return len(self.dataset.records)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.dataset.records[index].image
        picture = PilImage.open(self.dataset.picture(image)).convert("RGB").resize(self.size[::-1])
        bits = self.dataset.bits(image, self.size)
        masks = np.stack([bits >> pattern & 1 for pattern in range(len(self.dataset.patterns))])
        colours, truth = self.change(tv_tensors.Image(picture), tv_tensors.Mask(masks))
        return (colours / 255 - 0.498) / 0.502, truth.float()


def plain_epochs(dataset: Dataset, recipe, device: torch.device) -> float:
    """Scenes a second in the second epoch."""
    classes = len(dataset.patterns)
    net = smp.create_model(recipe.arch, recipe.encoder, encoder_weights=None, classes=classes).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), recipe.learning_rate)
    dice = smp.losses.DiceLoss("multilabel")
    loader = DataLoader(
        Plain(dataset, recipe.input_size),
        recipe.batch,
        shuffle=True,
        drop_last=True,
        num_workers=available_cpus(),
        persistent_workers=True,
    )
    for _ in range(2):
        started = time.perf_counter()
        for colours, truth in loader:
            logits = net(colours.to(device))
            truth = truth.to(device)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth) + dice(logits, truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()
    return len(loader) * recipe.batch / (time.perf_counter() - started)


def our_epochs(folder: Path, recipe, device: torch.device, cache: Path) -> tuple[float, float]:
    """Scenes a second in the second epoch, and the share of its time spent waiting for scenes."""
    import pytorch_lightning as pl

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    scenes = open_scenes(folder, recipe.input_size, cache=cache)
    classes, begun = len(scenes.patterns), [0.0]
    module = SegmentationModule(recipe, start(recipe, classes), describe(recipe), classes)

    class Clock(pl.Callback):
        def on_train_epoch_start(self, *_):
            begun[0] = time.perf_counter()

    class Quiet(pl.profilers.SimpleProfiler):
        def describe(self) -> None:
            """Print nothing: the durations are read below."""

    loader = batches(
        scenes,
        SceneBatchSampler(range(len(scenes.records)), recipe.batch, shuffle=True),
        on_gpu=device.type == "cuda",
    )
    trainer = pl.Trainer(
        accelerator=device.type,
        devices=1,
        precision=PRECISIONS[precision(recipe, device.type == "cuda")],
        max_epochs=2,
        logger=False,
        callbacks=[Clock()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        profiler=(profiler := Quiet()),
        use_distributed_sampler=False,
    )
    trainer.fit(module, loader)
    took = time.perf_counter() - begun[0]
    fetched = sum(
        sum(times[-len(loader) :])
        for name, times in profiler.recorded_durations.items()
        if name.endswith("train_dataloader_next")
    )
    return len(loader) * recipe.batch / took, fetched / took


def main(folder: Path, size: str, count: int) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = make_recipe("default" if device.type == "cuda" else "cpu", size=size)
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        scenes = open_scenes(folder, recipe.input_size, cache=Path(cache))
        first = time.perf_counter() - started
        started = time.perf_counter()
        open_scenes(folder, recipe.input_size, cache=Path(cache))
        second = time.perf_counter() - started
        print(f"{len(scenes.records):,} scenes and their labels read to {size}: {first:.1f} s")
        print(f"a second start: {second:.2f} s")
    dataset = read_dataset(folder).select(range(count))
    with tempfile.TemporaryDirectory() as small:
        part = Path(small) / "data"
        copy(dataset, part)
        rates = []
        for _ in range(3):  # alternately: the speed of a machine varies
            plain = plain_epochs(dataset, recipe, device)
            ours, waiting = our_epochs(part, recipe, device, Path(small) / "cache")
            rates.append((ours, plain, waiting))
    ours, plain, waiting = np.median(rates, axis=0)
    ratio = np.median([a / b for a, b, _ in rates])
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{recipe.arch} on {recipe.encoder}, {size}, batch {recipe.batch}, on {name}:")
    print(f"  nephoscope {ours:.1f} scenes/s, plain loop {plain:.1f} scenes/s: {ratio:.2f} times")
    print(f"  {waiting:.1%} of the time is spent waiting for scenes")


def copy(dataset: Dataset, to: Path) -> None:
    """Write a folder of some scenes, with links to their pictures."""
    from nephoscope.datasets.labels import write_labels

    (to / "train_images").mkdir(parents=True)
    for record in dataset.records:
        (to / "train_images" / record.image).symlink_to(dataset.picture(record.image).resolve())
    rows = [
        (record.image, name, dataset.labels.texts[record.image, name])
        for record in dataset.records
        for name in dataset.patterns
    ]
    write_labels(to / "train.csv", rows)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2] if len(sys.argv) > 2 else "192x288",
        int(sys.argv[3]) if len(sys.argv) > 3 else 128,
    )
