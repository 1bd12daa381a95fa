"""Previews run in a process of their own, so that a crash or a lack of memory there cannot take the service along.

The process starts with the first preview and stays, with its networks warm. One preview runs at a time. When a caller
goes away, the process is ended and the next preview starts a fresh one: a forward pass cannot be interrupted otherwise.
"""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import structlog

from noyau.api.ports import PreviewOutcome, PreviewTask
from noyau.domain.errors import InternalError, LimitExceeded, NoyauError

Run = Callable[[PreviewTask], PreviewOutcome]


class Sidecar:
    """A `Previewer` in another process.

    Args:
        factory: `module:function`; called there with `argument`, it returns the function that runs a preview.
        argument: text for the factory (settings as JSON).
        waiting: previews that may wait for the one that runs.
    """

    def __init__(self, factory: str, argument: str, waiting: int) -> None:
        self._factory = factory
        self._argument = argument
        self._most = waiting + 1
        self._count = 0
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        # The pipe is blocking; one thread talks to it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="noyau-preview")
        self._log = structlog.get_logger("noyau.preview")

    async def preview(self, task: PreviewTask) -> PreviewOutcome:
        """Runs a crop when it is its turn. Cancelling the call ends the work.

        Raises:
            LimitExceeded: too many are waiting.
            InternalError: the process died, e.g. for lack of memory.
            NoyauError: what the pipeline says of the crop.
        """
        if self._count >= self._most:
            raise LimitExceeded(
                f"{self._count} previews are running or waiting, which is the limit.", "Try again in a moment."
            )
        self._count += 1
        try:
            async with self._turn:
                return await self._run(task)
        finally:
            self._count -= 1

    async def close(self) -> None:
        """Ends the process."""
        self._kill()
        self._thread.shutdown(wait=True)

    async def _run(self, task: PreviewTask) -> PreviewOutcome:
        loop = asyncio.get_running_loop()
        exchange = loop.run_in_executor(self._thread, self._exchange, task)
        try:
            answer = await asyncio.shield(exchange)
        except asyncio.CancelledError:
            self._kill()
            # The thread sees the closed pipe at once; the next preview must not start before it is free.
            await asyncio.gather(exchange, return_exceptions=True)
            raise
        except (EOFError, OSError) as error:
            code = self._kill()
            raise InternalError(
                f"The preview process ended unexpectedly (exit code {code}).",
                "A smaller crop may help; the log of the service has more.",
            ) from error
        if isinstance(answer, NoyauError):
            raise answer
        if isinstance(answer, str):
            self._log.error("preview failed", traceback=answer)
            raise InternalError("The preview failed unexpectedly.", "The log of the service has the details.")
        outcome: PreviewOutcome = answer
        return outcome

    def _exchange(self, task: PreviewTask) -> Any:
        """In the thread: starts the process if need be, sends the task and waits for the answer."""
        if self._process is None or self._process.poll() is not None:
            self._kill()
            self._process, self._pipe = _start(self._factory, self._argument)
        pipe = self._pipe
        if pipe is None:
            raise EOFError
        pipe.send(task)
        return pipe.recv()

    def _kill(self) -> int | None:
        """Ends the process, if there is one, and returns its exit status."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is not None:
            process.kill()
            process.wait()
        if pipe is not None:
            pipe.close()
        return None if process is None else process.returncode


def _start(factory: str, argument: str) -> tuple[subprocess.Popen[bytes], Connection]:
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            # -P: the folder that the service happens to run in is no place to import from.
            [sys.executable, "-P", "-m", "noyau.api.sidecar", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            # Standard output belongs to the caller's results; what libraries print goes to the log.
            stdout=2,
            # Away from the terminal's process group: Ctrl-C is for the service.
            start_new_session=True,
        )
    # Not on the command line, where other users could read a password.
    ours.send((factory, argument))
    return process, ours


def _serve(pipe: Connection) -> None:
    """The process: answers tasks until the service closes the pipe or dies."""
    run: Run | None = None
    try:
        factory, argument = pipe.recv()
        module, _, function = factory.partition(":")
        while True:
            task = pipe.recv()
            answer: PreviewOutcome | NoyauError | str
            try:
                run = run or getattr(importlib.import_module(module), function)(argument)
                answer = run(task)
            except NoyauError as error:
                answer = error
            except Exception:
                answer = traceback.format_exc()
            pipe.send(answer)
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
