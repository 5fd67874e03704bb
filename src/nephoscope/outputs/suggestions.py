"""From sources of pictures to a list of those to label next, as CSV."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nephoscope.core.errors import NephoscopeError
from nephoscope.core.io import atomic_write, csv_text, map_in_order, unique_name
from nephoscope.core.types import Progress
from nephoscope.imagery.scene import MAX_PIXELS, Scene
from nephoscope.imagery.sources import find_sources
from nephoscope.inference.prediction import Predictor
from nephoscope.inference.segmentation import apply_rules
from nephoscope.inference.suggestion import Candidate, Suggestion, candidate_of

log = logging.getLogger("nephoscope")


@dataclass(frozen=True)
class Unread:
    """A picture that cannot be ranked, and the reason in one line that names it."""

    source: str
    reason: str


def candidates(
    words: Sequence[str],
    model: Predictor,
    *,
    workers: int = 1,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Iterator[Candidate | Unread]:
    """Segment the pictures that words stand for, as `find_sources` takes them, each once and in order.

    Args:
        words: files, folders, globs, addresses.
        model: to segment by.
        workers: pictures that are processed at the same time.
        max_pixels: a larger picture is refused before it is decoded.
        progress: called with the number of pictures done and in all.
    """
    openers: dict[str, Callable[[], Scene]] = {}
    for word in words:
        for source in find_sources([word], max_pixels):
            openers.setdefault(str(source.path or word), source.open)
    results = map_in_order(partial(_one, model), openers.items(), workers)
    for index, result in enumerate(results):
        yield result
        if progress:
            progress(index + 1, len(openers))


def table(suggestions: Sequence[Suggestion], patterns: Sequence[str]) -> bytes:
    """A CSV of rank, source, score, reason and each pattern's presence probability, empty if unknown."""
    rows = [
        (
            *(rank, each.candidate.source, f"{each.score:.4f}", each.reason),
            *(
                f"{each.candidate.presence[name]:.3f}" if name in each.candidate.presence else ""
                for name in patterns
            ),
        )
        for rank, each in enumerate(suggestions, 1)
    ]
    return csv_text(("rank", "source", "score", "reason", *patterns), rows).encode()


def copy_pictures(suggestions: Sequence[Suggestion], folder: Path) -> int:
    """Copy suggested pictures that are files into a folder, created if missing; the number of them.

    One that is there with the same content stays; another picture's name gets a number.

    Raises:
        OSError: a file cannot be read or written.
    """
    paths = [Path(each.candidate.source) for each in suggestions]
    files = [path for path in paths if path.is_file()]
    for path in files:
        content = path.read_bytes()

        def is_another(name: str, content: bytes = content) -> bool:
            return (folder / name).exists() and (folder / name).read_bytes() != content

        atomic_write(folder / unique_name(path.name, is_another), content)
    return len(files)


def _one(model: Predictor, item: tuple[str, Callable[[], Scene]]) -> Candidate | Unread:
    name, opener = item
    try:
        return candidate_of(name, apply_rules(model.predict(opener())))
    except NephoscopeError as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:  # a bug must not fail the other pictures
        log.exception("%s: internal error", name)
        reason = f"internal error: {type(error).__name__}: {error}"
    if name not in reason:
        reason = f"{name}: {reason.removeprefix(f'{Path(name).name}: ')}"
    return Unread(name, reason)
