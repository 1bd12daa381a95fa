"""Which task may start next: dependencies and bounds, whoever runs the tasks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence

from noyau.compute.executor import Task
from noyau.domain.errors import InternalError


class Schedule:
    """The tasks of one run that have not finished. Used by one thread.

    Args:
        tasks: the work; tasks whose needs are met start in the order given.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._left = len(tasks)
        self._waiting = {task.key: set(task.needs) for task in tasks}
        self._dependents: dict[str, list[Task]] = {}
        self._ready: dict[str, deque[Task]] = {task.group: deque() for task in tasks}
        self._active: Counter[str] = Counter()
        for task in tasks:
            for need in task.needs:
                self._dependents.setdefault(need, []).append(task)
            if not task.needs:
                self._ready[task.group].append(task)

    @property
    def is_finished(self) -> bool:
        """Whether no task is left."""
        return self._left == 0

    def start(self, in_flight: Mapping[str, int]) -> Iterator[Task]:
        """Tasks to start now, at most so many of a group under way; each counts as started when it is given out."""
        for group, queue in self._ready.items():
            while queue and self._active[group] < in_flight.get(group, 1):
                self._active[group] += 1
                yield queue.popleft()

    def release(self, task: Task) -> None:
        """Frees the place of a finished task and makes ready what waited for it."""
        self._left -= 1
        self._active[task.group] -= 1
        del self._waiting[task.key]
        for dependent in self._dependents.pop(task.key, ()):
            needs = self._waiting[dependent.key]
            needs.discard(task.key)
            if not needs:
                self._ready[dependent.group].append(dependent)

    def again(self, task: Task) -> None:
        """Puts a started task back, in front: whoever ran it is gone."""
        self._active[task.group] -= 1
        self._ready[task.group].appendleft(task)

    def stuck(self) -> InternalError:
        """The error for a run in which nothing is under way although tasks are left."""
        waiting = sorted(key for key, needs in self._waiting.items() if needs)
        return InternalError(f"{self._left} tasks can never start, among them {waiting[0] if waiting else '?'}.")
