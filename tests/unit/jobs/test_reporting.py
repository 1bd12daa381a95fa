"""Progress is thinned, but the last word is kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from noyau.domain.errors import JobCancelled
from noyau.domain.jobs import EventKind
from noyau.jobs import reporting
from noyau.jobs.reporting import StoreReporter


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reporting, "time", clock)
    return clock


@pytest.fixture
def rows() -> list[tuple[EventKind, Mapping[str, Any]]]:
    return []


@pytest.fixture
def reporter(rows: list[tuple[EventKind, Mapping[str, Any]]], clock: Clock) -> StoreReporter:
    return StoreReporter(lambda kind, payload: rows.append((kind, payload)), threading.Event())


def test_a_hundred_thousand_tiles_cost_few_rows(reporter: StoreReporter, rows: list[Any], clock: Clock) -> None:
    reporter.stage("predict")
    for done in range(1, 100_001):
        clock.now += 0.01  # 1000 s in all
        reporter.progress(done, 100_000, "tile")
    reporter.stage("write")
    progress = [payload for kind, payload in rows if kind is EventKind.PROGRESS]
    assert 300 < len(progress) < 1500
    assert progress[0]["done"] == 1
    assert progress[-1] == {"stage": "predict", "done": 100_000, "total": 100_000, "unit": "tile"}
    assert [kind for kind, _ in rows][-1] is EventKind.STAGE


def test_at_most_four_rows_a_second(reporter: StoreReporter, rows: list[Any], clock: Clock) -> None:
    for done in range(200):
        clock.now += 0.01
        reporter.progress(done, 200, "tile")
    assert 7 <= len(rows) <= 9


def test_a_long_stage_still_tells_every_five_seconds(reporter: StoreReporter, rows: list[Any], clock: Clock) -> None:
    reporter.stage("train")
    clock.now += 1e6
    reporter.progress(1, 9, "epoch")
    for _ in range(80):
        clock.now += 0.125
        reporter.progress(2, 9, "epoch")
    assert len(rows) == 1 + 1 + 2


def test_kept_progress_comes_with_the_next_flush(reporter: StoreReporter, rows: list[Any], clock: Clock) -> None:
    reporter.progress(1, 9, "tile")
    reporter.progress(2, 9, "tile")
    reporter.flush()
    assert [payload["done"] for _, payload in rows] == [1]
    clock.now += 1
    reporter.flush()
    reporter.flush()
    assert [payload["done"] for _, payload in rows] == [1, 2]
    reporter.progress(3, 9, "tile")
    reporter.flush(force=True)
    assert [payload["done"] for _, payload in rows] == [1, 2, 3]


def test_messages_keep_their_place_and_number(reporter: StoreReporter, rows: list[Any]) -> None:
    reporter.progress(1, 9, "tile")
    reporter.progress(2, 9, "tile")
    reporter.log("hello", "warning")
    reporter.metric("rate", 2)
    assert [kind for kind, _ in rows] == [EventKind.PROGRESS, EventKind.PROGRESS, EventKind.LOG, EventKind.METRIC]
    assert rows[2][1] == {"level": "warning", "message": "hello"}
    assert rows[3][1] == {"name": "rate", "value": 2.0}
    for _ in range(5000):
        reporter.log("x" * 5000)
    assert len(rows) < 1100
    assert rows[-1][1]["message"] == "Further messages are not kept."
    assert max(len(payload.get("message", "")) for _, payload in rows) == 2000


def test_check_raises_once_cancel_is_asked_for() -> None:
    cancelled = threading.Event()
    reporter = StoreReporter(lambda kind, payload: None, cancelled)
    reporter.check()
    cancelled.set()
    with pytest.raises(JobCancelled):
        reporter.check()
