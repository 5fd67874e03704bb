"""The validation scenes as an atlas, against people's labels.

python -m experiments.atlas_of_labels DATA [-o FOLDER]

The labelled pictures are served as NASA Worldview serves them, and planned, fetched, segmented, stored and
compared as an atlas's: a test of the whole way, on the days and boxes of `val`. Prints by region and season
the bias of the mean frequency in percentage points with its 95 % interval over days, for each kind of
frequency, and the correlation of the daily frequencies in cells of 7 degrees. The model's rules and
probabilities were fitted on these scenes. FOLDER gets figures of the Atlantic's calibrated probabilities.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from experiments.seasons import REGIONS
from nephoscope.atlas.climatology import seasons
from nephoscope.atlas.cluster import local_cluster
from nephoscope.atlas.comparison import Pairs, compare, pair
from nephoscope.atlas.comparison import draw as draw_comparison
from nephoscope.atlas.daily import read_two
from nephoscope.atlas.figures import draw
from nephoscope.atlas.frequency import Kind
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare, run
from nephoscope.atlas.store import open_atlas
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import read_summary
from nephoscope.core.io import atomic_write, available_cpus
from nephoscope.datasets.dataset import read_dataset
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.plotting.style import png
from nephoscope.testing.worldview_server import WorldviewServer

KINDS: tuple[Kind, ...] = ("contest", "unbiased", "expected")
CELLS = 7.0  # degrees
FIGURES_OF = "Atlantic"
PIXEL = 21 / 480  # degrees, of the labelled pictures: enlarged and compressed ones would be softer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("-o", type=Path, metavar="FOLDER", dest="figures")
    asked = parser.parse_args()
    measure(asked.data, asked.figures)


def measure(data: Path, figures: Path | None) -> None:
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
            if figures and title == FIGURES_OF:
                draw_figures(store.address, by_kind["expected"], figures)


def draw_figures(address: str, pairs: Pairs, folder: Path) -> None:
    """Two figures of a summary of calibrated probabilities, and one of the atlas beside the labels."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "summary.nc"
        summarise(open_atlas(address), path, 1.0, kind="expected")
        with read_summary(path) as summary:
            drawn = {each.stem: each for each in draw(summary, Path(place)).files}
        for name in ("frequency", "cycle"):
            atomic_write(folder / f"atlas_{name}.png", drawn[name].read_bytes())
    named = pairs._replace(names=("atlas", "labels"))
    atomic_write(folder / "atlas_comparison.png", png(draw_comparison(named, compare(named))))


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
    main()
