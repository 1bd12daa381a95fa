"""Calls of the client as spans; the service continues their trace (`traceparent` in the metadata)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from noyau.api.tracing import STATUS, facts_of
from noyau.domain.observing import current
from noyau.domain.tracing import HEADER, TraceContext, Tracer


class ClientTracing(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]  # generic for the type checker only
    grpc.StreamUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Interceptor of a channel. Streams of answers (Watch) hand the trace on without a span of their own.

    Args:
        tracer: records the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return self._call(continuation, details, request)

    def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        return self._call(continuation, details, requests)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return continuation(_sent(details, position()), request)

    def _call(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        method = str(details.method)
        with self._tracer.span(method[1:], position(), facts_of(method), "client") as span:
            outcome = continuation(_sent(details, span.context), request)
            span.set({STATUS: outcome.code().name})
            return outcome


def position() -> TraceContext | None:
    """Where the caller is: by our own account, or by OpenTelemetry's where the calling program uses it."""
    own = current().trace
    # Not imported: a program that uses it has done so.
    library = sys.modules.get("opentelemetry.trace")
    if own is not None or library is None:
        return own
    found = library.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled)


@dataclass(frozen=True)
class _Details(grpc.ClientCallDetails):
    """What gRPC wants to know of a call."""

    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str], ...] | None
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


def _sent(details: Any, at: TraceContext | None) -> Any:
    """The same call with the position in its metadata."""
    if at is None:
        return details
    metadata = (*(details.metadata or ()), (HEADER, at.header))
    return _Details(
        details.method,
        details.timeout,
        metadata,
        details.credentials,
        getattr(details, "wait_for_ready", None),
        getattr(details, "compression", None),
    )
