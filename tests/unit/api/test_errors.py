"""One mapping of errors to statuses, and back."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from noyau.api.wire.errors import detail_metadata, error_from_rpc, status_code, status_message
from noyau.domain.errors import (
    ErrorKind,
    FailedPrecondition,
    InternalError,
    LimitExceeded,
    NotFound,
    NoyauError,
    Unavailable,
    error_from_kind,
)


class Failed(grpc.RpcError):
    """What a stub raises, without a connection."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: tuple[tuple[str, Any], ...] = ()) -> None:
        super().__init__()
        self._answer = (code, details, metadata)

    def code(self) -> grpc.StatusCode:
        return self._answer[0]

    def details(self) -> str:
        return self._answer[1]

    def trailing_metadata(self) -> tuple[tuple[str, Any], ...]:
        return self._answer[2]


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_error_arrives_as_it_was_raised(kind: ErrorKind) -> None:
    sent = error_from_kind(kind, "The cell is gone.", "Look under the lens.")
    code = status_code(sent)
    assert code.name == kind.value
    assert status_message(sent) == "The cell is gone. Look under the lens."
    got = error_from_rpc(Failed(code, status_message(sent), detail_metadata(sent, "0123")), "here")
    assert type(got) is type(sent)
    assert (got.cause, got.remedy) == (sent.cause, sent.remedy)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_statuses_of_other_servers_become_errors_too(code: grpc.StatusCode) -> None:
    got = error_from_rpc(Failed(code, "because", (("noyau-error-bin", b"\xff\xff"),)), "host:1")
    assert isinstance(got, NoyauError)
    assert "host:1" in got.cause


def test_the_usual_statuses_keep_their_meaning() -> None:
    assert isinstance(error_from_rpc(Failed(grpc.StatusCode.NOT_FOUND, "x"), "h"), NotFound)
    assert isinstance(error_from_rpc(Failed(grpc.StatusCode.UNAVAILABLE, "x"), "h"), Unavailable)
    assert isinstance(error_from_rpc(Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"), "h"), LimitExceeded)


def test_a_very_long_cause_still_fits_into_a_header() -> None:
    sent = FailedPrecondition("x" * 100_000, "y" * 100_000)
    assert len(status_message(sent)) < 4000
    assert len(detail_metadata(sent)[0][1]) < 4000


def test_kinds_without_a_class_of_their_own_are_internal() -> None:
    assert status_code(InternalError("a")) is grpc.StatusCode.INTERNAL
