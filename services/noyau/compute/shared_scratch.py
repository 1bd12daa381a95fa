"""The folder that all workers and the coordinator see, and the mark by which each of them knows that it is the same."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from noyau.domain.errors import FailedPrecondition

MARK = ".noyau-scratch"


def mark_scratch(folder: Path) -> str:
    """The mark of the folder, made where there is none yet; only a coordinator makes it.

    Raises:
        FailedPrecondition: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = folder / f"{MARK}.{uuid.uuid4().hex}"
        fresh.write_text(uuid.uuid4().hex)
        try:
            os.link(fresh, folder / MARK)  # never replaces the mark of another coordinator
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        return (folder / MARK).read_text().strip()
    except OSError as error:
        raise FailedPrecondition(
            f"The scratch folder {folder} cannot be written ({error.strerror}).",
            "Set dask.scratch (NOYAU_DASK__SCRATCH) to a folder that the coordinator and all workers can write.",
        ) from error


def read_mark(folder: Path) -> str | None:
    """The mark of the folder, None where no coordinator has used it.

    Raises:
        FailedPrecondition: the folder is absent or cannot be written.
    """
    try:
        probe = folder / f".probe-{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
        return (folder / MARK).read_text().strip()
    except FileNotFoundError:
        if folder.is_dir():
            return None
        raise FailedPrecondition(f"This host does not see the scratch folder {folder}.", _REMEDY) from None
    except OSError as error:
        raise FailedPrecondition(
            f"The scratch folder {folder} cannot be written here ({error.strerror}).", _REMEDY
        ) from error


def not_the_same(folder: Path) -> FailedPrecondition:
    """The error for a folder that carries another mark than the coordinator's, or none."""
    return FailedPrecondition(
        f"The folder {folder} on this host is not the scratch folder of the coordinator, though it may have the same "
        "name.",
        _REMEDY,
    )


_REMEDY = "Mount the storage that the coordinator's dask.scratch lies on, or name its place here with --scratch."
