"""Errors on the wire: the status code is the error's kind, the message its two sentences, a detail keeps them apart."""

from __future__ import annotations

import math
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError

from noyau.domain.errors import ErrorKind, InternalError, NoyauError, Unavailable, error_from_kind
from noyau.v1 import errors_pb2

DETAIL_KEY = "noyau-error-bin"
RETRY_KEY = "grpc-retry-pushback-ms"

# gRPC codes that no NoyauError has, and what they mean to a caller.
_NEAREST = {
    grpc.StatusCode.UNKNOWN: ErrorKind.INTERNAL,
    grpc.StatusCode.ABORTED: ErrorKind.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED: ErrorKind.FAILED_PRECONDITION,
}

# What gRPC itself says of a call that it did not begin because it serves as many as it may; such a call may come again.
_TURNED_AWAY, _TURNED_AWAY_SECONDS = "Concurrent RPC limit exceeded!", 0.5

# HTTP/2 carries the message in a header, which peers limit to 8 KiB in all.
_LONGEST_SENTENCE = 1500


def status_code(error: NoyauError) -> grpc.StatusCode:
    """The gRPC status of an error; the names are equal on purpose."""
    return grpc.StatusCode[error.kind.value]


def status_message(error: NoyauError) -> str:
    return _short(str(error), 2 * _LONGEST_SENTENCE)


def detail_metadata(error: NoyauError, incident: str = "") -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata that keeps cause and remedy apart, so that a client can rebuild the error."""
    detail = errors_pb2.ErrorDetail(
        kind=error.kind.value,
        cause=_short(error.cause, _LONGEST_SENTENCE),
        remedy=_short(error.remedy, _LONGEST_SENTENCE),
        incident=incident,
    )
    return ((DETAIL_KEY, detail.SerializeToString()),)


def retry_metadata(error: NoyauError) -> tuple[tuple[str, str], ...]:
    """Trailing metadata that tells a client when to try again, where the error knows (gRFC A6)."""
    wait = getattr(error, "wait", None)
    return () if wait is None else ((RETRY_KEY, str(math.ceil(wait * 1000))),)


def seconds_to_wait(error: grpc.RpcError) -> float | None:
    """After how many seconds a failed call may be made again; None where the service does not say."""
    for key, value in cast(Any, error).trailing_metadata() or ():
        if key == RETRY_KEY and str(value).isdigit():
            return int(value) / 1000
    return _TURNED_AWAY_SECONDS if cast(Any, error).details() == _TURNED_AWAY else None


def error_from_rpc(error: grpc.RpcError, target: str) -> NoyauError:
    """The NoyauError that a failed call stands for.

    Args:
        error: what the stub raised; it is a `grpc.Call` as well.
        target: address of the service, for the sentence about a service that does not answer.
    """
    call = cast(Any, error)
    for key, value in call.trailing_metadata() or ():
        if key == DETAIL_KEY:
            try:
                detail = errors_pb2.ErrorDetail.FromString(value)
                return error_from_kind(detail.kind, detail.cause, detail.remedy)
            except (DecodeError, ValueError):
                break
    code: grpc.StatusCode = call.code()
    text = call.details() or code.name
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(
            f"The service at {target} cannot be reached ({text}).",
            "Start one with `noyau serve`, or run the job without one with --local.",
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return InternalError(f"The server at {target} does not offer this call ({text}).", "Is it a Noyau service?")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return error_from_kind(
            ErrorKind.DEADLINE_EXCEEDED, f"The service at {target} did not answer in time.", "Allow it more time."
        )
    kind = _NEAREST.get(code) or ErrorKind(code.name)
    return error_from_kind(kind, f"The service at {target} refused the call: {text}.")


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
