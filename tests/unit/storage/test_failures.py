"""tensorstore's words in the words of the error tree."""

from __future__ import annotations

import errno

import pytest
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
from noyau.storage.failures import read_error, write_error

MISSING = 'NOT_FOUND: chunk {1, 1, 1} stored at local file "/a/0/c/1/1/1" is missing'
DAMAGED = 'FAILED_PRECONDITION: Error reading local file "/a/0/1/1/1": Invalid blosc-compressed data; at byte 0'


@pytest.mark.parametrize(
    ("text", "kind", "names"),
    [
        (MISSING, DamagedData, ["{1, 1, 1}", "/a/0/c/1/1/1", "--fill-missing", "leave out"]),
        (DAMAGED, DamagedData, ["/a/0/1/1/1", "blosc"]),
        ('PERMISSION_DENIED: Error reading "s3://b/a": Access Denied', PermissionRefused, ["Access Denied"]),
        ("ABORTED: All 2 retry attempts failed: Could not connect to server", Unavailable, ["connect"]),
        ("UNAVAILABLE: 503", Unavailable, ["503"]),
        ("NOT_FOUND: NoSuchBucket", NotFound, ["NoSuchBucket"]),
        ('FAILED_PRECONDITION: "lz4" is not registered', InvalidInput, ["lz4", "zstd"]),
    ],
)
def test_reading(text: str, kind: type[NoyauError], names: list[str]) -> None:
    error = read_error(ValueError(text), "'image'")
    assert type(error) is kind
    assert all(name in str(error) for name in [*names, "'image'"])
    assert not str(error).startswith(text.split(":")[0])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("RESOURCE_EXHAUSTED: No space left on device [os_error_code='28']"), LimitExceeded),
        (ValueError("UNKNOWN: x [os_error_code='122']"), LimitExceeded),
        (OSError(errno.ENOSPC, "No space left on device"), LimitExceeded),
        (ValueError("PERMISSION_DENIED: y [os_error_code='1']"), FailedPrecondition),
        (OSError(errno.EROFS, "Read-only file system"), FailedPrecondition),
        (OSError(errno.ENOTDIR, "Not a directory"), FailedPrecondition),
        (ValueError("UNAVAILABLE: 503"), Unavailable),
    ],
)
def test_writing(error: Exception, kind: type[NoyauError]) -> None:
    made = write_error(error, "'image'")
    assert type(made) is kind and "'image'" in str(made) and made.remedy


def test_source_locations_do_not_reach_the_user() -> None:
    text = DAMAGED + " [source locations='tensorstore/kvstore.cc:12\\ntensorstore/x.cc:3']"
    assert "kvstore.cc" not in str(read_error(ValueError(text), "a"))
