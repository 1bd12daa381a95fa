"""What happens around every call: the caller is made out, errors become gRPC statuses, and it is written down.

This interceptor is the one place for all of it. A call goes this way: the gate tells who calls, before any of the
request is read; the caller's allowance is looked at; the request is read, within a time; the servicer answers. Then
one line is logged and, where it concerns jobs or models, one is added to the audit log.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import structlog

from noyau.api.audit import AuditLog, entry_of
from noyau.api.call import Call
from noyau.api.free_calls import FreeCalls
from noyau.api.gate import Gate
from noyau.api.rates import Rates, host_of
from noyau.api.receiving import in_time, lenient, the_only
from noyau.api.wire.errors import detail_metadata, retry_metadata, status_code, status_message
from noyau.domain.errors import InternalError, NoyauError, Unauthenticated
from noyau.domain.principal import Principal

Seen: TypeAlias = Callable[[str, str, float], None]
"""Told of every call that has ended: method, gRPC status, seconds."""
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True)
class Protection:
    """What a service does about callers.

    Attributes:
        gate: tells who calls; by default everybody may do everything.
        rates: how much one caller may ask.
        audit: where it is written down; None writes nothing.
        request_seconds: how long one message of a request may take to arrive.
    """

    gate: Gate = field(default_factory=Gate)
    rates: Rates = field(default_factory=Rates)
    audit: AuditLog | None = None
    request_seconds: float = 60.0

    def close(self) -> None:
        """Ends the gate's threads and closes the audit log."""
        self.gate.close()
        if self.audit is not None:
            self.audit.close()


@dataclass
class _Passage:
    """One call while it is served: what the lines about it need to know."""

    method: str
    context: Any
    started: float = field(default_factory=time.monotonic)
    caller: Principal | None = None
    request: Any = None
    answer: Any = None

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.started, 4)


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic for the type checker only
    """Maps what servicers raise to a status, and writes one log line per call.

    A NoyauError is told to the caller in full. Anything else is a bug: the caller gets INTERNAL with an incident
    number, the traceback goes to the log only.
    """

    def __init__(
        self,
        seen: Seen = lambda method, code, seconds: None,
        protection: Protection | None = None,
        free_places: int = 64,
    ) -> None:
        """See the class.

        Args:
            seen: told of every call that has ended.
            protection: what is done about callers.
            free_places: calls of health and reflection that run at once.
        """
        self._log = structlog.get_logger("noyau.api")
        self._seen = seen
        self._protection = protection or Protection()
        self._free = FreeCalls(free_places, self._protection.request_seconds)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        ours = handler_call_details.method.startswith(("/noyau.", "/inference."))
        if handler is None:
            return None
        if not ours:
            # Health and reflection, which have their own ways.
            return self._free.wrap(handler)
        method, many = handler_call_details.method, bool(handler.request_streaming)
        parse = lenient(handler.request_deserializer)
        if handler.response_streaming:
            behaviour = handler.stream_stream if many else handler.unary_stream
            serve = self._stream(method, behaviour, many)
            return grpc.stream_stream_rpc_method_handler(serve, parse, handler.response_serializer)
        behaviour = handler.stream_unary if many else handler.unary_unary
        return grpc.stream_unary_rpc_method_handler(
            self._unary(method, behaviour, many), parse, handler.response_serializer
        )

    def _unary(
        self, method: str, behaviour: Callable[..., Awaitable[Any]], many: bool
    ) -> Callable[..., Awaitable[Any]]:
        """A call with one answer."""

        async def serve(_: Any, context: Context) -> Any:
            passage = _Passage(method, context)
            try:
                caller = passage.caller = await self._protection.gate.admit(method, context)
                with self._protection.rates.one_call(caller.name or host_of(context.peer())):
                    passage.request = await self._received(context, many)
                    passage.answer = await behaviour(passage.request, Call(context, caller))
            except BaseException as error:
                await self._fail(passage, error)
                raise
            self._ended(passage, "OK")
            return passage.answer

        return serve

    def _stream(
        self, method: str, behaviour: Callable[..., AsyncGenerator[Any, None]], many: bool
    ) -> Callable[..., AsyncGenerator[Any, None]]:
        """A call with many answers."""

        async def serve(_: Any, context: Context) -> AsyncGenerator[Any, None]:
            passage = _Passage(method, context)
            try:
                caller = passage.caller = await self._protection.gate.admit(method, context)
                with self._protection.rates.one_call(caller.name or host_of(context.peer())):
                    passage.request = await self._received(context, many)
                    async with aclosing(behaviour(passage.request, Call(context, caller))) as answers:
                        async for answer in answers:
                            _refuse_expired(caller)
                            yield answer
            except BaseException as error:
                await self._fail(passage, error)
                raise
            self._ended(passage, "OK")

        return serve

    async def _received(self, context: Context, many: bool) -> Any:
        seconds = self._protection.request_seconds
        return in_time(context, seconds) if many else await the_only(context, seconds)

    async def _fail(self, passage: _Passage, error: BaseException) -> None:
        """Ends the call with the status of `error`; returns where the error has to travel on as it is."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit | grpc.aio.AbortError):
            # The client went away or its deadline passed, or the call was ended on purpose already.
            self._ended(passage, "CANCELLED")
            return
        if not isinstance(error, Exception):
            return
        incident = ""
        if isinstance(error, NoyauError):
            told = error
            self._ended(passage, told.kind.value, cause=told.cause)
        else:
            incident = uuid.uuid4().hex[:12]
            told = InternalError(
                f"The service failed unexpectedly (incident {incident}).",
                "Tell its operator the number; the log of the service has the details.",
            )
            self._ended(passage, "INTERNAL", incident=incident, exc_info=error)
        metadata = (*detail_metadata(told, incident), *retry_metadata(told))
        await passage.context.abort(status_code(told), status_message(told), metadata)

    def _ended(self, passage: _Passage, status: str, **more: Any) -> None:
        write = self._log.error if "incident" in more else self._log.info if "cause" in more else self._log.debug
        write("call", method=passage.method, status=status, seconds=passage.seconds, **more)
        self._seen(passage.method, status, passage.seconds)
        audit = self._protection.audit
        if audit is not None and audit.wants(passage.method, status):
            peer = passage.context.peer()
            audit.write(entry_of(passage.method, status, passage.caller, peer, passage.request, passage.answer))


def _refuse_expired(caller: Principal) -> None:
    """A stream may outlast the proof that opened it; it ends with its first answer after that."""
    if caller.expires is not None and time.time() > caller.expires:
        raise Unauthenticated("The token has expired.", "Watch again from the last number with a new token.")
