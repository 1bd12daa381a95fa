"""The default executor: threads of this process, one bounded pool per lane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from noyau.compute.executor import Task
from noyau.compute.schedule import Schedule
from noyau.compute.watching import watching
from noyau.domain.errors import InternalError

POLL_SECONDS = 0.1
"""How long a stop request may wait to be seen."""


class InlineExecutor:
    """Runs tasks on threads. The caller's thread schedules; worker threads only compute."""

    def run(
        self,
        tasks: Sequence[Task],
        *,
        lanes: Mapping[str, int],
        in_flight: Mapping[str, int],
        done: Callable[[Task, Any], None],
        check: Callable[[], None],
    ) -> None:
        """See `Executor.run`."""
        with watching(tasks) as timed, ExitStack() as stack:
            pools = {
                lane: stack.enter_context(ThreadPoolExecutor(size, thread_name_prefix=f"noyau-{lane}"))
                for lane, size in lanes.items()
            }
            schedule = Schedule(timed)
            run = _Run(pools, in_flight, schedule)
            # Runs before the pools are joined: what has not begun yet never begins.
            stack.callback(run.stop)
            while not schedule.is_finished:
                check()
                run.start_ready()
                for task, result in run.finished_tasks(POLL_SECONDS):
                    done(task, result)
                    schedule.release(task)


@dataclass
class _Run:
    """The state of one call of `run`; touched by the scheduling thread only, except for `_results`."""

    pools: Mapping[str, ThreadPoolExecutor]
    limits: Mapping[str, int]
    schedule: Schedule
    _results: SimpleQueue[tuple[Task, int, Future[Any]]] = field(default_factory=SimpleQueue)
    _futures: set[Future[Any]] = field(default_factory=set)
    _stopped: bool = False

    def start_ready(self) -> None:
        """Starts as many ready tasks as the bounds allow."""
        for task in self.schedule.start(self.limits):
            self._submit(task, 0, None)
        if not self._futures and self._results.empty():
            raise self.schedule.stuck()

    def finished_tasks(self, timeout: float) -> list[tuple[Task, Any]]:
        """Waits for steps to end, hands tasks on to their next step, and returns the tasks that are through."""
        ended: list[tuple[Task, Any]] = []
        try:
            entry = self._results.get(timeout=timeout)
            while True:
                task, index, future = entry
                self._futures.discard(future)
                result = future.result()
                if index + 1 < len(task.steps):
                    self._submit(task, index + 1, result)
                else:
                    ended.append((task, result))
                entry = self._results.get_nowait()
        except Empty:
            return ended

    def stop(self) -> None:
        """Nothing new begins after this."""
        self._stopped = True
        for future in self._futures:
            future.cancel()

    def _submit(self, task: Task, index: int, value: Any) -> None:
        step = task.steps[index]
        # With the caller's context, so that log lines from the threads name the job as well.
        future = self.pools[step.lane].submit(copy_context().run, self._call, step.call, value)
        self._futures.add(future)
        future.add_done_callback(lambda f: None if f.cancelled() else self._results.put((task, index, f)))

    def _call(self, call: Callable[[Any], Any], value: Any) -> Any:
        if self._stopped:
            raise InternalError("The run was stopped before this step began.")
        return call(value)
