"""Agreement of annotators' rectangles with the contest's masks: `python -m experiments.rectangles DATA`.

Every dated scene's rectangles are drawn on 350x525, without and with the pixels that have no data, and
compared with the label. Where a label has area that no rectangle covers, the file lacks rectangles that the
label was made of: those masks are counted, and the rest is also evaluated alone.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from nephoscope.core.geo import Overpass
from nephoscope.core.io import available_cpus, map_in_order
from nephoscope.core.types import SCORE_GRID, Mask
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.datasets.rectangles import FOLDER, masks_of, read_rectangles

UNEXPLAINED = 0.01  # of a label: outlines differ by a pixel here and there


def main(data: Path) -> None:
    rectangles = read_rectangles(data / FOLDER)
    dataset = read_dataset(data)
    dated = [record for record in dataset.records if record.day and record.bounds]

    def one(record: Record) -> np.ndarray:
        drawn = rectangles.get(Overpass(record.satellite, record.day, record.bounds), [])
        valid = valid_on_score_grid(dataset, record)
        return np.array(
            [counts(dataset, record, masks_of(drawn, SCORE_GRID, mask)) for mask in (valid, None)]
        )

    # (scenes, without or with no data, patterns, pixels of rectangles, label, both)
    pixels = np.stack(list(map_in_order(one, dated, available_cpus())))
    known = sum(Overpass(record.satellite, record.day, record.bounds) in rectangles for record in dated)
    print(
        f"{len(dated)} dated scenes, {known} of them in {FOLDER}/boxes.csv.xz, "
        f"{len(dated) * len(dataset.patterns)} masks\n"
    )
    for which, heading in enumerate(("without the pixels that have no data", "with them")):
        for line in lines(heading, pixels[:, which], dataset.patterns):
            print(line)
        print()


def valid_on_score_grid(dataset: Dataset, record: Record) -> Mask:
    valid = dataset.scene(record.image).read().valid_mask.view(np.uint8)
    return cv2.resize(valid, SCORE_GRID[::-1], interpolation=cv2.INTER_NEAREST).view(bool)


def counts(dataset: Dataset, record: Record, masks: np.ndarray) -> list[list[int]]:
    rows = []
    for name, mask in zip(dataset.patterns, masks, strict=True):
        label = dataset.labels.mask(record.image, name, SCORE_GRID)
        rows.append([np.count_nonzero(each) for each in (mask, label, mask & label)])
    return rows


def lines(heading: str, pixels: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    drawn, label, both = np.moveaxis(pixels, -1, 0).astype(float)
    total, union = drawn + label, drawn + label - both
    dice = np.where(total > 0, 2 * both / np.maximum(total, 1), 1)
    iou = np.where(union > 0, both / np.maximum(union, 1), 1)
    lacking = label - both > UNEXPLAINED * label
    spare = (drawn - both > UNEXPLAINED * drawn) & ~lacking
    yield heading
    for what, chosen in (
        ("all masks", np.ones_like(lacking)),
        ("of them with a label", label > 0),
        ("without those the file lacks rectangles of", ~lacking),
        ("... with a label", ~lacking & (label > 0)),
    ):
        yield (
            f"  {what:<44}{chosen.sum():>7,}  mean Dice {dice[chosen].mean():.4f}  mean IoU "
            f"{iou[chosen].mean():.4f}  Dice >= 0.99: {(dice[chosen] >= 0.99).mean():.1%}"
        )
    shares = [f"{name} {value:.3f}" for name, value in zip(names, dice.mean(axis=0), strict=True)]
    yield f"  mean Dice by pattern: {', '.join(shares)}"
    hidden = (label - both)[lacking].sum() / label.sum()
    yield (
        f"  label reaches past all rectangles in {lacking.sum():,} masks ({lacking.mean():.1%}; "
        f"{(lacking & (drawn == 0)).sum():,} without any rectangle), by {hidden:.1%} of all labelled area"
    )
    yield (
        f"  rectangles reach past the label in {spare.sum():,} others ({spare.mean():.1%}; "
        f"{(spare & (label == 0)).sum():,} with an empty label)"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
