"""Previews in another process: results, errors, crashes, callers that go away, and a bounded queue."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from noyau.api.ports import PreviewOutcome, PreviewTask
from noyau.api.sidecar import Sidecar
from noyau.domain.errors import InternalError, InvalidInput, LimitExceeded

FACTORY = """
import os, sys, time
from noyau.api.ports import PreviewOutcome
from noyau.domain.errors import InvalidInput

def build(argument):
    def run(task):
        print("libraries talk")
        if task.model == "bad":
            raise InvalidInput("Bad crop.", "Send another.")
        if task.model == "bug":
            raise ValueError("secret")
        if task.model == "crash":
            os._exit(9)
        if task.model == "slow":
            time.sleep(60)
        return PreviewOutcome(f"{argument} {os.getpid()}", (task.image > 0).astype("uint32"))
    return run
"""


@pytest.fixture
async def sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sidecar]:
    (tmp_path / "preview_factory.py").write_text(FACTORY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = Sidecar("preview_factory:build", "hello", waiting=1)
    yield made
    await made.close()


def task(model: str | None = None) -> PreviewTask:
    return PreviewTask(np.arange(8).reshape(2, 2, 2), model=model)


async def pid_of(sidecar: Sidecar) -> int:
    return int((await sidecar.preview(task())).model.split()[1])


async def test_the_process_stays_and_carries_arrays(sidecar: Sidecar) -> None:
    outcome: PreviewOutcome = await sidecar.preview(task())
    assert outcome.model.startswith("hello ")
    np.testing.assert_array_equal(outcome.labels, task().image > 0)
    pid = await pid_of(sidecar)
    assert pid == int(outcome.model.split()[1]) != os.getpid()
    with pytest.raises(InvalidInput, match=r"Bad crop\. Send another\."):
        await sidecar.preview(task("bad"))
    with pytest.raises(InternalError) as caught:
        await sidecar.preview(task("bug"))
    assert "secret" not in str(caught.value)
    assert await pid_of(sidecar) == pid


async def test_a_crash_is_told_and_the_next_preview_works(sidecar: Sidecar) -> None:
    with pytest.raises(InternalError, match="exit code 9"):
        await sidecar.preview(task("crash"))
    assert await pid_of(sidecar) > 0


async def test_a_caller_that_goes_away_ends_the_work(sidecar: Sidecar) -> None:
    pid = await pid_of(sidecar)
    slow = asyncio.create_task(sidecar.preview(task("slow")))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert time.monotonic() - started < 2.0
    await until(lambda: not Path(f"/proc/{pid}").exists())
    assert await pid_of(sidecar) != pid


async def test_more_than_may_wait_are_refused(sidecar: Sidecar) -> None:
    await pid_of(sidecar)
    waiting = [asyncio.create_task(sidecar.preview(task("slow"))) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(LimitExceeded):
        await sidecar.preview(task())
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await pid_of(sidecar) > 0


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
