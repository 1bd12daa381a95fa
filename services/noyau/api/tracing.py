"""Calls as spans: the outermost interceptor continues the trace of the caller (`traceparent` in the metadata).

What a call does is on its account: log lines name the trace, and a job that it submits belongs to it. Where no spans
are recorded, the caller's position is handed on all the same.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
import structlog

from noyau.domain.observing import current, within
from noyau.domain.tracing import HEADER, TraceContext, Tracer

STATUS = "rpc.grpc.status_code"


class Tracing(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic for the type checker only
    """See the module.

    Args:
        tracer: records the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(("/noyau.", "/inference.")):
            # Health is asked every few seconds.
            return handler
        parent = parent_of(handler_call_details.invocation_metadata)
        parse, serialise = handler.request_deserializer, handler.response_serializer
        many = bool(handler.request_streaming)
        if handler.response_streaming:
            make = grpc.stream_stream_rpc_method_handler if many else grpc.unary_stream_rpc_method_handler
            stream = handler.stream_stream if many else handler.unary_stream
            return make(self._stream(method, parent, stream), parse, serialise)
        make = grpc.stream_unary_rpc_method_handler if many else grpc.unary_unary_rpc_method_handler
        call = handler.stream_unary if many else handler.unary_unary
        return make(self._unary(method, parent, call), parse, serialise)

    def _unary(
        self, method: str, parent: TraceContext | None, behaviour: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, context: Any) -> Any:
            with self._tracer.span(method[1:], parent, facts_of(method), "server") as span:
                position = span.context
                names = {"trace": position.trace_id} if position is not None else {}
                scope = current().at(position)
                with structlog.contextvars.bound_contextvars(**names), within(scope):
                    try:
                        return await behaviour(request, context)
                    finally:
                        span.set({STATUS: _status(context)})

        return call

    def _stream(
        self, method: str, parent: TraceContext | None, behaviour: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., AsyncGenerator[Any, None]]:
        async def call(request: Any, context: Any) -> AsyncGenerator[Any, None]:
            # Told when it is over: a generator may be closed in another context than it was begun in.
            began = time.time_ns()
            try:
                async with aclosing(behaviour(request, context)) as answers:
                    async for answer in answers:
                        yield answer
            finally:
                facts = {**facts_of(method), STATUS: _status(context)}
                self._tracer.record(method[1:], parent, began, time.time_ns(), facts)

        return call


def parent_of(metadata: Any) -> TraceContext | None:
    """The position that a caller has sent; None where there is none that can be read."""
    for name, value in metadata or ():
        if name == HEADER and isinstance(value, str):
            return TraceContext.parse(value)
    return None


def facts_of(method: str) -> dict[str, str | int | float | bool]:
    """Attributes of a call, by the conventions of OpenTelemetry."""
    _, service, name = method.split("/", 2)
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}


def _status(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "OK"
