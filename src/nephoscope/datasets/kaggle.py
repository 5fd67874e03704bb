"""The contest's own pictures and labels, by the user's Kaggle account and on the terms accepted there.

Source: https://www.kaggle.com/c/understanding_cloud_organization.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import Progress
from nephoscope.datasets.dataset import LABEL_FILES, PICTURES

CONTEST = "understanding_cloud_organization"
_PAGE = f"https://www.kaggle.com/c/{CONTEST}"
_ACCOUNT = "https://www.kaggle.com/settings gives a token for KAGGLE_API_TOKEN"


def fetch_contest(folder: Path, progress: Progress | None = None) -> int:
    """Download the contest's data and lay its `train_images/` and `train.csv` into a folder.

    kagglehub keeps its own copy, from which files are linked where that is possible and copied where not.

    Args:
        folder: where to; made if it is not there.
        progress: told the files laid there so far and in all.

    Returns:
        How many pictures there are.

    Raises:
        DatasetError: no account, rules not accepted, no answer, or another file is in the way.
        ImportError: kagglehub is missing.
        OSError: a file cannot be written.
    """
    source = _download()
    files = list(_files(source))
    for done, path in enumerate(files, 1):
        _lay(path, folder / path.relative_to(source))
        if progress:
            progress(done, len(files))
    return len(files) - 1


def _download() -> Path:
    import kagglehub
    from kagglehub.exceptions import DataCorruptionError, KaggleApiHTTPError, UnauthenticatedError

    try:
        return Path(kagglehub.competition_download(CONTEST))
    except UnauthenticatedError as error:
        raise DatasetError(f"Kaggle wants to know who asks: {_ACCOUNT}") from error
    except KaggleApiHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status == 401:
            raise DatasetError(f"Kaggle does not know this account: {_ACCOUNT}") from error
        if status == 403:
            raise DatasetError(
                f"Kaggle gives these data to those who accepted their rules: {_PAGE}/rules, then try again"
            ) from error
        raise DatasetError(f"{_PAGE}: {error}") from error
    except (OSError, DataCorruptionError, BadZipFile, ValueError) as error:  # ValueError: no archive
        if getattr(error, "filename", None):
            raise  # a file of this machine
        raise DatasetError(f"{_PAGE}: {error}") from error


def _files(source: Path) -> Iterator[Path]:
    """The pictures, and the labels last: what has labels is complete."""
    pictures = source / PICTURES
    labels = source / LABEL_FILES[0]
    if not pictures.is_dir() or not labels.is_file():
        raise DatasetError(f"{source}: no {PICTURES}/ or no {labels.name} in what Kaggle sent")
    yield from sorted(pictures.iterdir())
    yield labels


def _lay(path: Path, target: Path) -> None:
    """Link a file to where it is wanted, or copy it whole; one that is there must be the same."""
    if target.exists():
        if not target.samefile(path) and target.stat().st_size != path.stat().st_size:
            raise DatasetError(f"{target}: is there and is another file; -o DIR writes elsewhere")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:  # another disk, or one without links
        atomic_write(target, path.read_bytes())
