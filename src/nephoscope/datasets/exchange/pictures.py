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
from nephoscope.datasets.collection import canonical
from nephoscope.datasets.dataset import CATALOGUE, ENDINGS, PICTURES
from nephoscope.datasets.exchange.drawing import Picture
from nephoscope.imagery.reading import open_scene

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio's, before the name of an uploaded file


def last_part(text: str) -> str:
    """What follows the last `/` or `\\` of a path or an address."""
    return re.split(r"[\\/]", text)[-1].strip()


def plain_name(text: object) -> str:
    """The file name at the end of a path or an address.

    Raises:
        LabelError: none, or one that is no file's name.
    """
    name = last_part(text) if isinstance(text, str) else ""
    if not name or name.startswith(".") or not name.isprintable() or len(name) > 255:
        raise LabelError(f"an unusable file name: {text!r:.80}")
    return name


def names_in_address(text: object) -> list[str]:
    """File names that an address may end in, such as Label Studio's `/data/local-files/?d=DIR/NAME`.

    The text as it is comes first, then what it stands for as an address, then that without the prefix that
    Label Studio gives to uploads.

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
    as_address = plain_name(unquote(inner or address.path))
    names = (last_part(text), as_address, _UPLOAD.sub("", as_address))
    return [name for name in dict.fromkeys(names) if name]


def _key(name: str) -> str:
    """The same text for names that differ in capital letters or in their Unicode form alone."""
    return canonical(name).casefold()


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
                if _key(path.name) not in self._by_name:
                    self._by_stem[_key(path.stem)].append(path)
                self._by_name.setdefault(_key(path.name), path)

    def find(self, name: str, label: Path | None = None) -> Picture:
        """The picture of a file name, with or without its ending.

        Args:
            name: a plain file name.
            label: the label file itself, which is no picture.

        Raises:
            LabelError: none, several, or one that cannot be read.
        """
        exact = self._by_name.get(_key(name))
        if exact and exact != label:
            return self._open(exact)
        paths: list[Path] = []
        for stem in dict.fromkeys((_key(name), _key(Path(name).stem))):
            paths = paths or [path for path in self._by_stem.get(stem, []) if path != label]
        if not paths:
            raise LabelError(f"a label without a picture: {name}")
        if len(paths) > 1:
            raise LabelError(
                f"several pictures of one name: {name}: {', '.join(path.name for path in paths)}"
            )
        return self._open(paths[0])

    def find_first(self, names: Iterable[str]) -> Picture:
        """The picture of the first of several file names that leads to one; see `find`.

        Raises:
            LabelError: none does; of the last name.
        """
        problem = LabelError("an entry without a picture's name")
        for name in names:
            try:
                return self.find(name)
            except LabelError as error:
                problem = error
        raise problem

    def has(self, path: Path) -> bool:
        """Whether a file is one of the pictures that names lead to."""
        return self._by_name.get(_key(path.name)) == path

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
