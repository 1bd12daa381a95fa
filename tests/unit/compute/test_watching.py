"""Steps are timed by lane, also those that fail; what the executor does stays the same."""

from __future__ import annotations

import time
from typing import Any

import pytest
from noyau.compute.executor import Step, Task
from noyau.compute.inline import InlineExecutor
from noyau.domain.meters import Meter
from noyau.domain.observing import Scope, within
from noyau.domain.tracing import Attributes, SilentTracer, TraceContext

HERE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


class Recorder(SilentTracer):
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.spans: dict[str, tuple[TraceContext | None, int, int, dict[str, Any]]] = {}

    def record(
        self, name: str, parent: TraceContext | None, start_ns: int, end_ns: int, attributes: Attributes | None = None
    ) -> None:
        self.spans[name] = (parent, start_ns, end_ns, dict(attributes or {}))


def run(tasks: list[Task], scope: Scope) -> list[Any]:
    results: list[Any] = []
    with within(scope):
        InlineExecutor().run(
            tasks,
            lanes={"read": 2, "network": 1},
            in_flight={"predict": 2},
            done=lambda task, result: results.append(result),
            check=lambda: None,
        )
    return results


def wait(_: Any) -> int:
    time.sleep(0.02)
    return 1


def test_every_lane_has_its_time_and_one_span() -> None:
    recorder, meter = Recorder(), Meter()
    tasks = [
        Task(str(n), "predict", (Step("read", wait), Step("network", lambda value, n=n: value + n))) for n in range(3)
    ]
    before = time.time_ns()
    assert sorted(run(tasks, Scope(HERE, recorder, meter))) == [1, 2, 3]
    busy = meter.take()
    assert set(busy) == {"step/read", "step/infer"}
    assert busy["step/read"] >= 3 * 0.02
    assert set(recorder.spans) == {"read", "infer"}
    parent, start, end, facts = recorder.spans["read"]
    assert parent == HERE
    assert before <= start < end <= time.time_ns()
    assert facts == {"noyau.steps": 3, "noyau.busy_seconds": busy["step/read"]}


def test_what_failed_is_counted_too() -> None:
    def fail(_: Any) -> None:
        wait(None)
        raise RuntimeError("boom")

    meter = Meter()
    with pytest.raises(RuntimeError, match="boom"):
        run([Task("a", "predict", (Step("read", fail), Step("network", wait)))], Scope(HERE, Recorder(), meter))
    assert set(meter.take()) == {"step/read"}
