"""The log of a run as JSON lines and as CSV; trackers follow it."""

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
    """Writes `log.jsonl` and `log.csv` into the folder of a run.

    Each line holds `step` (of the optimiser), `seconds` since the run began or resumed, and measured values.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._started = time.perf_counter()

    @property
    def name(self) -> str:
        return "log"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        pass  # the recipe is in `run.json`

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        seconds = round(time.perf_counter() - self._started, 3)
        with (self.folder / LINES).open("a", newline="\n") as file:
            file.write(json.dumps({"step": step, "seconds": seconds, **metrics}) + "\n")

    @rank_zero_only
    def save(self) -> None:
        """Write the CSV, with a column for each value of any line."""
        lines = read(self.folder)
        text = io.StringIO()
        columns = dict.fromkeys(name for line in lines for name in line)
        table = csv.DictWriter(text, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
        atomic_write(self.folder / CSV, text.getvalue().encode())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()

    @property
    def size(self) -> int:
        """Bytes written so far, which a checkpoint stores."""
        path = self.folder / LINES
        return path.stat().st_size if path.exists() else 0

    @rank_zero_only
    def cut(self, size: int) -> None:
        """Remove what was written after a checkpoint: a resumed run logs it again."""
        if self.size > size:
            os.truncate(self.folder / LINES, size)


def read(folder: Path) -> list[dict[str, Any]]:
    """Read the log of a run, without an incomplete last line."""
    path, lines = folder / LINES, []
    for text in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
    return lines
