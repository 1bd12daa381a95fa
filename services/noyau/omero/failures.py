"""Exceptions of Ice and OMERO -> what to do about them, and the errors that users see.

Told apart by the names of their classes, so that nothing of omero-py is imported for it.
"""

from __future__ import annotations

from enum import Enum

from noyau.domain.errors import (
    FailedPrecondition,
    InternalError,
    LimitExceeded,
    NotFound,
    NoyauError,
    PermissionRefused,
    Unauthenticated,
    Unavailable,
)


class Trouble(Enum):
    """What a failed call means for the connection it was made on."""

    LOST = "connect again, then try again"
    BUSY = "wait, then try again"
    FINAL = "tell"


_LOST = {
    "SocketException",
    "TimeoutException",
    "CloseConnectionException",
    "ForcedCloseConnectionException",
    "ConnectionManuallyClosedException",
    "CommunicatorDestroyedException",
    "ObjectAdapterDeactivatedException",
    "DNSException",
    "NoEndpointException",
    "ObjectNotExistException",
    "SessionNotExistException",
    "SessionException",
    "UnknownLocalException",
    "ProtocolException",
}
_BUSY = {"DatabaseBusyException", "TryAgain", "LockTimeout", "ConcurrentModification", "ResourceLimitException"}
_REFUSED_LOGIN = {"PermissionDeniedException", "CannotCreateSessionException", "RemovedSessionException"}


def trouble(error: BaseException) -> Trouble:
    """What to do after a failed call."""
    names = _names(error)
    if isinstance(error, NoyauError) or "MissingPyramidException" in names:
        return Trouble.FINAL
    if names & _LOST:
        return Trouble.LOST
    return Trouble.BUSY if names & _BUSY else Trouble.FINAL


def is_refused_login(error: BaseException) -> bool:
    """Whether the server answered that this user, password or key does not open a session."""
    return bool(_names(error) & _REFUSED_LOGIN)


def explain(error: BaseException, what: str, alias: str) -> NoyauError:
    """The error to show for a failed call.

    Args:
        error: what was raised.
        what: the thing that was being done, e.g. `reading Image:12`.
        alias: of the server.
    """
    if isinstance(error, NoyauError):
        return error
    names = _names(error)
    said = _message(error)
    if "SecurityViolation" in names:
        return PermissionRefused(f"The OMERO server '{alias}' refused {what}: {said}.")
    if "MissingPyramidException" in names:
        return FailedPrecondition(
            f"The OMERO server '{alias}' is still making the image pyramid ({what}).", "Try again in a few minutes."
        )
    if names & _REFUSED_LOGIN:
        return Unauthenticated(
            f"The OMERO server '{alias}' does not accept this login or session ({what}).", "Log in to OMERO again."
        )
    if names & _LOST or names & _BUSY:
        return Unavailable(
            f"The OMERO server '{alias}' does not answer ({what}).", "Try again when it is back; nothing is lost."
        )
    if names & {"OverUsageException", "MemoryLimitException"}:
        return LimitExceeded(f"The OMERO server '{alias}' has no room for {what}: {said}.")
    if names & {"ValidationException", "GraphException"} and "no row" in said.lower():
        return NotFound(f"The OMERO server '{alias}' no longer has what {what} needs: {said}.")
    return InternalError(f"The OMERO server '{alias}' failed while {what}: {type(error).__name__}: {said}.")


def _names(error: BaseException) -> set[str]:
    return {cls.__name__ for cls in type(error).__mro__}


def _message(error: BaseException) -> str:
    """The first line of what the server said, without Java's stack trace."""
    said = str(getattr(error, "message", "") or getattr(error, "reason", "") or error).strip()
    return (said.splitlines() or ["no reason given"])[0][:300].rstrip(".")
