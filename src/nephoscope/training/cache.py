"""Labelled scenes decoded once, at the size that training sees them, and mapped into memory ever after."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError
from nephoscope.core.types import GridShape, Image, ProgressFactory
from nephoscope.datasets.catalogue import Record, read_catalogue, split
from nephoscope.datasets.dataset import (
    CATALOGUE,
    PICTURES,
    Dataset,
    PackedMasks,
    label_file,
    read_dataset,
    refuse_problems,
)
from nephoscope.datasets.labels import Problem
from nephoscope.imagery.resize import resize

_VERSION = 2  # of what lies in the cache; a change makes older ones stale
_INDEX, _PIXELS, _MASKS = "scenes.json", "pictures.npy", "masks.npy"


@dataclass(frozen=True, eq=False)
class Scenes:
    """Labelled scenes ready for training.

    Attributes:
        records: what is known of each.
        listed: the same, with scenes that could not be decoded: what a split is made of, so that it does not
            depend on what can be read.
        pictures: red, green, blue; uint8, shape (scenes, height, width, 3), mapped from a file.
        masks: one bit a pattern (see `dataset.Bits`); uint8, shape (scenes, height, width), mapped likewise.
        problems: what was wrong, and left out.
        labels_sha256: of the label file, to be named in a model's card.
    """

    records: tuple[Record, ...]
    listed: tuple[Record, ...]
    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    problems: tuple[Problem, ...]
    labels_sha256: str

    def split(self, folds: int | None, fold: int) -> tuple[list[int], list[int]]:
        """As `catalogue.split` of all listed scenes: indices of those to train on and to validate on.

        Raises:
            DatasetError: see there; or no scene of one side can be read.
        """
        place = {record.image: index for index, record in enumerate(self.records)}
        sides = [
            [place[self.listed[index].image] for index in side if self.listed[index].image in place]
            for side in split(self.listed, folds, fold)
        ]
        if not all(sides):
            raise DatasetError("no scene that can be read is left to train on, or to validate on")
        return sides[0], sides[1]


def default_cache() -> Path:
    """Where decoded scenes are kept unless another place is named."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nephoscope" / "scenes"


def open_scenes(
    folder: Path,
    size: GridShape,
    *,
    cache: Path | None = None,
    strict: bool = False,
    say: Callable[[str], None] = lambda _: None,
    watch: ProgressFactory = lambda _: lambda *_: None,
) -> Scenes:
    """Labelled scenes at a size, decoded now if they have not been yet or have changed since.

    What has changed is told by the names, sizes and times of the files: nothing is read for it. Of several
    processes that ask at the same time, one decodes and the others wait.

    Args:
        folder: labelled data in the contest's layout.
        size: height and width.
        cache: where to keep the decoded scenes.
        strict: refuse data with any problem.
        say: told what takes long, with its size on disk.
        watch: gives progress for each part of the work.

    Raises:
        DatasetError: the folder is not in the layout, there is not enough room, or, with `strict`, any
            problem.
        OSError: a file cannot be read or written.
    """
    place = (cache or default_cache()) / _name(folder, size)
    with _alone(place):
        key = _key(folder, size)
        scenes = _open(folder, place, key)
        if scenes is None:
            if place.exists():
                say(f"{folder} or its cache has changed: decoding it again")
            _decode(folder, size, place, key, say, watch)
            scenes = _open(folder, place, key)
    if scenes is None:
        raise DatasetError(f"{place}: the decoded scenes cannot be read back")
    if strict:
        refuse_problems(folder, scenes.problems)
    return scenes


def _name(folder: Path, size: GridShape) -> str:
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:10]
    return f"{folder.resolve().name}-{place}-{size[0]}x{size[1]}"


def _key(folder: Path, size: GridShape) -> str:
    """A hash of all that the decoded scenes depend on."""
    labels = label_file(folder)
    if not (folder / PICTURES).is_dir():
        raise DatasetError(f"{folder}: no folder {PICTURES}/ with the pictures in it")
    with os.scandir(folder / PICTURES) as entries:
        files = sorted(
            (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in entries
            if entry.is_file()
        )
    stat = labels.stat()
    facts = [_VERSION, size, labels.name, stat.st_size, stat.st_mtime_ns, files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f".{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open(folder: Path, place: Path, key: str) -> Scenes | None:
    """What lies in the cache, or nothing where that is of other files or damaged."""
    try:
        index = json.loads((place / _INDEX).read_text())
        if index["key"] != key:
            return None
        pictures, masks = (np.load(place / name, mmap_mode="r") for name in (_PIXELS, _MASKS))
        if not len(pictures) == len(masks) == len(index["images"]):
            return None
        problems = tuple(Problem(**problem) for problem in index["problems"])
        names, listed, labels = index["images"], index["listed"], index["labels_sha256"]
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    known = read_catalogue(folder / CATALOGUE) if (folder / CATALOGUE).is_file() else {}
    records, everything = (
        tuple(known.get(image, Record(image)) for image in each) for each in (names, listed)
    )
    return Scenes(records, everything, pictures, masks, problems, labels)


def _decode(
    folder: Path, size: GridShape, place: Path, key: str, say: Callable[[str], None], watch: ProgressFactory
) -> None:
    """Decode into a neighbour of the place, which takes its name once whole."""
    dataset = read_dataset(folder, progress=watch("reading labels"))
    count, (height, width) = len(dataset.records), size
    weight = count * height * width * 4
    shutil.rmtree(place, ignore_errors=True)
    say(f"decoding {count:,} scenes to {height}x{width}: {weight / 1e6:,.0f} MB in {place}")
    if weight > (free := shutil.disk_usage(place.parent).free):
        raise DatasetError(
            f"{place.parent}: {weight / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB free; "
            "--cache DIR names another place, --size a smaller size"
        )
    half_made = place.with_name(f".{place.name}.part")
    shutil.rmtree(half_made, ignore_errors=True)
    half_made.mkdir()
    try:
        index = _fill(dataset, size, half_made, watch)
        (half_made / _INDEX).write_text(json.dumps({"key": key, **index}))
        half_made.rename(place)
    except BaseException:
        shutil.rmtree(half_made, ignore_errors=True)
        raise


def _fill(dataset: Dataset, size: GridShape, into: Path, watch: ProgressFactory) -> dict[str, Any]:
    """Write pictures and masks of all scenes that are sound; what the index says of them."""
    count, problems = len(dataset.records), list(dataset.problems)
    pictures = _new(into / _PIXELS, (count, *size, 3))
    masks = _new(into / _MASKS, (count, *size))
    sound = np.zeros(count, np.bool_)

    def work(record: Record) -> tuple[PackedMasks, Image]:
        raster = dataset.scene(record.image).read((2 * size[0], 2 * size[1]))  # as `segment` decodes it
        return dataset.bits(record.image, size), resize(raster.pixels, size)

    for index, (bits, pixels) in dataset.map(work, problems, progress=watch("decoding scenes")):
        masks[index], pictures[index], sound[index] = bits, pixels, True
    kept = np.flatnonzero(sound)
    if not len(kept):
        raise DatasetError(f"{dataset.folder}: no scene is sound; the first problem: {problems[0]}")
    if len(kept) < count:  # close the gaps that unsound scenes left
        for array, name in ((pictures, _PIXELS), (masks, _MASKS)):
            whole = array[kept]
            del array
            np.save(into / name, whole)
    else:
        pictures.flush()
        masks.flush()
    return {
        "images": [dataset.records[index].image for index in kept],
        "listed": [record.image for record in dataset.records],
        "problems": [asdict(problem) for problem in problems],
        "labels_sha256": hashlib.sha256(dataset.labels.path.read_bytes()).hexdigest(),
    }


def _new(path: Path, shape: tuple[int, ...]) -> "np.memmap[Any, np.dtype[np.uint8]]":
    return np.lib.format.open_memmap(path, "w+", np.uint8, shape)
