"""The validation scenes as an atlas, against people's labels: `python -m experiments.atlas_of_labels DATA`.

The labelled pictures are served as NASA Worldview serves them, and planned, fetched, segmented, stored and
compared as an atlas's: a test of the whole way, on the days and boxes of `val`. Prints by region and season
the bias of the mean frequency in percentage points with its 95 % interval over days, for each kind of
frequency, and the correlation of the daily frequencies in cells of 7 degrees. The model's rules and
probabilities were fitted on these scenes.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from experiments.seasons import REGIONS
from nephoscope.atlas.climatology import seasons
from nephoscope.atlas.cluster import local_cluster
from nephoscope.atlas.comparison import Pairs, compare, pair
from nephoscope.atlas.daily import read_two
from nephoscope.atlas.frequency import Kind
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare, run
from nephoscope.core.io import available_cpus
from nephoscope.datasets.dataset import read_dataset
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.testing.worldview_server import WorldviewServer

KINDS: tuple[Kind, ...] = ("contest", "unbiased", "expected")
CELLS = 7.0  # degrees
PIXEL = 21 / 480  # degrees, of the labelled pictures: enlarged and compressed ones would be softer


def main(data: Path) -> None:
    records = [record for record in read_dataset(data).records if record.split == "val" and record.day]
    head = "".join(f"{kind:>28}" for kind in KINDS)
    print(f"{'atlas less labels':<24}{'days':>5}  {'pattern':<8}{head}")
    with (
        tempfile.TemporaryDirectory() as folder,
        WorldviewServer(pictures=data) as server,
        local_cluster(available_cpus()) as client,
    ):
        archive = WorldviewClient(server.address, None, degrees=PIXEL, format="png")
        for name, title in REGIONS.items():
            own = [record for record in records if record.region == name]
            bounds = own[0].bounds
            assert bounds is not None
            days = sorted(record.day for record in own if record.day)
            plan = Plan(days[0], days[-1], ("Terra", "Aqua"), bounds)
            store, model = prepare(f"{folder}/{title}", plan, "default")
            list(run(store, model, list(range(store.manifest.batches)), archive, client))
            by_kind = {kind: pair(*read_two(store.address, str(data), CELLS, kind)) for kind in KINDS}
            print_region(title, by_kind)


def print_region(title: str, by_kind: dict[Kind, Pairs]) -> None:
    for season, chosen in seasons(by_kind["contest"].days).items():
        compared = {kind: compare(selected(pairs, chosen)) for kind, pairs in by_kind.items()}
        for index, pattern in enumerate(by_kind["expected"].classes):
            head = f"{f'{title}, {season}':<24}{len(chosen):>5}" if index == 0 else " " * 29
            values = [compared[kind][index].values for kind in KINDS]
            print(f"{head}  {pattern:<8}{''.join(numbers(**each) for each in values)}")


def selected(pairs: Pairs, chosen: np.ndarray) -> Pairs:
    return pairs._replace(days=pairs.days[chosen], first=pairs.first[chosen], second=pairs.second[chosen])


def numbers(bias: tuple[float, ...], correlation: tuple[float, ...], **_: object) -> str:
    mean, low, high = (100 * each for each in bias)
    return f"{f'{mean:+.1f} ({low:+.1f} to {high:+.1f})':>22}{correlation[0]:>6.2f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
