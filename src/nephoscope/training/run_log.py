"""A run's own log, as JSON lines and as CSV: it is the truth, and other trackers follow it."""

import csv
import io
import json
import os
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers.logger import Logger

from nephoscope.core.io import atomic_write

LINES, CSV = "log.jsonl", "log.csv"


class RunLog(Logger):
    """Writes `log.jsonl` and `log.csv` into a run's folder.

    Each line holds `step` (of the optimiser), `seconds` since the run began or went on, and what was
    measured.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._started = time.perf_counter()

    @property
    def name(self) -> str:
        """What Lightning calls it."""
        return "log"

    @property
    def version(self) -> str:
        """One log a run."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The recipe has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a line."""
        seconds = round(time.perf_counter() - self._started, 3)
        line = {"step": step, "seconds": seconds, **metrics}
        with (self.folder / LINES).open("a") as file:
            file.write(json.dumps(line) + "\n")

    @rank_zero_only
    def save(self) -> None:
        """Write the CSV: a column for everything measured in any line."""
        lines = read(self.folder)
        names = list(dict.fromkeys(name for line in lines for name in line))
        text = io.StringIO()
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
        atomic_write(self.folder / CSV, text.getvalue().encode())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the CSV a last time."""
        self.save()

    @property
    def size(self) -> int:
        """Bytes written so far: what a checkpoint notes, for a resumed run to cut the log back to."""
        path = self.folder / LINES
        return path.stat().st_size if path.exists() else 0

    @rank_zero_only
    def cut(self, size: int) -> None:
        """Forget what was written after a checkpoint: it will be done, and logged, again."""
        if self.size > size:
            os.truncate(self.folder / LINES, size)


def read(folder: Path) -> list[dict[str, Any]]:
    """A run's log, line by line; a last line that a kill cut short is left out."""
    lines: list[dict[str, Any]] = []
    if not (folder / LINES).exists():
        return lines
    for text in (folder / LINES).read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
    return lines
