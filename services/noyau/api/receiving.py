"""Requests as they come in: one or many, none of them broken, none of them awaited for ever.

Every call is served as one whose requests are a stream, so that it can be refused before a byte of them is read, and
so that a caller who opens a call and sends nothing does not keep its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from noyau.domain.errors import DeadlineExceeded, InvalidInput

# Missing in the stubs of grpc.
_EOF: Any = vars(grpc.aio)["EOF"]


class _Malformed:
    """Stands for a request that is not a message of the expected type."""


def lenient(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """A parser that does not raise: gRPC would answer UNKNOWN, and the caller should be told INVALID_ARGUMENT."""
    if parse is None:
        return None

    def attempt(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return _Malformed()

    return attempt


async def the_only(context: Any, seconds: float) -> Any:
    """The request of a call that has one.

    Args:
        context: of gRPC; nothing has been read from it.
        seconds: how long the message may take to arrive.

    Raises:
        InvalidInput: there is none, or it is broken.
        DeadlineExceeded: it did not arrive within the time.
    """
    request = await _next(context, seconds)
    if request is _EOF:
        raise InvalidInput("The call carries no request.", "Send one message.")
    return request


async def in_time(context: Any, seconds: float) -> AsyncGenerator[Any, None]:
    """The requests of a call that has many; each may take `seconds`. Raises the same."""
    while (request := await _next(context, seconds)) is not _EOF:
        yield request


async def _next(context: Any, seconds: float) -> Any:
    try:
        async with asyncio.timeout(seconds):
            request = await context.read()
    except TimeoutError:
        raise DeadlineExceeded(
            f"The request did not arrive within {seconds:g} s.",
            "Use a faster connection, or ask an operator to raise `listen.request_seconds`.",
        ) from None
    if isinstance(request, _Malformed):
        raise InvalidInput(
            "The request is not a message of the type that this call takes.",
            "Generate the client from the .proto files of this version.",
        )
    return request
