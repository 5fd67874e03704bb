"""Locust clients for `benchmarks.server`, with their options in the environment.

PICTURES: folder of JPEGs, sent one after another. RATE: requests per second of all clients together; 0 for as
many as the server takes. ARRIVALS: `steady`, or `random` for exponential intervals. COUNT: requests in all;
0 for no limit. TIMES: file for the status and milliseconds of each response, as JSON.
"""

import json
import os
import random
import time
from itertools import count, cycle
from pathlib import Path

import gevent
from locust import FastHttpUser, events, task
from locust.env import Environment
from locust.runners import Runner

PICTURES = cycle([path.read_bytes() for path in sorted(Path(os.environ["PICTURES"]).glob("*.jpg"))])
NUMBERS = count()
RATE = float(os.environ["RATE"])
COUNT = int(os.environ["COUNT"])

answers: list[tuple[int, float]] = []
sent = 0
runner: Runner


class Visitor(FastHttpUser):
    connection_timeout = network_timeout = 120.0

    def on_start(self) -> None:
        # Clients start evenly spread, not all at once.
        self.due = time.monotonic() + (next(NUMBERS) / RATE if RATE else 0)
        gevent.sleep(max(0.0, self.due - time.monotonic()))

    def wait_time(self) -> float:
        """Seconds until this client's next request is due, independent of the last response."""
        if not RATE:
            return 0.0
        pause = self.environment.parsed_options.num_users / RATE
        self.due += random.expovariate(1 / pause) if os.environ["ARRIVALS"] == "random" else pause
        return max(0.0, self.due - time.monotonic())

    @task
    def segment(self) -> None:
        global sent
        if COUNT and sent >= COUNT:
            gevent.sleep(1)
            return
        sent += 1
        headers = {"Content-Type": "image/jpeg", "Accept": "application/json"}
        answer = self.client.post("/api/v1/segment?name=scene.jpg", data=next(PICTURES), headers=headers)
        if answer.status_code == 429:
            gevent.sleep(float(answer.headers["Retry-After"]))


@events.init.add_listener
def begin(environment: Environment, **_: object) -> None:
    global runner
    runner = environment.runner


@events.request.add_listener
def note(response_time: float, response: object, **_: object) -> None:
    answers.append((getattr(response, "status_code", 0), response_time))
    if len(answers) == COUNT:
        # Not by the client itself, which would be stopped while it stops the others.
        gevent.spawn(runner.quit)


@events.quitting.add_listener
def write(**_: object) -> None:
    Path(os.environ["TIMES"]).write_text(json.dumps(answers))
