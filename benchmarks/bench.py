"""Speed and memory of segmentation, each compared with a named peer in the same run: `make bench`.

The machine may be noisy, so every figure is a median, and the peers take turns. Quote the ratios.

Usage: python -m benchmarks.bench [FOLDER OF LABELLED SCENES]
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from pycocotools import mask as coco

from benchmarks import first_pipeline, same_network
from nephoscope.core.io import available_cpus
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.rle import decode, encode
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sources import find_sources
from nephoscope.imagery.synthetic import make_scene, sample
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment, segment_many
from nephoscope.inference.postprocess import resample, segment_pattern
from nephoscope.inference.prediction import view
from nephoscope.inference.tiling import run_tiled
from nephoscope.outputs.batch import Job, run
from nephoscope.outputs.csv import rows

ROUNDS = 7


def main(data: Path, folder: Path) -> None:
    cpus = available_cpus()
    torch.set_num_threads(cpus)
    print(f"{cpus} processors; medians of {ROUNDS} rounds in which the peers take turns\n")
    picture = folder / "one.jpg"
    picture.write_bytes(sample())
    pictures = scenes(data, folder, 200)
    cold(picture, folder)
    warm(picture)
    whole_folder(pictures, folder, cpus)
    memory(pictures, folder)
    run_lengths()


def scenes(data: Path, folder: Path, count: int) -> list[Path]:
    real = sorted((data / "train_images").glob("*.jpg"))[:count]
    if real:
        return real
    print(f"no real scenes in {data}: using synthetic ones")
    write_synthetic_dataset(folder, count, size=(320, 480))
    return sorted((folder / "train_images").iterdir())


def cold(picture: Path, folder: Path) -> None:
    print("Cold: a whole process, one picture of 2100x1400")
    segment = ["-m", "nephoscope", "segment", picture, "-o", folder / "cold", "--overwrite"]
    timed = take_turns(
        {
            "nephoscope segment, overlay + json": lambda: process(*segment),
            "nephoscope segment, csv": lambda: process(*segment, "--format", "csv"),
            "the same network in eager PyTorch": lambda: process("-m", "benchmarks.same_network", picture),
            "the first pipeline": lambda: process("-m", "benchmarks.first_pipeline", picture),
        }
    )
    table(timed, "s", 1)


def warm(picture: Path) -> None:
    print(f"Warm: one picture of 2100x1400, {available_cpus()} threads")
    model = Model.load()
    card = model.card
    first, same = first_pipeline.load(), same_network.load()
    canvas = view(open_scene(picture), card.input_size).canvas

    def network() -> np.ndarray:
        return run_tiled(canvas, card.input_size, lambda pictures: model(pictures).probabilities)

    fields = network()
    segmentation = segment(picture, model)

    def decoding() -> None:
        view(open_scene(picture), card.input_size)

    def postprocessing() -> None:
        for name, field in zip(card.patterns, fields, strict=True):
            segment_pattern(resample(field, card.grid) * segmentation.valid_mask, card.rules[name])

    timed = take_turns(
        {
            "decode": decoding,
            "network": network,
            "post-processing": postprocessing,
            "RLE": lambda: rows(segmentation),
            "network in eager PyTorch": lambda: same_network.probabilities(same, canvas[None]),
            "the first pipeline, all of it": lambda: first_pipeline.segment(first, picture),
        },
        repeat=5,
    )
    ours = {name: timed[name] for name in ("decode", "network", "post-processing", "RLE")}
    total = sum(ours.values())
    timed = {"all of it": total, **timed}
    table(timed, "ms", 1000)
    print(f"  all but the network: {1 - ours['network'] / total:.0%} of the whole\n")


def whole_folder(pictures: list[Path], folder: Path, cpus: int) -> None:
    print(f"Folder: {len(pictures)} pictures, all processors, csv")
    one = Model.load(threads=1)
    canvas = make_scene(0, one.card.input_size).pixels[None]
    sources = find_sources([str(path) for path in pictures])
    job = Job(one, folder / "folder", ("csv",), overwrite=True)

    def through() -> None:
        assert len(list(run(sources, job, cpus))) == len(pictures)

    def bare() -> None:
        for _ in range(len(pictures) // cpus):
            one(canvas)

    def in_python() -> None:
        assert len(list(segment_many(pictures, one))) == len(pictures)

    timed = take_turns({"nephoscope": through, "bare": bare, "segment_many": in_python})
    rate = len(pictures) / timed["nephoscope"]
    ideal = cpus * (len(pictures) // cpus) / timed["bare"]
    print(f"  nephoscope                              {rate:8.1f} scenes/s")
    print(f"  {cpus} x one bare single-thread session      {ideal:8.1f} scenes/s")
    print(f"  ratio {rate / ideal:.2f}")
    print(f"  segment_many, of the rate of the command  {timed['nephoscope'] / timed['segment_many']:8.2f}\n")


def memory(pictures: list[Path], folder: Path) -> None:
    print("Memory: peak of the whole process")
    command = ["-m", "nephoscope", "segment", "-o", folder / "memory", "--overwrite"]
    large = folder / "large"
    large.mkdir()
    for number in range(24):
        (large / f"{number}.jpg").write_bytes((folder / "one.jpg").read_bytes())
    for what, words in {
        f"{len(pictures) // 4} pictures of 480x320, csv": [
            *pictures[: len(pictures) // 4],
            "--format",
            "csv",
        ],
        f"{len(pictures)} pictures of 480x320, csv": [*pictures, "--format", "csv"],
        "6 pictures of 2100x1400, overlay + json": sorted(large.iterdir())[:6],
        "24 pictures of 2100x1400, overlay + json": [large],
    }.items():
        print(f"  {what:<42}{median(peak(*command, *words) for _ in range(3)):6.0f} MB")
    print()


def run_lengths() -> None:
    print("RLE: 20 masks of 2100x1400, text to mask and back")
    masks = [mask for seed in range(5) for mask in make_scene(seed, LABEL_GRID, DEFAULT_NAMES).masks.values()]
    texts = [encode(mask) for mask in masks]
    packed = [coco.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]

    def from_coco() -> None:
        for code in packed:
            np.ascontiguousarray(coco.decode(code))

    timed = take_turns(
        {
            "decode, nephoscope": lambda: [decode(text, LABEL_GRID) for text in texts],
            "decode, pycocotools (from its own code)": from_coco,
            "encode, nephoscope": lambda: [encode(mask) for mask in masks],
            "encode, pycocotools (to its own code)": lambda: [
                coco.encode(np.asfortranarray(mask, np.uint8)) for mask in masks
            ],
        }
    )
    table({name: seconds / len(masks) for name, seconds in timed.items()}, "ms", 1000)


def take_turns(works: dict[str, Callable[[], object]], repeat: int = 1) -> dict[str, float]:
    """Median seconds of each function, called in turn for some rounds after one warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(ROUNDS + 1):
        for name, work in works.items():
            for _ in range(repeat):
                began = time.perf_counter()
                work()
                if turn:
                    times[name].append(time.perf_counter() - began)
    return {name: median(seconds) for name, seconds in times.items()}


def table(timed: dict[str, float], unit: str, scale: float) -> None:
    """Print times, and their ratios to the first."""
    reference = next(iter(timed.values()))
    for name, seconds in timed.items():
        print(f"  {name:<42}{seconds * scale:8.2f} {unit}   x {seconds / reference:.2f}")
    print()


def process(*words: object) -> None:
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


def peak(*words: object) -> float:
    """Peak memory of a process in megabytes.

    A small process starts it, since a child's peak includes the memory of its parent at the fork.
    """
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, *map(str, words)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


if __name__ == "__main__":
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("none"), Path(scratch))
