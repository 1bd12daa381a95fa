"""What runs the work of a job: tasks with dependencies, made of steps that run in lanes.

A task ends with its result safely stored and returns only a small manifest, so that an executor on many hosts can
run whole tasks elsewhere. Within a task the steps hand arrays to each other in memory. Lanes are the resources:
`read`, `network`, `decode`, ...; a lane runs at most so many steps at a time, whatever the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Step:
    """A part of a task. `call` gets what the previous step returned (None for the first)."""

    lane: str
    call: Callable[[Any], Any]


@dataclass(frozen=True)
class Order:
    """A task in words that a process on another host understands; all of it can be pickled and is small.

    Attributes:
        work: `module:function` there; it is called with what that process keeps warm, the argument, and a check that
            raises when the work should stop. It returns the same small manifest as the task's last step, and finds
            out by itself what an earlier try of the same order has stored.
        argument: what the function is to do; a frozen value.
        device: whether it needs the device that networks run on, and not only hands.
        label: names the order in messages.
    """

    work: str
    argument: Any
    device: bool
    label: str


@dataclass(frozen=True)
class Task:
    """A unit of work.

    Attributes:
        key: unique within a run.
        group: tasks of a group share one bound on how many are under way.
        steps: run one after another.
        needs: keys of the tasks that must be finished before this one starts.
        order: how to have it done by another process instead of by the steps; None where only this one can.
    """

    key: str
    group: str
    steps: tuple[Step, ...]
    needs: frozenset[str] = field(default_factory=frozenset)
    order: Order | None = None


class Executor(Protocol):
    """Runs tasks. Which order, how many at a time and where must never change a result."""

    def run(
        self,
        tasks: Sequence[Task],
        *,
        lanes: Mapping[str, int],
        in_flight: Mapping[str, int],
        done: Callable[[Task, Any], None],
        check: Callable[[], None],
    ) -> None:
        """Runs all tasks and returns when they are finished.

        Args:
            tasks: the work; a task whose needs are met starts in the order given.
            lanes: steps that may run at a time, by lane.
            in_flight: tasks that may be under way at a time, by group; this bounds the memory.
            done: called with each finished task and what its last step returned, always in the caller's thread.
            check: called several times a second in the caller's thread; raises to stop the work.

        Raises:
            Whatever a step, `done` or `check` raises first; nothing of the run is active any more by then.
            InternalError: tasks remain that can never start (their needs are not among the tasks).
        """
        ...
