"""What supervisors hand to workers, and how handlers are found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from noyau.domain.errors import InvalidInput
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, SegmentSpec
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.jobs.config import WorkerConfig
from noyau.jobs.context import JobContext, do_cleanup, load_handlers
from noyau.jobs.process import describe_death
from noyau.jobs.runner import EXIT_LEASE_LOST
from noyau.jobs.settings import JobLimits, JobTimes


def plain(spec: SegmentSpec, context: JobContext) -> JobResult:
    return JobResult()


def build(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {settings["kind"]: plain}


def test_the_settings_survive_the_pipe() -> None:
    config = WorkerConfig("sqlite:///a", "w", "m:f", {"a": [1, None, "ü\n"]}, JobLimits(1, 2), JobTimes(lease=3.5))
    text = config.to_json()
    assert "\n" not in text
    assert WorkerConfig.from_json(text) == config


def test_handlers_come_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "some_handlers", sys.modules[__name__])
    assert load_handlers("some_handlers:build", {"kind": "segment"}) == {"segment": plain}
    for wrong in ("some_handlers:nothing", "no_such_module:build", "no colon", ""):
        with pytest.raises(InvalidInput, match="does not name"):
            load_handlers(wrong, {})


def test_a_plain_function_needs_no_clean_up(tmp_path: Path) -> None:
    context = JobContext("j", SilentReporter(), MemoryLedger(), tmp_path)
    do_cleanup(plain, SegmentSpec((ImageRef("a"),)), context)
    do_cleanup(None, SegmentSpec((ImageRef("a"),)), context)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (-9, "killed (signal 9; possibly out of memory)"),
        (-11, "killed (signal 11)"),
        (EXIT_LEASE_LOST, "could not reach the job database"),
        (3, "ended unexpectedly (exit status 3)"),
    ],
)
def test_deaths_are_described(status: int, words: str) -> None:
    assert words in describe_death(status)


def test_a_worker_is_not_started_by_hand() -> None:
    command = [sys.executable, "-m", "noyau.jobs.worker"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "started by the Noyau service" in done.stderr
