"""A watch sends every event once, over a connection that breaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from noyau.api.wire.events import event_to_wire
from noyau.client import watching
from noyau.client.watching import Watcher
from noyau.domain.errors import NotFound, Unavailable
from noyau.domain.jobs import Event, EventKind
from noyau.v1 import jobs_pb2


class Broken(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "connection reset"

    def trailing_metadata(self) -> tuple[()]:
        return ()


class FakeStub:
    """Serves `events`, a few per stream, and breaks in between with the given statuses."""

    def __init__(self, events: list[Event], per_stream: int, breaks: list[grpc.StatusCode]) -> None:
        self._events, self._per_stream, self._breaks = events, per_stream, breaks
        self.asked: list[int] = []
        self.sent: list[Any] = []

    def Watch(self, request: jobs_pb2.WatchJobRequest, metadata: Any = None) -> Any:
        self.sent.append(metadata)
        self.asked.append(request.after_seq)
        return Stream(self._answers(request.after_seq))

    def _answers(self, after: int) -> Iterator[jobs_pb2.WatchJobResponse]:
        for event in self._events[after : after + self._per_stream]:
            yield jobs_pb2.WatchJobResponse(event=event_to_wire(event))
        if after + self._per_stream < len(self._events):
            raise Broken(self._breaks.pop(0))


class Stream:
    def __init__(self, answers: Iterator[jobs_pb2.WatchJobResponse]) -> None:
        self._answers = answers

    def __iter__(self) -> Iterator[jobs_pb2.WatchJobResponse]:
        return self._answers

    def cancel(self) -> None: ...


def history(count: int) -> list[Event]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stages = [Event("j", i, now, EventKind.STAGE, {"name": str(i)}) for i in range(1, count)]
    return [*stages, Event("j", count, now, EventKind.STATE, {"state": "SUCCEEDED"})]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(watching.time, "sleep", slept.append)
    return slept


def test_lost_connections_are_taken_up_where_they_broke(quick: list[float]) -> None:
    lost = [grpc.StatusCode.UNAVAILABLE] * 9
    stub: Any = FakeStub(history(7), 2, lost)
    assert list(Watcher(stub, "here", 60).events("j", 0, True)) == history(7)
    assert stub.asked == [0, 2, 4, 6]
    assert len(quick) == 3


def test_pauses_grow_while_nothing_comes(quick: list[float]) -> None:
    stub: Any = FakeStub(history(3), 0, [grpc.StatusCode.UNAVAILABLE] * 8)
    with pytest.raises(IndexError):
        list(Watcher(stub, "here", 1e9).events("j", 0, True))
    assert len(quick) == 8
    assert max(quick) <= watching.LONGEST_PAUSE
    assert quick[-1] > quick[0]


def test_impatience_gives_up() -> None:
    stub: Any = FakeStub(history(3), 0, [grpc.StatusCode.UNAVAILABLE])
    with pytest.raises(Unavailable):
        list(Watcher(stub, "here", 0).events("j", 0, True))


def test_other_errors_are_not_tried_again() -> None:
    stub: Any = FakeStub(history(3), 0, [grpc.StatusCode.NOT_FOUND])
    with pytest.raises(NotFound):
        list(Watcher(stub, "here", 60).events("j", 0, True))
    assert stub.asked == [0]
