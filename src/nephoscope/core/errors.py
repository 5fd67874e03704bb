"""All errors that a person can mend, under one root.

    NephoscopeError             bad input, a missing file, a wrong option, an unreachable server
    ├── SceneError              a picture cannot be used
    │   └── TooManyPixelsError  it is larger than allowed
    ├── LocationError           a text names no place or no day
    ├── DownloadError           an address gave no content
    │   └── WorldviewError      NASA Worldview, or a mirror of it, gave no picture of a scene
    ├── ServerError             a `nephoscope serve` cannot be reached, refuses, or cannot listen
    │   └── PayloadError        bytes are not the packed prediction of a server
    ├── ModelError              a model cannot be used
    │   └── CardError           its card cannot be read, or does not fit
    ├── LabelError              a label file or its run lengths are wrong
    ├── DatasetError            labelled data, their catalogue or their annotations cannot be used
    ├── ShapeMismatchError      two masks have different shapes
    ├── OutputError             an output cannot be made; an unknown format
    │   ├── MissingExtraError   a library of an optional extra is not installed
    │   └── OutputConflictError a file is in the way of an output
    ├── InvalidRequestError     a parameter is missing, unknown or out of range
    ├── TrainingError           training, its recipe, its weights, or exporting them
    └── AtlasError              an atlas: its plan, its store, its cluster, its summaries

Commands catch `NephoscopeError` and `OSError` alone. Any other exception is a bug and shows its traceback.
"""

from typing import Any


class NephoscopeError(ValueError):
    """Root of all errors that a person can mend; the message says what is wrong, where, and what to do."""


class SceneError(NephoscopeError):
    """A picture cannot be used; the message names it and says why."""


class TooManyPixelsError(SceneError):
    """A picture has more pixels than its caller allows."""


class LocationError(NephoscopeError):
    """A text names no place or no day; the message says what is expected."""


class DownloadError(NephoscopeError):
    """An address gave no content.

    Attributes:
        url: the address.
        reason: why, without the address.
        cause: which kind of failure it is: `unreachable` (no connection, or it broke), `refused` (a status
            of 4xx), `busy` (429 or 503), `server error` (another 5xx), `cut short`, `too slow`
            or `too large`; `mapserver.ask` adds others.
        status: the HTTP status of the server's answer, if one came.
        retry_after: seconds after which the server wants to be asked again, if it said so.
    """

    def __init__(
        self,
        url: str,
        reason: object,
        cause: str = "unreachable",
        status: int | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = str(reason)
        self.cause = cause
        self.status = status
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle needs: errors come from other processes, too."""
        return type(self), (self.url, self.reason, self.cause, self.status, self.retry_after)


class WorldviewError(DownloadError):
    """NASA Worldview, or a mirror of it, gave no picture of a scene; the message names it and says why.

    Attributes:
        name: of the scene's picture.
        cause: which kind of failure it was, to be counted by: the first server's, of those that
            `mapserver.ask` lists; `no such scene` where nothing was asked; `cache` where that cannot be used.
        reason: why, without the name.
    """

    def __init__(self, name: str, cause: str, reason: object):
        super().__init__(name, reason, cause)
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle needs: workers of an atlas send it."""
        return type(self), (self.name, self.cause, self.reason)


class ServerError(NephoscopeError):
    """A server cannot be reached, refuses, or cannot listen at its address."""


class PayloadError(ServerError):
    """Bytes are not the packed prediction of a server; the message says why."""


class ModelError(NephoscopeError):
    """A model cannot be used; the message names it and says why."""


class CardError(ModelError):
    """A model's card lacks something, cannot be read, or is of another version."""


class LabelError(NephoscopeError):
    """A label file is not in the contest's form, or a run-length text is wrong."""


class DatasetError(NephoscopeError):
    """Labelled data, their catalogue or their annotations cannot be used."""


class ShapeMismatchError(NephoscopeError):
    """Two masks that are compared have different shapes."""


class OutputError(NephoscopeError):
    """An output cannot be made; its format is unknown, for example."""


class MissingExtraError(OutputError):
    """A library of an optional extra is not installed; the message says how to install it."""


class OutputConflictError(OutputError):
    """A file or folder is in the way of an output and is not replaced."""


class InvalidRequestError(NephoscopeError):
    """A parameter is missing, unknown or out of range: of a rule, an archive or a map request."""


class TrainingError(NephoscopeError):
    """Training cannot begin or go on, or its weights cannot be used or exported."""


class AtlasError(NephoscopeError):
    """A plan, a store, a cluster or a summary of an atlas cannot be used."""
