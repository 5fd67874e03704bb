"""Pictures of labels, by the names that label files have for them."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from nephoscope.core.errors import LabelError, SceneError
from nephoscope.core.geo import Bounds
from nephoscope.core.io import is_hidden
from nephoscope.datasets.catalogue import Record, read_catalogue
from nephoscope.datasets.dataset import CATALOGUE, ENDINGS, PICTURES
from nephoscope.datasets.exchange.drawing import Picture
from nephoscope.imagery.reading import open_scene

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio's, before the name of an uploaded file


def plain_name(text: object) -> str:
    """The file name at the end of a path or an address.

    Raises:
        LabelError: none, or one that is no file's name.
    """
    name = re.split(r"[\\/]", str(text))[-1].strip() if isinstance(text, str) else ""
    if not name or name.startswith(".") or not name.isprintable() or len(name) > 255:
        raise LabelError(f"an unusable file name: {text!r:.80}")
    return name


def name_in_address(text: object) -> str:
    """The file name at the end of an address, such as Label Studio's `/data/local-files/?d=DIR/NAME`.

    Raises:
        LabelError: none, or one that is no file's name.
    """
    if not isinstance(text, str):
        raise LabelError(f"an unusable file name: {text!r:.80}")
    try:
        address = urlsplit(text)
    except ValueError:
        raise LabelError(f"an unusable file name: {text!r:.80}") from None
    (inner, *_) = parse_qs(address.query).get("d", [""])
    return _UPLOAD.sub("", plain_name(unquote(inner or address.path)))


class Pictures:
    """Pictures in folders: the first that has one counts.

    Args:
        folders: of pictures, or data sets.
        bounds: of all pictures, in place of what names and files say.
    """

    def __init__(self, folders: Iterable[Path], bounds: Bounds | None = None) -> None:
        self._bounds = bounds
        self._records: dict[str, Record] = {}
        self._by_name: dict[str, Path] = {}
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._opened: dict[Path, Picture] = {}
        for folder in folders:
            self._add(folder)
            self._add(folder / PICTURES)
            for parent in (folder, folder.parent if folder.name == PICTURES else folder):
                if (parent / CATALOGUE).is_file():
                    self._records = read_catalogue(parent / CATALOGUE) | self._records

    def _add(self, folder: Path) -> None:
        if not folder.is_dir():
            return
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in ENDINGS and not is_hidden(path):
                if path.name.casefold() not in self._by_name:
                    self._by_stem[path.stem.casefold()].append(path)
                self._by_name.setdefault(path.name.casefold(), path)

    def find(self, name: str, label: Path | None = None) -> Picture:
        """The picture of a file name, with or without its ending.

        Args:
            name: a plain file name.
            label: the label file itself, which is no picture.

        Raises:
            LabelError: none, several, or one that cannot be read.
        """
        exact = self._by_name.get(name.casefold())
        if exact and exact != label:
            return self._open(exact)
        paths: list[Path] = []
        for stem in dict.fromkeys((name.casefold(), Path(name).stem.casefold())):
            paths = paths or [path for path in self._by_stem.get(stem, []) if path != label]
        if not paths:
            raise LabelError(f"a label without a picture: {name}")
        if len(paths) > 1:
            raise LabelError(
                f"several pictures of one name: {name}: {', '.join(path.name for path in paths)}"
            )
        return self._open(paths[0])

    def has(self, path: Path) -> bool:
        """Whether a file is one of the pictures that names lead to."""
        return self._by_name.get(path.name.casefold()) == path

    def _open(self, path: Path) -> Picture:
        if path not in self._opened:
            try:
                scene = open_scene(path)
            except (SceneError, OSError) as error:
                raise LabelError(f"a picture that cannot be read: {error}") from error
            record = self._records.get(path.name) or Record(
                path.name, "", scene.satellite or "", scene.day, scene.bounds
            )
            if self._bounds or record.bounds is None:
                record = replace(record, bounds=self._bounds or scene.bounds)
            self._opened[path] = Picture(path, scene.size, replace(record, split=""))
        return self._opened[path]
