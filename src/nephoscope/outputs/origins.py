"""What the outputs in a folder were made from: `.nephoscope.jsonl`, one line for each picture that was done.

Outputs are named after their picture, and existing ones are kept. Without a record, a picture would count as
done where another one of its name was. Lines are only ever added, so several runs may share a folder.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from nephoscope.core.errors import NephoscopeError, OutputConflictError
from nephoscope.core.io import unique_name
from nephoscope.imagery.sources import Source, stem_of

INDEX = ".nephoscope.jsonl"
MEANWHILE = "another run has just written outputs of this name into the folder; run the command again"


@dataclass(frozen=True)
class Origin:
    """What outputs of one name were made from, and by which model.

    Attributes:
        identity: of the picture; see `Source.identity`.
        file: path, bytes and time of change of a file, which spare hashing it; empty for other pictures.
        outputs: names of the files.
        stale: names of files of this name that an overwritten picture may have left.
    """

    identity: str
    file: tuple[Any, ...]
    model: str
    outputs: frozenset[str]
    stale: frozenset[str] = frozenset()


class Origins:
    """The record of one folder. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._origins: dict[str, Origin] = {}
        self._bytes_read = 0

    def find(self, name: str) -> Origin | None:
        """The origin of the outputs of a picture of this name; None where it is unknown, or they are gone."""
        with self._lock:
            self._read()
            origin = self._origins.get(stem_of(name))
        if origin and any((self._folder / output).exists() for output in origin.outputs):
            return origin
        return None

    def named(self, source: Source, taken: set[str], overwrite: bool = False) -> Source:
        """The source, by `-2`, `-3` and so on under a name whose outputs are not those of another picture.

        Args:
            source: a picture.
            taken: stems of the names in this run, to which that of the source is added.
            overwrite: outputs of another picture may be replaced, where the source has none of its own.
        """

        def of_another(name: str) -> bool:
            if stem_of(name) in taken:
                return True
            origin = self.find(name)
            return origin is not None and not is_of(origin, source)

        plain = source.file_name or source.name
        name = unique_name(plain, of_another)
        if overwrite and self.find(name) is None:
            name = unique_name(plain, lambda name: stem_of(name) in taken)
        taken.add(stem_of(name))
        return replace(source, name=name)

    def add(self, source: Source, model: str, outputs: list[Path], overwrite: bool = False) -> None:
        """Record what outputs are made from, before they are written.

        Raises:
            OutputConflictError: another run has just written outputs of this name, and `overwrite` is off.
            OSError: the record cannot be written.
        """
        origin = self.find(source.name)
        if origin and not overwrite and not is_of(origin, source):
            raise OutputConflictError(MEANWHILE)
        entry = {
            "name": source.name,
            "identity": source.identity(),
            "file": _file(source),
            "model": model,
            "outputs": [path.name for path in outputs],
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
        with (self._folder / INDEX).open("ab+", buffering=0) as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a run was stopped in this line: it must not swallow the next one
                    line = b"\n" + line
            file.write(line)  # one write, at the end wherever that is

    def _read(self) -> None:
        """Read the lines that were added since the last call; damaged ones are skipped."""
        try:
            with (self._folder / INDEX).open("rb") as file:
                file.seek(self._bytes_read)
                added = file.read()
        except FileNotFoundError:
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._bytes_read += len(whole)
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                stem, outputs = stem_of(entry["name"]), frozenset(map(str, entry["outputs"]))
                origin = Origin(str(entry["identity"]), tuple(entry["file"]), str(entry["model"]), outputs)
            except (ValueError, LookupError, TypeError, RecursionError):
                continue
            if before := self._origins.get(stem):
                same = before.identity == origin.identity
                stale = before.stale if same else before.stale | before.outputs
                kept = outputs | before.outputs if same else outputs
                origin = replace(origin, outputs=kept, stale=stale - outputs)
            self._origins[stem] = origin


def is_of(origin: Origin, source: Source) -> bool:
    """Whether outputs were made from this picture."""
    try:
        unchanged = source.path is not None and origin.file == tuple(_file(source))
        return unchanged or origin.identity == source.identity()
    except (OSError, NephoscopeError):
        return True  # it cannot be read, which is told where it is opened


def _file(source: Source) -> list[Any]:
    if source.path is None:
        return []
    stat = source.path.stat()
    return [str(source.path), stat.st_size, stat.st_mtime_ns]
