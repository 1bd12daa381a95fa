"""The one place where errors become gRPC statuses: an interceptor around every call."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError

from noyau.api.wire.errors import detail_metadata, status_code, status_message
from noyau.domain.errors import InternalError, InvalidInput, NoyauError

Seen: TypeAlias = Callable[[str, str, float], None]
"""Told of every call that has ended: method, gRPC status, seconds."""
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class _Malformed:
    """Stands for a request that is not a message of the expected type."""


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic for the type checker only
    """Maps what servicers raise to a status, and writes one log line per call.

    A NoyauError is told to the caller in full. Anything else is a bug: the caller gets INTERNAL with an incident
    number, the traceback goes to the log only.
    """

    def __init__(self, seen: Seen = lambda method, code, seconds: None) -> None:
        self._log = structlog.get_logger("noyau.api")
        self._seen = seen

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        ours = handler_call_details.method.startswith(("/noyau.", "/inference."))
        if handler is None or not ours:
            # Unknown methods, health and reflection, which have their own ways.
            return handler
        method = handler_call_details.method
        parse = _lenient(handler.request_deserializer)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream), parse, handler.response_serializer
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._unary(method, handler.stream_unary, _all_parsed), parse, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary), parse, handler.response_serializer
        )

    def _unary(
        self, method: str, behaviour: Callable[..., Awaitable[Any]], parsed: Callable[[Any], Any] | None = None
    ) -> Callable[..., Awaitable[Any]]:
        """A call with one answer; `parsed` looks at its request, or at its stream of requests."""

        async def call(request: Any, context: Context) -> Any:
            started = time.monotonic()
            try:
                answer = await behaviour((parsed or _parsed)(request), context)
            except BaseException as error:
                await self._fail(method, started, error, context)
                raise
            self._log.debug("call", method=method, status="OK", seconds=round(time.monotonic() - started, 4))
            self._seen(method, "OK", time.monotonic() - started)
            return answer

        return call

    def _stream(
        self, method: str, behaviour: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., AsyncGenerator[Any, None]]:
        async def call(request: Any, context: Context) -> AsyncGenerator[Any, None]:
            started = time.monotonic()
            try:
                async with aclosing(behaviour(_parsed(request), context)) as answers:
                    async for answer in answers:
                        yield answer
            except BaseException as error:
                await self._fail(method, started, error, context)
                raise
            self._log.debug("stream", method=method, status="OK", seconds=round(time.monotonic() - started, 4))
            self._seen(method, "OK", time.monotonic() - started)

        return call

    async def _fail(self, method: str, started: float, error: BaseException, context: Context) -> None:
        """Ends the call with the status of `error`; returns where the error has to travel on as it is."""
        seconds = round(time.monotonic() - started, 4)
        if isinstance(error, asyncio.CancelledError | GeneratorExit | grpc.aio.AbortError):
            # The client went away or its deadline passed, or the call was ended on purpose already.
            self._log.debug("call", method=method, status="CANCELLED", seconds=seconds)
            self._seen(method, "CANCELLED", seconds)
            return
        if not isinstance(error, Exception):
            return
        incident = ""
        if isinstance(error, NoyauError):
            told = error
            self._log.info("call", method=method, status=told.kind.value, seconds=seconds, cause=told.cause)
        else:
            incident = uuid.uuid4().hex[:12]
            told = InternalError(
                f"The service failed unexpectedly (incident {incident}).",
                "Tell its operator the number; the log of the service has the details.",
            )
            self._log.error("call", method=method, status="INTERNAL", incident=incident, exc_info=error)
        self._seen(method, told.kind.value, seconds)
        await context.abort(status_code(told), status_message(told), detail_metadata(told, incident))


def _lenient(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """A parser that does not raise: gRPC would answer UNKNOWN, and the caller should be told INVALID_ARGUMENT."""
    if parse is None:
        return None

    def attempt(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return _Malformed()

    return attempt


def _parsed(request: Any) -> Any:
    if isinstance(request, _Malformed):
        raise InvalidInput(
            "The request is not a message of the type that this call takes.",
            "Generate the client from the .proto files of this version.",
        )
    return request


async def _all_parsed(requests: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    async for request in requests:
        yield _parsed(request)
