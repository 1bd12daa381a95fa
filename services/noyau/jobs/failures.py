"""Why a handler failed, in words for the user. Tracebacks go to the log only."""

from __future__ import annotations

import errno

from noyau.domain.errors import ErrorKind, LimitExceeded, NoyauError
from noyau.domain.jobs import JobError

_MEMORY_REMEDY = "Use a smaller tile or batch, or a machine with more memory."


def explain(error: BaseException, job_id: str) -> JobError:
    """The error that the job is stored with."""
    known = _as_noyau_error(error)
    if known is not None:
        return JobError(known.kind.value, known.cause, known.remedy)
    # The text of an unexpected error may hold anything, secrets included; the log has it.
    return JobError(
        ErrorKind.INTERNAL.value,
        f"The job stopped on an unexpected error ({type(error).__name__}).",
        f"The log of the service has the details; look for job {job_id}.",
    )


def _as_noyau_error(error: BaseException) -> NoyauError | None:
    if isinstance(error, NoyauError):
        return error
    # torch.OutOfMemoryError is a RuntimeError; `jobs` does not import torch to ask.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return LimitExceeded("Memory ran out.", _MEMORY_REMEDY)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" at {error.filename}" if error.filename else ""
        return LimitExceeded(f"The disk is full{where}.", "Free some space and submit the job again.")
    return None
