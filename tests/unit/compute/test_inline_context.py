"""Threads of the executor work in the context of their caller, so that their log lines name the job."""

from __future__ import annotations

from contextvars import ContextVar

from noyau.compute.executor import Step, Task
from noyau.compute.inline import InlineExecutor

JOB: ContextVar[str] = ContextVar("job", default="none")


def test_steps_see_what_the_caller_has_bound() -> None:
    seen: list[str] = []
    tasks = [Task(str(n), "g", (Step("a", lambda _: seen.append(JOB.get())),)) for n in range(3)]
    token = JOB.set("7")
    try:
        InlineExecutor().run(
            tasks, lanes={"a": 2}, in_flight={"g": 2}, done=lambda task, result: None, check=lambda: None
        )
    finally:
        JOB.reset(token)
    assert seen == ["7"] * 3
