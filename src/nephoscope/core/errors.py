"""Errors that a user can fix, under one root.

    NephoscopeError             bad input, a missing file, a wrong option, an unreachable server
    ├── SceneError              a picture cannot be used
    │   └── TooManyPixelsError  it is larger than allowed
    ├── LocationError           a text is not a location or a day
    ├── DownloadError           a request for an address failed
    │   └── WorldviewError      NASA Worldview, or a mirror of it, sent no picture of a scene
    ├── ServerError             a `nephoscope serve` cannot be reached, refuses, or cannot listen
    │   └── PayloadError        bytes are not a packed prediction
    ├── ModelError              a model cannot be used
    │   ├── CardError           its card cannot be read, or does not fit
    │   └── DeviceError         the device to run it on is unknown or cannot be used
    ├── LabelError              a label file or its run lengths are wrong
    ├── DatasetError            labelled data, their catalogue or their annotations cannot be used
    ├── ShapeMismatchError      two masks have different shapes
    ├── MissingExtraError       a library of an optional extra is not installed
    ├── OutputError             an output cannot be made, or its format is unknown
    │   └── OutputConflictError a file with the name of an output exists
    ├── InvalidRequestError     a parameter is missing, unknown or out of range
    ├── TrainingError           training, its recipe, its weights, or their export
    └── AtlasError              an atlas: its plan, its store, its cluster, its summaries
        └── DamagedChunkError   a stored scene is lost or not what was written

`InputWarning` is no error: it says why results may be unreliable.

Commands catch `NephoscopeError` and `OSError` alone. Any other exception is a bug and shows its traceback.
"""

from typing import Any


class NephoscopeError(ValueError):
    """Root of all errors that a user can fix; the message says what is wrong, in which file, what to do."""


class SceneError(NephoscopeError):
    """A picture cannot be used."""


class TooManyPixelsError(SceneError):
    """A picture has more pixels than its caller allows."""


class LocationError(NephoscopeError):
    """A text is not a location or a day."""


class DownloadError(NephoscopeError):
    """A request for an address failed.

    Attributes:
        url: the address.
        reason: without the address.
        cause: kind of failure: `unreachable` (no connection, or it broke), `refused` (a status of 4xx),
            `busy` (429 or 503), `server error` (another 5xx), `cut short`, `too slow` or `too large`;
            `map_server.request_map` adds others.
        status: HTTP status of the response, if there was one.
        retry_after: seconds in the response's `Retry-After`, if it had one.
        problem: last part of the `type` of the response's problem document (RFC 9457), if it was one.
    """

    def __init__(
        self,
        url: str,
        reason: object,
        cause: str = "unreachable",
        status: int | None = None,
        retry_after: float | None = None,
        problem: str = "",
    ):
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = str(reason)
        self.cause = cause
        self.status = status
        self.retry_after = retry_after
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, not by the message."""
        return type(self), (
            *(self.url, self.reason, self.cause, self.status, self.retry_after, self.problem),
        )


class WorldviewError(DownloadError):
    """NASA Worldview, or a mirror of it, sent no picture of a scene.

    Attributes:
        name: of the scene's picture.
        cause: that of the first server's `DownloadError`; `no such scene` for an impossible request; `cache`
            where the cache cannot be used.
        reason: without the name.
    """

    def __init__(self, name: str, cause: str, reason: object):
        super().__init__(name, reason, cause)
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, not by the message."""
        return type(self), (self.name, self.cause, self.reason)


class ServerError(NephoscopeError):
    """A server cannot be reached, refuses, or cannot listen at its address."""


class PayloadError(ServerError):
    """Bytes are not a packed prediction."""


class ModelError(NephoscopeError):
    """A model cannot be used."""


class CardError(ModelError):
    """A model's card is missing, invalid or of another version."""


class DeviceError(ModelError):
    """A device to run a model on is unknown, or cannot be used here; the message says what is missing."""


class LabelError(NephoscopeError):
    """A label file is not in the contest's format, or a run-length text is invalid."""


class DatasetError(NephoscopeError):
    """Labelled data, their catalogue or their annotations cannot be used."""


class ShapeMismatchError(NephoscopeError):
    """Two masks that are compared have different shapes."""


class MissingExtraError(NephoscopeError):
    """A library of an optional extra is not installed; the message says how to install it."""


class OutputError(NephoscopeError):
    """An output cannot be made, or its format is unknown."""


class OutputConflictError(OutputError):
    """A file or folder with the name of an output exists and is not replaced."""


class InvalidRequestError(NephoscopeError):
    """A parameter is missing, unknown or out of range: of a rule, an archive or a map request."""


class TrainingError(NephoscopeError):
    """Training cannot start or continue, or its weights cannot be used or exported."""


class AtlasError(NephoscopeError):
    """A plan, a store, a cluster or a summary of an atlas cannot be used."""


class DamagedChunkError(AtlasError):
    """A chunk of a store is lost, cannot be decoded, or is not what its record says."""


class InputWarning(UserWarning):
    """Results may be unreliable: a picture has no data, or is unlike those that the model was trained on.

    `nephoscope.segment` issues it. `Segmentation.warnings` has the same texts.
    """
