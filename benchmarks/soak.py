"""Make an atlas of many scenes while its workers are killed: `python -m benchmarks.soak [SCENES] [SECONDS]`.

Default: a hundred thousand scenes, and `kill -9` of a worker every 30 seconds. Scenes and model are tiny, and
the archive is a server on this machine, in a process of its own: the run tests everything around them. In the
end every scene must be recorded exactly once; the cost of a kill is scenes that are fetched again.
"""

import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

from nephoscope.atlas.plan import Plan
from nephoscope.atlas.store import open_store
from nephoscope.core.geo import parse_bounds
from nephoscope.inference.model import CARD_KEY, Model
from nephoscope.inference.postprocess import Rule
from nephoscope.testing.worldview_server import WorldviewServer

REGION = "-61,-14,44,42"  # 20 boxes
FIRST = date(2003, 1, 1)
DEGREES = 0.4  # pictures of 52 x 35 px
INPUT, GRID = (28, 42), (35, 52)


def main(scenes: int, pause: float, folder: Path) -> None:
    days = math.ceil(scenes / 40)
    plan = Plan(FIRST, FIRST + timedelta(days=days - 1), ("Terra", "Aqua"), parse_bounds(REGION))
    plan.write(folder / "atlas.json")
    onnx.save(tiny_model(), folder / "tiny.onnx")
    print(f"{len(plan):,} scenes, two workers, one of them killed every {pause:g} s", flush=True)
    with archive() as (address, requests):
        words = ["run", folder / "atlas.json", folder / "atlas", "--model", folder / "tiny.onnx"]
        words += ["--archive", address, "--degrees", DEGREES, "--workers", 2]
        command = [sys.executable, "-m", "nephoscope", "atlas", *map(str, words)]
        began = time.monotonic()
        process = subprocess.Popen(command)
        kills, memory = disturb(process, pause)
        seconds = time.monotonic() - began
        asked = requests()
    report(folder / "atlas", asked, kills, memory, seconds, process.returncode)


def disturb(process: "subprocess.Popen[bytes]", pause: float) -> tuple[int, list[float]]:
    """Kill workers until the run ends; the number of kills, and the run's memory in MB over time."""
    chance, own = random.Random(0), psutil.Process(process.pid)
    kills, memory = 0, []
    following = time.monotonic() + pause
    while process.poll() is None:
        time.sleep(0.5)
        try:
            if workers := [each for each in own.children() if "spawn_main" in " ".join(each.cmdline())]:
                memory.append(own.memory_info().rss / 1e6)
                if time.monotonic() >= following:
                    chance.choice(workers).kill()
                    kills += 1
                    following = time.monotonic() + pause
        except psutil.Error:
            continue  # it ended meanwhile
    return kills, memory


def report(store: Path, asked: int, kills: int, memory: list[float], seconds: float, exit_code: int) -> None:
    first, last = memory[0], memory[-1]
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    manifest = open_store(str(store)).manifest
    numbers: Counter[int] = Counter()
    states: Counter[str] = Counter()
    for _, batch in manifest.read_all():
        numbers.update(record["index"] for record in batch)
        states.update(record["status"] for record in batch)
    rows = {
        "exit code": exit_code,
        "workers killed": kills,
        "records": numbers.total(),
        "distinct scenes": len(numbers),
        "done": states["done"],
        "failed": states["failed"],
        "requests": asked,
        "repeated work": f"{asked - manifest.scenes:,} scenes, {asked / manifest.scenes - 1:.2%}",
        "seconds": f"{seconds:,.0f}, {manifest.scenes / seconds:.1f} scenes/s",
        "store": f"{size / 1e6:,.0f} MB, {size / manifest.scenes:,.0f} bytes a scene",
        "scheduler and client": f"{first:.0f} MB first, {median(memory):.0f} median, {last:.0f} last",
    }
    for name, value in rows.items():
        print(f"  {name:<24}{value:,}" if isinstance(value, int) else f"  {name:<24}{value}")
    if not numbers.total() == len(numbers) == states["done"] == manifest.scenes:
        raise SystemExit("not every scene was recorded exactly once")


@contextmanager
def archive() -> Iterator[tuple[str, Callable[[], int]]]:
    """An archive's address, and a function that counts its requests."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=[there], daemon=True)
    process.start()
    try:
        address = here.recv()

        def requests() -> int:
            here.send("requests")
            return here.recv()

        yield address, requests
    finally:
        process.kill()
        process.join()


def serve(pipe: Connection) -> None:
    with WorldviewServer() as server:
        pipe.send(server.address)
        while pipe.recv():
            pipe.send(server.total)


def tiny_model() -> onnx.ModelProto:
    """A pattern's probability is a colour's brightness: one multiplication a pixel.

    It has rules of both kinds and a calibration, so that the store keeps all that it can keep of a scene.
    """
    card = Model.load().card
    rule = Rule(0.3, top_k=50, presence=0.2, least_cover=5, minimum_area=5)
    rules = dict.fromkeys(card.patterns, rule)
    calibration = {name: replace(each, evidence="top_k", top_k=50) for name, each in card.calibration.items()}
    card = replace(
        card,
        name="tiny",
        input_size=INPUT,
        grid=GRID,
        rules=rules,
        unbiased_rules=rules,
        calibration=calibration,
    )
    weights = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]].reshape(4, 3, 1, 1) / 255
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["pictures"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["numbers"], ["colours"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["colours", "weights"], ["probabilities"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["count", *INPUT, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["count", 4, *INPUT])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    return model


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:3]]
    scenes, pause = given + [100_000, 30][len(given) :]
    with tempfile.TemporaryDirectory() as scratch:
        main(int(scenes), pause, Path(scratch))
