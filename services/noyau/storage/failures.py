"""Storage errors in the words of the error tree.

tensorstore raises ValueError whose text begins with a status code, e.g. `NOT_FOUND: chunk {1, 1, 1} stored at local
file "/data/a/0/c/1/1/1" is missing`. The text is kept where it names the chunk; it holds no credentials.
"""

from __future__ import annotations

import errno
import os
import re

from noyau.domain.errors import (
    DamagedData,
    FailedPrecondition,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NoyauError,
    PermissionRefused,
    Unavailable,
)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IMPOSSIBLE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
MISSING_REMEDY = (
    "Some writers leave out chunks that hold only background: if this one did, use --fill-missing (missing chunks "
    "count as zero); otherwise get the file again."
)


def status_of(error: BaseException) -> str:
    """The leading status code of a tensorstore error, empty for other errors."""
    found = re.match(r"([A-Z_]{3,}): ", str(error))
    return found.group(1) if found else ""


def detail_of(error: BaseException) -> str:
    """The text of a tensorstore error without its status code and source locations."""
    text = re.sub(r"^[A-Z_]{3,}: ", "", str(error))
    text = re.sub(r"\s*\[(source locations|tensorstore_spec)=.*$", "", text, flags=re.DOTALL)
    return text.strip().rstrip(".")


def system_error_of(error: BaseException) -> int | None:
    """The operating system's error number, from an OSError or from the text of a tensorstore error."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os_error_code='(\d+)'", str(error))
    return int(found.group(1)) if found else None


def read_error(error: BaseException, what: str) -> NoyauError:
    """The error for pixels or metadata of `what` that could not be read."""
    status, detail, number = status_of(error), detail_of(error), system_error_of(error)
    if status == "PERMISSION_DENIED" or number in REFUSED:
        return PermissionRefused(f"{what} may not be read by this service: {detail}.")
    if status in ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNKNOWN"):
        return Unavailable(f"{what} could not be read: {detail}.", "Try again; the remote system may be down.")
    if re.search(r"HTTP code 3\d\d", detail):
        return InvalidInput(f"{what} answers with a redirection, which is not followed.", "Name the final address.")
    if re.search(r"is not registered|not supported|[Uu]nsupported", detail):
        return InvalidInput(
            f"{what} is stored in a way that Noyau cannot read: {detail}.",
            "Write it again with the codecs blosc, zstd or gzip and without filters.",
        )
    missing = re.search(r"chunk (\{[\d, ]+\}) stored at (.*) is missing", str(error), flags=re.DOTALL)
    if missing:
        return DamagedData(f"Chunk {missing.group(1)} of {what} is missing ({missing.group(2)}).", MISSING_REMEDY)
    if status == "NOT_FOUND" or isinstance(error, FileNotFoundError):
        return NotFound(f"{what} is incomplete: {detail}.")
    return DamagedData(f"{what} is damaged: {detail}.", "Get the file again, or restore it from a copy.")


def write_error(error: BaseException, what: str) -> NoyauError:
    """The error for something that could not be written to `what`."""
    status, number = status_of(error), system_error_of(error)
    # The system's own words; the text around them names temporary files that mean nothing to anybody.
    detail = os.strerror(number) if number else detail_of(error)
    if number in FULL or status == "RESOURCE_EXHAUSTED":
        return LimitExceeded(f"There is no space left to write {what}: {detail}.", "Free some space and run it again.")
    if number in IMPOSSIBLE:
        return FailedPrecondition(f"{what} cannot be written: {detail}.", "Name another place for the results.")
    if number in REFUSED or status == "PERMISSION_DENIED":
        return FailedPrecondition(
            f"{what} is read-only for this service: {detail}.",
            "Make it writable, or name another place for the results with --output.",
        )
    return Unavailable(f"{what} could not be written: {detail}.", "Try again; the storage may be down.")
