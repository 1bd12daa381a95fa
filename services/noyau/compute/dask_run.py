"""One set of orders from the first that is sent to the last manifest that comes back."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from noyau.compute.dask_slot import active_orders, do_order
from noyau.compute.executor import Order, Task
from noyau.compute.schedule import Schedule
from noyau.domain.errors import InternalError, JobCancelled, NoyauError

POLL_SECONDS = 0.1
_SETTLE_SECONDS = 1.0
_RESULT_SECONDS = 60.0
_MOST_REFUSALS = 4


class Workers(Protocol):
    """Who does the orders."""

    def client(self) -> Client:
        """The connection; another one than before where it was lost."""
        ...

    def await_workers(self) -> None:
        """Waits until somebody can do what is left."""
        ...

    def bound(self, task: Task) -> int:
        """Orders of the task's group that may be under way."""
        ...

    def demand_of(self, order: Order) -> dict[str, float]:
        """The resources that an order needs."""
        ...


class DaskRun:
    """One call of `DaskCrew.run`.

    Args:
        workers: those that do the orders.
        tasks: the work, each with an order.
        done, check: see `Executor.run`.
    """

    def __init__(
        self, workers: Workers, tasks: Sequence[Task], done: Callable[[Task, Any], None], check: Callable[[], None]
    ) -> None:
        self._workers = workers
        self._schedule = Schedule(tasks)
        self._done = done
        self._check = check
        self._name = uuid.uuid4().hex[:12]
        self._number = 0
        # One task stands for its group: those of a group need the same.
        self._kinds = {task.group: task for task in reversed(tasks)}
        self._refused: Counter[str] = Counter()
        self._sent: dict[str, tuple[Task, Future[Any]]] = {}
        self._ended: SimpleQueue[tuple[str, Any, BaseException | None]] = SimpleQueue()

    def finish(self) -> None:
        """Sends, collects, and on any failure withdraws what is under way."""
        client: Client | None = None
        try:
            while not self._schedule.is_finished:
                self._check()
                current = self._workers.client()
                if current is not client:
                    self._lost_all()
                    client = current
                self._send(client)
                for key, value, error in self._collect():
                    self._take(key, value, error)
        except BaseException:
            self._withdraw(client)
            raise

    def _send(self, client: Client) -> None:
        self._workers.await_workers()
        bounds = {group: self._workers.bound(task) for group, task in self._kinds.items()}
        for task in self._schedule.start(bounds):
            order = task.order
            if order is None:
                raise InternalError(f"The task {task.key} cannot be done on another host.")
            self._number += 1
            key = f"{self._name}-{self._number}"
            # What is nearer to its end first: it frees places in the scratch and in the plan.
            future = client.submit(
                do_order,
                order,
                self._name,
                key,
                key=key,
                pure=False,
                resources=self._workers.demand_of(order),
                priority=0 if order.device else 1,
            )
            self._sent[key] = (task, future)
            future.add_done_callback(self._harvest)
        if not self._sent and self._ended.empty():
            raise self._schedule.stuck()

    def _harvest(self, future: Future[Any]) -> None:
        """Runs in a thread of Dask: fetches the manifest, which may have to be made again where a worker died."""
        try:
            self._ended.put((str(future.key), future.result(timeout=_RESULT_SECONDS), None))
        except BaseException as error:
            self._ended.put((str(future.key), None, error))

    def _collect(self) -> list[tuple[str, Any, BaseException | None]]:
        found: list[tuple[str, Any, BaseException | None]] = []
        with suppress(Empty):
            found.append(self._ended.get(timeout=POLL_SECONDS))
            while True:
                found.append(self._ended.get_nowait())
        return found

    def _take(self, key: str, value: Any, error: BaseException | None) -> None:
        known = self._sent.pop(key, None)
        if known is None:
            return  # of a connection that was lost; it has been sent again
        task, _ = known
        if error is None:
            self._done(task, value)
            self._schedule.release(task)
        elif isinstance(error, CancelledError | OSError | TimeoutError) or self._was_let_go(task, error):
            self._schedule.again(task)
        else:
            raise _explained(task, error) from error

    def _was_let_go(self, task: Task, error: BaseException) -> bool:
        """Whether a worker stopped although nobody here asked for it, as one does that is told to end."""
        self._refused[task.key] += isinstance(error, JobCancelled)
        return isinstance(error, JobCancelled) and self._refused[task.key] < _MOST_REFUSALS

    def _lost_all(self) -> None:
        for task, _ in self._sent.values():
            self._schedule.again(task)
        self._sent.clear()

    def _withdraw(self, client: Client | None) -> None:
        """Cancels, and waits a moment for the workers to let go, since the caller removes what they write to."""
        if client is None or not self._sent:
            return
        with suppress(OSError, TimeoutError, RuntimeError, CancelledError):
            client.cancel([future for _, future in self._sent.values()], force=True)
            deadline = time.monotonic() + _SETTLE_SECONDS
            while any(client.run(active_orders, self._name, on_error="ignore").values()):
                if time.monotonic() > deadline:
                    break
                time.sleep(POLL_SECONDS)


def _explained(task: Task, error: BaseException) -> BaseException:
    if isinstance(error, NoyauError):
        return error
    if isinstance(error, KilledWorker):
        return InternalError(
            f"{error.allowed_failures + 1} workers in a row died with the same part of the job ({task.key}), the last "
            f"one at {error.last_worker.address}.",
            "Probably their memory ran out: use a smaller tile or batch, or give the workers more memory.",
        )
    label = task.order.label if task.order else task.key
    return InternalError(
        f"A worker failed with {type(error).__name__} in {label}.", "The log of the worker has details."
    )
