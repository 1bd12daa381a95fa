"""The one error tree of Noyau.

Every failure that a user can cause or mend is a `NoyauError`: it names the cause in one sentence and, where there
is one, the remedy in another. `api` maps `kind` to a gRPC status in one place; `cli` maps it to an exit code.
"""

from __future__ import annotations

from enum import Enum


class ErrorKind(Enum):
    """What went wrong, in the vocabulary of gRPC status codes (names are equal on purpose)."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    DATA_LOSS = "DATA_LOSS"
    UNAVAILABLE = "UNAVAILABLE"
    CANCELLED = "CANCELLED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"


class NoyauError(Exception):
    """Root of all errors that Noyau raises on purpose.

    Args:
        cause: one sentence that says what is wrong and names the thing it is about.
        remedy: one sentence that says what the caller can do; empty where nothing can be done.
    """

    kind: ErrorKind = ErrorKind.INTERNAL

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}".strip()

    def __reduce__(self) -> tuple[type[NoyauError], tuple[str, str]]:
        # Errors cross process boundaries (worker -> coordinator); keep both sentences.
        return (type(self), (self.cause, self.remedy))


class InvalidInput(NoyauError):
    """The request or the image cannot be used as it is."""

    kind = ErrorKind.INVALID_ARGUMENT


class NotFound(NoyauError):
    """A path, job, model, channel, level or time point does not exist."""

    kind = ErrorKind.NOT_FOUND


class AlreadyExists(NoyauError):
    """The output is there already and the caller did not ask to replace it."""

    kind = ErrorKind.ALREADY_EXISTS


class PermissionRefused(NoyauError):
    """The caller or the service may not touch this path or object."""

    kind = ErrorKind.PERMISSION_DENIED


class Unauthenticated(NoyauError):
    """The caller did not prove who it is."""

    kind = ErrorKind.UNAUTHENTICATED


class FailedPrecondition(NoyauError):
    """The request is well formed but the system is not in a state for it (GPU absent, target read-only, ...)."""

    kind = ErrorKind.FAILED_PRECONDITION


class LimitExceeded(NoyauError):
    """A configured limit (voxels, tile, message, quota) or a resource (disk, memory) is exhausted."""

    kind = ErrorKind.RESOURCE_EXHAUSTED


class OutOfRange(NoyauError):
    """An index (time point, level, sequence number) lies outside what exists."""

    kind = ErrorKind.OUT_OF_RANGE


class DamagedData(NoyauError):
    """Stored data is missing or cannot be decoded; the message names the chunk."""

    kind = ErrorKind.DATA_LOSS


class Unavailable(NoyauError):
    """A remote system did not answer; trying again may help."""

    kind = ErrorKind.UNAVAILABLE


class JobCancelled(NoyauError):
    """The job was cancelled by its owner or an operator."""

    kind = ErrorKind.CANCELLED


class DeadlineExceeded(NoyauError):
    """The caller's deadline passed before the answer was ready."""

    kind = ErrorKind.DEADLINE_EXCEEDED


class InternalError(NoyauError):
    """A bug or a crash of ours; the log carries the details."""

    kind = ErrorKind.INTERNAL


def error_from_kind(kind: ErrorKind | str, cause: str, remedy: str = "") -> NoyauError:
    """Rebuilds the error of the given kind, for a client or a coordinator that got it over a wire."""
    wanted = ErrorKind(kind)
    for cls in NoyauError.__subclasses__():
        if cls.kind is wanted:
            return cls(cause, remedy)
    return InternalError(cause, remedy)
