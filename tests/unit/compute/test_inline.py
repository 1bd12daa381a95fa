"""The thread executor: dependencies, bounds, failures, stop."""

from __future__ import annotations

import threading
import time

import pytest
from noyau.compute.executor import Step, Task
from noyau.compute.inline import InlineExecutor
from noyau.domain.errors import InternalError, JobCancelled


def go_on() -> None:
    """A check that lets everything go on."""


def run(tasks, *, lanes=None, in_flight=None, done=lambda task, result: None, check=go_on):
    InlineExecutor().run(
        tasks, lanes=lanes or {"a": 2, "b": 1}, in_flight=in_flight or {"g": 3}, done=done, check=check
    )


def test_steps_hand_on_values_and_done_sees_every_result_in_the_callers_thread():
    seen = {}

    def done(task, result):
        assert threading.current_thread() is threading.main_thread()
        seen[task.key] = result

    tasks = [Task(str(i), "g", (Step("a", lambda _, i=i: i), Step("b", lambda v: v * 10))) for i in range(20)]
    run(tasks, done=done)
    assert seen == {str(i): i * 10 for i in range(20)}


def test_a_task_starts_after_its_needs():
    order = []
    lock = threading.Lock()

    def note(name):
        def call(_):
            with lock:
                order.append(name)

        return call

    tasks = [
        Task("last", "h", (Step("b", note("last")),), frozenset({"x", "y"})),
        Task("x", "g", (Step("a", note("x")),)),
        Task("y", "g", (Step("a", note("y")),), frozenset({"x"})),
    ]
    run(tasks, in_flight={"g": 2, "h": 1})
    assert order == ["x", "y", "last"]


def test_in_flight_bounds_the_tasks_of_a_group():
    active, peak = [0], [0]
    lock = threading.Lock()

    def enter(_):
        with lock:
            active[0] += 1
            peak[0] = max(peak[0], active[0])

    def leave(_):
        time.sleep(0.002)
        with lock:
            active[0] -= 1

    run([Task(str(i), "g", (Step("a", enter), Step("b", leave))) for i in range(30)], lanes={"a": 8, "b": 8})
    assert peak[0] == 3


def test_the_first_failure_ends_the_run_and_starts_nothing_more():
    started = []

    def work(i):
        def call(_):
            started.append(i)
            if i == 3:
                raise ValueError("three")
            time.sleep(0.001)

        return call

    with pytest.raises(ValueError, match="three"):
        run([Task(str(i), "g", (Step("b", work(i)),)) for i in range(100)])
    assert len(started) < 12


def test_a_stop_request_is_seen_quickly_and_no_thread_is_left():
    before = set(threading.enumerate())
    stop = time.monotonic() + 0.2

    def check():
        if time.monotonic() > stop:
            raise JobCancelled("Stop.")

    start = time.monotonic()
    with pytest.raises(JobCancelled):
        run([Task(str(i), "g", (Step("a", lambda _: time.sleep(0.05)),)) for i in range(1000)], check=check)
    assert time.monotonic() - start < 1.0
    assert set(threading.enumerate()) <= before


def test_a_failing_done_ends_the_run():
    def done(task, result):
        raise JobCancelled("The lease was lost.")

    with pytest.raises(JobCancelled, match="lease"):
        run([Task(str(i), "g", (Step("a", lambda _: 1),)) for i in range(5)], done=done)


def test_needs_that_nobody_meets_are_an_error_and_not_a_hang():
    with pytest.raises(InternalError, match="never start"):
        run([Task("a", "g", (Step("a", lambda _: 1),), frozenset({"nobody"}))])


def test_no_tasks_is_fine():
    run([])
