"""What became of every scene: batches of records, each batch one object beside the store's arrays.

An object is written whole, and only when all scenes of its batch have been dealt with and stored. So a batch
without one is simply done again, and nothing is counted twice.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fsspec

from nephoscope.core.io import atomic_write

FOLDER = "pattern_flags/manifest"
"""Inside the array: readers of Zarr look for members of groups, and would stop at each of these objects."""

BATCH = 32
"""Scenes of a batch, consecutive ones; part of the form of a store."""

Record = dict[str, Any]
"""What became of a scene, as a JSON object.

`index`, `satellite`, `date`, `box` (west, south, east, north) and `status`, which is `done` or `failed`. Of
those done also `valid` (share with data), `cover` and `score` (by pattern, see `Segmentation`), `bytes`,
`sha256` and `url` of the picture, `from_cache`, `fetch_seconds` and `segment_seconds`; of those failed
`cause` and `reason`.
"""

_TOLD = {"done": ("valid", "cover", "score"), "failed": ("cause", "reason")}
_READ_AT_ONCE = 256  # objects


class Manifest:
    """The records of one store.

    Attributes:
        scenes: of the plan.
        batches: into how many batches they are dealt.
    """

    def __init__(self, store: str, scenes: int):
        self.scenes = scenes
        self.batches = -(-scenes // BATCH)
        self._is_local = "://" not in store
        options = {} if self._is_local else {"use_listings_cache": False}
        self._files, root = fsspec.core.url_to_fs(store, **options)
        self._folder = f"{root.rstrip('/')}/{FOLDER}"

    def indices(self, batch: int) -> range:
        """The scenes of a batch."""
        return range(batch * BATCH, min((batch + 1) * BATCH, self.scenes))

    def write(self, batch: int, records: list[Record]) -> None:
        """Write a batch's records, in place of earlier ones.

        Raises:
            OSError: they cannot be written; earlier ones are still there.
        """
        content = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
        path = self._path(batch)
        if self._is_local:
            atomic_write(Path(path), content)
        else:
            self._files.pipe_file(path, content)  # an object appears whole or not at all

    def read(self, batch: int) -> list[Record]:
        """A batch's records in the order of its scenes; none unless all of them are there."""
        try:
            content = self._files.cat_file(self._path(batch))
        except FileNotFoundError:
            return []
        return self._parse(batch, content)

    def written(self) -> list[int]:
        """Numbers of the batches that have an object, in order."""
        try:
            paths = [Path(path) for path in self._files.ls(self._folder, detail=False)]
        except FileNotFoundError:
            return []
        found = sorted(int(path.stem) for path in paths if path.suffix == ".jsonl" and path.stem.isdecimal())
        return [batch for batch in found if batch < self.batches]

    def read_all(self) -> Iterator[tuple[int, list[Record]]]:
        """Every batch that is written, in order, with its records; some are held at a time."""
        batches = self.written()
        for first in range(0, len(batches), _READ_AT_ONCE):
            paths = {batch: self._path(batch) for batch in batches[first : first + _READ_AT_ONCE]}
            contents = self._files.cat(list(paths.values()))
            for batch, path in paths.items():
                if records := self._parse(batch, contents[path]):
                    yield batch, records

    def _path(self, batch: int) -> str:
        return f"{self._folder}/{batch:08d}.jsonl"

    def _parse(self, batch: int, content: bytes) -> list[Record]:
        """Records, or none from what is damaged: the batch is then done again."""
        try:
            records: list[Record] = [json.loads(line) for line in content.splitlines()]
            whole = [record["index"] for record in records] == list(self.indices(batch)) and all(
                {"satellite", "date", "box", *_TOLD[record["status"]]} <= record.keys() for record in records
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return []
        return records if whole else []


def failures(records: Iterable[Record]) -> list[Record]:
    """Those that failed."""
    return [record for record in records if record["status"] == "failed"]
