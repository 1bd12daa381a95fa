"""Calls that nobody has to prove anything for: health and reflection. They must not take the places of the others.

Whoever reaches the service may open them and then say nothing, or watch health for ever. So they share few places, and
their requests have to arrive in time.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from noyau.api.rates import Rates
from noyau.api.receiving import in_time, lenient, the_only
from noyau.api.wire.errors import detail_metadata, status_code, status_message
from noyau.domain.errors import NoyauError

_EVERYBODY = "everybody"


class FreeCalls:
    """Wraps the handlers of such services.

    Args:
        places: calls of this kind that run at once.
        seconds: how long one message of a request may take to arrive.
    """

    def __init__(self, places: int, seconds: float) -> None:
        self._rates = Rates(at_once=places)
        self._seconds = seconds

    def wrap(self, handler: Any) -> Any:
        """The handler, within bounds."""
        parse, write = lenient(handler.request_deserializer), handler.response_serializer
        if not handler.response_streaming:
            return grpc.stream_unary_rpc_method_handler(self._one(handler.unary_unary), parse, write)
        many = bool(handler.request_streaming)
        serve = self._many(handler.stream_stream if many else handler.unary_stream, many)
        return grpc.stream_stream_rpc_method_handler(serve, parse, write)

    def _one(self, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def serve(_: Any, context: Any) -> Any:
            try:
                with self._rates.one_call(_EVERYBODY):
                    return await behaviour(await the_only(context, self._seconds), context)
            except NoyauError as error:
                return await _refuse(context, error)

        return serve

    def _many(self, behaviour: Callable[..., Any], many: bool) -> Callable[..., Awaitable[Any]]:
        async def serve(_: Any, context: Any) -> None:
            try:
                with self._rates.one_call(_EVERYBODY):
                    asked = in_time(context, self._seconds) if many else await the_only(context, self._seconds)
                    if not inspect.isasyncgenfunction(behaviour):
                        # Writes its answers by itself.
                        await behaviour(asked, context)
                        return
                    async for answer in behaviour(asked, context):
                        await context.write(answer)
            except NoyauError as error:
                await _refuse(context, error)

        return serve


async def _refuse(context: Any, error: NoyauError) -> None:
    await context.abort(status_code(error), status_message(error), detail_metadata(error))
