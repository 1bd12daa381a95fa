"""Blocking calls from servicers: a bounded pool of threads, so that a slow database cannot take the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """Runs functions in at most `count` threads."""

    def __init__(self, count: int = 8) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="noyau-api")

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        # With the call's context: log lines of the thread name its trace, and a job that it submits belongs to it.
        work = partial(copy_context().run, partial(function, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
