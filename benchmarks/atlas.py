"""An atlas against bare ONNX Runtime: `python -m benchmarks.atlas DATA`.

The same real scenes on two cores, in turns, in one run: a local cluster of two workers, which fetches,
segments, stores and records; and two plain processes that decode, resize, run the network and apply
thresholds. Pictures are cached, so that no archive's speed is measured. Both are warm: the time of a run
without work is subtracted. Overhead is a scene's time on a worker's core besides decoding and segmentation.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean, median

import cv2
import numpy as np
import onnxruntime as ort

from nephoscope.atlas.cluster import local_cluster
from nephoscope.atlas.manifest import read_status
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare, run
from nephoscope.core.geo import parse_bounds
from nephoscope.datasets.catalogue import COLUMNS
from nephoscope.imagery.synthetic import sample
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.inference.model import CARD_KEY
from nephoscope.inference.model_files import model_file
from nephoscope.testing.worldview_server import WorldviewServer

ROUNDS = 3
SCENES = 128
WORKERS = 2


def main(data: Path, folder: Path) -> None:
    first = date(2010, 1, 1)
    plan = Plan(first, first + timedelta(days=SCENES - 1), ("Aqua",), parse_bounds("barbados"))
    with WorldviewServer(pictures=served(data, plan, folder / "pictures")) as server:
        archive = WorldviewClient(server.address, None, cache=folder / "cache")
        for scene in plan:
            archive.picture(scene.overpass)
    files = sorted((folder / "cache").glob("*/*.jpeg"))
    print(
        f"{len(files)} pictures of 2100x1400, {WORKERS} cores; medians of {ROUNDS} rounds in turns",
        flush=True,
    )
    ours, bare, work = [], [], []
    with local_cluster(WORKERS) as client, Processes(bare_loop, files) as peer:
        for turn in range(ROUNDS + 1):
            store, model = prepare(str(folder / f"atlas-{turn}"), plan, "default")
            everything = list(range(store.manifest.batches))
            nothing = timed(lambda: list(run(store, model, [], archive, client)))  # noqa: B023
            something = timed(lambda: list(run(store, model, everything, archive, client)))  # noqa: B023
            plain = timed(peer.run)
            assert read_status(store.manifest).done == SCENES
            if turn:  # the first warms up
                ours.append(WORKERS * (something - nothing) / SCENES)
                bare.append(WORKERS * plain / SCENES)
                records = (record for _, batch in store.manifest.read_all() for record in batch)
                work.append(mean(record["segment_seconds"] for record in records))
    for name, times in (("nephoscope atlas run", ours), ("bare ONNX Runtime", bare)):
        seconds = median(times)
        print(f"  {name:<28}{WORKERS / seconds:6.1f} scenes/s{1000 * seconds:9.1f} ms of a core")
    overhead = median(whole - part for whole, part in zip(ours, work, strict=True))
    print(f"  ratio                       {median(bare) / median(ours):6.2f}")
    print(f"  overhead                    {1000 * overhead:6.1f} ms a scene")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def served(data: Path, plan: Plan, folder: Path) -> Path:
    """A folder in the contest's layout with a picture for every scene of a plan."""
    contents = [path.read_bytes() for path in sorted((data / "full_size").glob("*.jp*g"))]
    if not contents:
        print(f"no pictures in {data}/full_size: using a synthetic one")
        contents = [sample()]
    (folder / "train_images").mkdir(parents=True)
    rows = [",".join(COLUMNS)]
    for scene in plan:
        satellite, day, box = scene.overpass
        name = f"{scene.number}.jpg"
        (folder / "train_images" / name).write_bytes(contents[scene.number % len(contents)])
        rows.append(",".join(map(str, (name, "train", satellite, day, *box))))
    (folder / "scenes.csv").write_text("\n".join(rows) + "\n")
    return folder


class Processes:
    """Plain, warm processes that share the files."""

    def __init__(self, loop: Callable[[Connection, list[Path]], None], files: list[Path]):
        context = get_context("spawn")
        self._pipes, self._processes = [], []
        for number in range(WORKERS):
            here, there = context.Pipe()
            process = context.Process(target=loop, args=[there, files[number::WORKERS]], daemon=True)
            process.start()
            self._pipes.append(here)
            self._processes.append(process)

    def run(self) -> None:
        for pipe in self._pipes:
            pipe.send("go")
        for pipe in self._pipes:
            pipe.recv()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()


def bare_loop(pipe: Connection, files: list[Path]) -> None:
    cv2.setNumThreads(1)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model_file("default"), options, providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map[CARD_KEY])
    (height, width), grid = card["input_size"], tuple(card["grid"][::-1])
    thresholds = [card["rules"][name]["threshold"] for name in card["patterns"]]
    while pipe.recv():
        for path in files:
            pixels = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            picture = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)[None]
            [probabilities] = session.run(["probabilities"], {"pictures": picture})
            for field, least in zip(probabilities[0], thresholds, strict=True):
                np.greater(cv2.resize(field, grid), least)
        pipe.send("done")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("none"), Path(scratch))
