"""Throughput and latency of the server compared with the bare network: `python -m benchmarks.server DATA`.

Locust sends the requests over the loopback interface of the same machine and shares its cores. The baseline
is one ONNX Runtime session with one thread per core on decoded pictures; both run in turns.
`python -m benchmarks.server DATA COUNT [MODEL]` sends COUNT requests from more clients than the queue holds,
and prints the memory.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from playwright.sync_api import sync_playwright

from benchmarks.bench import scenes, take_turns
from nephoscope.core.io import available_cpus
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.server.responses import render_npz
from nephoscope.site.page import page_files

ROUNDS = 5
SECONDS = 10  # of each throughput round
LONG = 45  # s of each latency run
LOAD = 0.8
CPUS = available_cpus()


def main(data: Path, folder: Path) -> None:
    pictures = linked(data, folder)
    model = Model.load(threads=1)
    batches(model)
    sizes(pictures, model)
    with server() as (address, _):
        first_paint(address)
        print(f"Throughput: {CPUS} cores, medians of {ROUNDS} rounds of {SECONDS} s in turns", flush=True)
        visit(address, pictures, folder, seconds=5, visitors=4)
        rounds = [
            (visit(address, pictures, folder, seconds=SECONDS, visitors=2 * CPUS), bare(model))
            for _ in range(ROUNDS)
        ]
        ours = median(rate(answers) for answers, _ in rounds)
        peer = median(bare_rate for _, bare_rate in rounds)
        print(f"  server, JSON                 {ours:8.2f} pictures/s")
        print(f"  bare network                 {peer:8.2f} pictures/s")
        print(f"  ratio, median of rounds      {median(rate(a) / b for a, b in rounds):8.2f}\n")
        for arrivals in ("steady", "random"):
            latency(visit(address, pictures, folder, LONG, 64, LOAD * ours, arrivals), arrivals)


def linked(data: Path, folder: Path) -> Path:
    """A folder with the pictures that clients send."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for path in scenes(data, folder, 64):
        (pictures / path.name).symlink_to(path.resolve())
    return pictures


def batches(model: Model) -> None:
    """Time of one run of the network with several pictures, to decide on batching across requests."""
    print("One run of the network with several pictures, one thread, ms a picture")
    picture = make_scene(0, model.card.input_size).pixels[None]
    stacks = {count: picture.repeat(count, 0) for count in (1, 2, 4, 8)}
    timed = take_turns({str(count): partial(model, stack) for count, stack in stacks.items()})
    for count, seconds in timed.items():
        print(f"  {count} together {1000 * seconds / int(count):25.1f}")
    print()


def sizes(pictures: Path, model: Model) -> None:
    """Sizes of the response that the page gets per picture, and of the page."""
    segmentation = segment(next(pictures.iterdir()), model)
    for name, steps in (("as they are", None), ("in steps of 1/200", 200)):
        print(f"Probabilities of a picture, {name}: {len(render_npz(segmentation, steps)) / 1e6:.2f} MB")
    page = [content for name, content in page_files() if not name.startswith("browser/")]
    packed = sum(len(gzip.compress(content, 9)) for content in page)
    print(f"The page: {sum(map(len, page)) / 1000:.0f} kB, {packed / 1000:.0f} kB packed\n")


def first_paint(address: str) -> None:
    """First contentful paint without a cache."""
    browser = shutil.which("chromium")
    if browser is None:
        print("no Chromium: first paint is not measured\n")
        return
    times = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(ROUNDS):
            page = chromium.new_page()
            page.goto(address)
            page.locator("#legend img").first.wait_for()
            times.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            page.close()
        chromium.close()
    print(f"First paint, median and slowest of {ROUNDS}: {median(times):.0f}, {max(times):.0f} ms\n")


def bare(model: Model) -> float:
    """Pictures per second of the network alone, one Python thread per core."""
    picture = make_scene(0, model.card.input_size).pixels[None]
    end = time.monotonic() + SECONDS

    def loop(_: int) -> int:
        count = 0
        while time.monotonic() < end:
            model(picture)
            count += 1
        return count

    began = time.monotonic()
    with ThreadPoolExecutor(CPUS) as pool:
        count = sum(pool.map(loop, range(CPUS)))
    return count / (time.monotonic() - began)


def rate(answers: "Answers") -> float:
    return answers.statuses[200] / answers.seconds


class Answers:
    """Responses to a run of clients.

    Attributes:
        statuses: count of each HTTP status; 0 for no response.
        milliseconds: response times of those with status 200, in order.
        seconds: duration of the run.
    """

    def __init__(self, responses: list[tuple[int, float]], seconds: float) -> None:
        self.statuses = Counter(status for status, _ in responses)
        self.milliseconds = [time for status, time in responses if status == 200]
        self.seconds = seconds


def visit(
    address: str,
    pictures: Path,
    folder: Path,
    seconds: float = 0,
    visitors: int = 4,
    at_rate: float = 0,
    arrivals: str = "steady",
    count: int = 0,
) -> Answers:
    """Run clients for some seconds, or for a number of requests."""
    times = folder / "times.json"
    wishes = {"PICTURES": pictures, "RATE": at_rate, "ARRIVALS": arrivals, "COUNT": count, "TIMES": times}
    command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("load.py")), "--headless"]
    command += ["--host", address, "--users", str(visitors), "--spawn-rate", "100", "--loglevel", "ERROR"]
    command += ["--stop-timeout", "30", "--only-summary", "--exit-code-on-error", "0"]
    command += ["--run-time", f"{seconds:g}s"] if seconds else []
    environment = os.environ | {name: str(value) for name, value in wishes.items()}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return Answers([(status, time) for status, time in json.loads(times.read_text())], seconds)


def latency(answers: Answers, arrivals: str) -> None:
    middle, late = np.percentile(answers.milliseconds, (50, 99))
    print(f"At {LOAD:.0%} load, {arrivals} arrivals, {LONG} s: {dict(answers.statuses)}")
    print(f"  median {middle:.0f} ms, p99 {late:.0f} ms: {late / middle:.2f} times\n", flush=True)


@contextmanager
def server(*words: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server in a process of its own; yields its address and the process."""
    command = [sys.executable, "-m", "nephoscope", "serve", "--port", "0", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        yield process.stderr.readline().split()[-1].rstrip("/"), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def endure(data: Path, folder: Path, count: int, model: str) -> None:
    """Send many requests, more at once than the queue holds, and print the memory."""
    pictures = linked(data, folder)
    with server("--model", model) as (address, process):
        for part in range(10):
            answers = visit(address, pictures, folder, visitors=40, count=count // 10)
            total = sum(answers.statuses.values())
            memory = process.memory_info().rss / 2**20
            print(
                f"  {(part + 1) * count // 10:6,} requests: {memory:6.0f} MB, {dict(answers.statuses)}",
                flush=True,
            )
            assert total == count // 10, f"{total} answers to {count // 10} requests"


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("../shared/clouds")
    with tempfile.TemporaryDirectory() as scratch:
        if len(sys.argv) > 2:
            endure(chosen, Path(scratch), int(sys.argv[2]), (*sys.argv, "default")[3])
        else:
            main(chosen, Path(scratch))
