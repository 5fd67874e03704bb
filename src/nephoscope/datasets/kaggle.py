"""Download of the contest's data with the user's Kaggle account, on the terms accepted there.

Source: https://www.kaggle.com/c/understanding_cloud_organization.
"""

import os
from pathlib import Path
from zipfile import BadZipFile

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import atomic_write, is_hidden
from nephoscope.core.types import Progress
from nephoscope.datasets.dataset import LABEL_FILES, PICTURES

CONTEST = "understanding_cloud_organization"
_PAGE = f"https://www.kaggle.com/c/{CONTEST}"
_ACCOUNT = "create a token at https://www.kaggle.com/settings and set KAGGLE_API_TOKEN"


def fetch_contest(folder: Path, progress: Progress | None = None) -> int:
    """Download the contest's data and place its `train_images/` and `train.csv` in a folder.

    kagglehub keeps its own copy, to which files are hard-linked where possible and else copied. `progress` is
    called with the files placed so far and in all. Returns the number of pictures.

    Raises:
        DatasetError: no account, rules not accepted, no response, or another file is in the way.
        ImportError: kagglehub is not installed.
        OSError: a file cannot be written.
    """
    source = _download()
    pictures, labels = source / PICTURES, source / LABEL_FILES[0]
    if not pictures.is_dir() or not labels.is_file():
        raise DatasetError(f"{source}: Kaggle's archive has no {PICTURES}/ or no {labels.name}")
    visible = sorted(path for path in pictures.iterdir() if not is_hidden(path))
    files = [*visible, labels]  # in this order: a folder with labels is complete
    for done, path in enumerate(files, 1):
        _link_or_copy(path, folder / path.relative_to(source))
        if progress:
            progress(done, len(files))
    return len(files) - 1


def _download() -> Path:
    import kagglehub
    from kagglehub.exceptions import DataCorruptionError, KaggleApiHTTPError, UnauthenticatedError

    try:
        return Path(kagglehub.competition_download(CONTEST))
    except UnauthenticatedError as error:
        raise DatasetError(f"Kaggle needs an account: {_ACCOUNT}") from error
    except KaggleApiHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status == 401:
            raise DatasetError(f"Kaggle rejected the token: {_ACCOUNT}") from error
        if status == 403:
            raise DatasetError(f"accept the rules of the contest first: {_PAGE}/rules") from error
        raise DatasetError(f"{_PAGE}: {error}") from error
    except (OSError, DataCorruptionError, BadZipFile, ValueError) as error:  # ValueError: not an archive
        if getattr(error, "filename", None):
            raise  # a file of this machine
        raise DatasetError(f"{_PAGE}: {error}") from error


def _link_or_copy(path: Path, target: Path) -> None:
    """Link or copy a file; an existing target must be the same file."""
    if target.exists():
        if not target.samefile(path) and target.stat().st_size != path.stat().st_size:
            raise DatasetError(f"{target}: a different file exists; choose another folder with -o DIR")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:  # another disk, or one without links
        atomic_write(target, path.read_bytes())
