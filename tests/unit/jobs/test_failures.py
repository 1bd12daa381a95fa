"""What users are told of a failed job."""

from __future__ import annotations

import errno

import pytest
from noyau.domain.errors import DamagedData
from noyau.domain.jobs import JobError
from noyau.jobs.failures import explain


def test_our_own_errors_are_told_as_they_are() -> None:
    assert explain(DamagedData("Chunk 3 is missing.", "Restore it."), "j") == JobError(
        "DATA_LOSS", "Chunk 3 is missing.", "Restore it."
    )


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemoryError("CUDA out of memory")])
def test_memory(error: Exception) -> None:
    told = explain(error, "j")
    assert told.kind == "RESOURCE_EXHAUSTED" and "memory" in told.cause.lower() and "tile" in told.remedy


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(number: int) -> None:
    told = explain(OSError(number, "No space left on device", "/data/out"), "j")
    assert told.kind == "RESOURCE_EXHAUSTED" and "/data/out" in told.cause


def test_a_surprise_tells_its_type_and_no_secret() -> None:
    told = explain(ValueError("password=hunter2"), "j1")
    assert told.kind == "INTERNAL" and "ValueError" in told.cause and "j1" in told.remedy
    assert "hunter2" not in told.cause + told.remedy


def test_other_system_errors_are_surprises() -> None:
    assert explain(OSError(errno.EIO, "I/O error"), "j").kind == "INTERNAL"
