"""Labelled scenes at the size of training, decoded once into memory-mapped files."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError
from nephoscope.core.folders import cache_folder
from nephoscope.core.io import is_hidden
from nephoscope.core.types import GridShape, Image, ProgressFactory
from nephoscope.datasets.catalogue import Record, read_catalogue
from nephoscope.datasets.dataset import (
    CATALOGUE,
    PICTURES,
    STYLES,
    Dataset,
    PackedMasks,
    label_file,
    read_dataset,
    refuse_problems,
)
from nephoscope.datasets.labels import Problem
from nephoscope.datasets.splits import OWN_SPLIT, Folds, split
from nephoscope.imagery.resize import resize

_VERSION = 3  # of the cache's content; older ones are decoded again
_INDEX, _PIXELS, _MASKS = "scenes.json", "pictures.npy", "masks.npy"


@dataclass(frozen=True, eq=False)
class Scenes:
    """Labelled scenes ready for training.

    Attributes:
        records: of the scenes.
        listed: records of all scenes of the folder, so that a split does not depend on which can be read.
        pictures: red, green, blue; uint8, shape (scenes, height, width, 3), memory-mapped.
        masks: `PackedMasks`, shape (scenes, height, width), memory-mapped.
        patterns: names of the patterns, in the order of the bits of `masks`.
        styles: `colour` and `meaning` of patterns that have their own, by name.
        problems: what was wrong, and left out.
        labels_sha256: hash of the label file.
    """

    records: tuple[Record, ...]
    listed: tuple[Record, ...]
    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    patterns: tuple[str, ...]
    styles: dict[str, dict[str, Any]]
    problems: tuple[Problem, ...]
    labels_sha256: str

    def split(self, folds: Folds = OWN_SPLIT) -> tuple[list[int], list[int]]:
        """Indices of the scenes to train on and to validate on: `splits.split` of all listed scenes.

        Raises:
            DatasetError: see there; or one side has no readable scene.
        """
        position = {record.image: index for index, record in enumerate(self.records)}
        sides = [
            [position[self.listed[index].image] for index in side if self.listed[index].image in position]
            for side in split(self.listed, folds)
        ]
        if not all(sides):
            raise DatasetError("no readable scene is left to train on, or to validate on")
        return sides[0], sides[1]


def open_scenes(
    folder: Path,
    size: GridShape,
    *,
    cache: Path | None = None,
    strict: bool = False,
    log: Callable[[str], None] = lambda _: None,
    progress: ProgressFactory = lambda _: lambda *_: None,
) -> Scenes:
    """Open labelled scenes at a size; decode them if they are not in the cache or have changed.

    Changes are detected by names, sizes and times of the files. Of several processes one decodes.

    Args:
        folder: labelled data in the contest's layout.
        size: height and width.
        cache: folder of decoded scenes. Default: `nephoscope/scenes` in the user's cache.
        strict: refuse data with any problem.
        log: called with messages.
        progress: for each part of the work.

    Raises:
        DatasetError: the folder is not in the layout, the disk is too full, or, with `strict`, any problem.
        OSError: a file cannot be read or written.
    """
    folder_hash = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:10]
    name = f"{folder.resolve().name}-{folder_hash}-{size[0]}x{size[1]}"
    entry = (cache or cache_folder() / "scenes") / name
    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.with_name(f".{name}.lock")):
        key = _key(folder, size)
        scenes = _open(folder, entry, key)
        if scenes is None:
            if entry.exists():
                log(f"{folder} or its cache has changed: decoding it again")
            dataset = read_dataset(folder, progress=progress("reading labels"))
            for note in dataset.labels.notes:
                log(f"{dataset.labels.path}: {note}")
            _decode(dataset, size, entry, key, log, progress)
            scenes = _open(folder, entry, key)
    if scenes is None:
        raise DatasetError(f"{entry}: the decoded scenes cannot be read back")
    if strict:
        refuse_problems(folder, scenes.problems)
    return scenes


def _key(folder: Path, size: GridShape) -> str:
    """A hash of all that the decoded scenes depend on."""
    labels, pictures = label_file(folder), folder / PICTURES
    if not pictures.is_dir():
        raise DatasetError(f"{folder}: no folder {PICTURES}/ with the pictures in it")
    paths = (path for path in (labels, folder / STYLES, *pictures.iterdir()) if path.is_file())
    files = sorted(
        (path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in paths if not is_hidden(path)
    )
    return hashlib.sha256(json.dumps([_VERSION, size, files]).encode()).hexdigest()


def _open(folder: Path, entry: Path, key: str) -> Scenes | None:
    """The content of the cache; None where it is of other files or damaged."""
    known = read_catalogue(folder / CATALOGUE) if (folder / CATALOGUE).is_file() else {}
    try:
        index = json.loads((entry / _INDEX).read_text())
        if index["key"] != key:
            return None
        pictures, masks = (np.load(entry / name, mmap_mode="r") for name in (_PIXELS, _MASKS))
        if not len(pictures) == len(masks) == len(index["images"]):
            return None
        return Scenes(
            records=tuple(known.get(image, Record(image)) for image in index["images"]),
            listed=tuple(known.get(image, Record(image)) for image in index["listed"]),
            pictures=pictures,
            masks=masks,
            patterns=tuple(index["patterns"]),
            styles=index["styles"],
            problems=tuple(Problem(**problem) for problem in index["problems"]),
            labels_sha256=index["labels_sha256"],
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _decode(
    dataset: Dataset,
    size: GridShape,
    entry: Path,
    key: str,
    log: Callable[[str], None],
    progress: ProgressFactory,
) -> None:
    """Decode into a neighbour of the entry, which takes its name once complete."""
    count, (height, width) = len(dataset.records), size
    weight = count * height * width * 4
    shutil.rmtree(entry, ignore_errors=True)
    log(f"decoding {count:,} scenes to {height}x{width}: {weight / 1e6:,.0f} MB in {entry}")
    if weight > (free := shutil.disk_usage(entry.parent).free):
        raise DatasetError(
            f"{entry.parent}: {weight / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB free; "
            "--cache DIR names another folder, --size a smaller size"
        )
    partial = entry.with_name(f".{entry.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        index = _fill(dataset, size, partial, progress)
        (partial / _INDEX).write_text(json.dumps({"key": key, **index}))
        partial.rename(entry)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _fill(dataset: Dataset, size: GridShape, into: Path, progress: ProgressFactory) -> dict[str, Any]:
    """Write pictures and masks of all readable scenes; returns the index."""
    count, problems = len(dataset.records), list(dataset.problems)
    pictures, masks = (
        np.lib.format.open_memmap(into / name, "w+", np.uint8, (count, *size, *channels))
        for name, channels in ((_PIXELS, (3,)), (_MASKS, ()))
    )
    readable = np.zeros(count, np.bool_)

    def work(record: Record) -> tuple[PackedMasks, Image]:
        raster = dataset.scene(record.image).read((2 * size[0], 2 * size[1]))  # as `segment` decodes it
        return dataset.bits(record.image, size), resize(raster.pixels, size)

    for index, (bits, pixels) in dataset.map(work, problems, progress=progress("decoding scenes")):
        masks[index], pictures[index], readable[index] = bits, pixels, True
    if not readable.any():
        raise DatasetError(f"{dataset.folder}: no scene can be read; the first problem: {problems[0]}")
    del pictures, masks  # an open map would keep the files from being replaced on some systems
    if not readable.all():
        for name in (_PIXELS, _MASKS):
            rows = np.load(into / name, mmap_mode="r")[readable]
            np.save(into / name, rows)
    return {
        "images": [record.image for record, kept in zip(dataset.records, readable, strict=True) if kept],
        "listed": [record.image for record in dataset.records],
        "patterns": dataset.patterns,
        "styles": dataset.styles,
        "problems": [asdict(problem) for problem in problems],
        "labels_sha256": hashlib.sha256(dataset.labels.path.read_bytes()).hexdigest(),
    }
