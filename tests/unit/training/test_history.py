"""The metrics of a run as they are kept, thinned and read."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.domain.errors import JobCancelled
from noyau.domain.progress import SilentReporter
from noyau.training import history
from noyau.training.history import LOG_NAME, LoggedReporter, read_history


class Metrics(SilentReporter):
    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []

    def metric(self, name: str, value: float) -> None:
        self.seen.append((name, value))

    def check(self) -> None:
        raise JobCancelled("enough")


def test_what_was_written_is_read_by_step(tmp_path: Path) -> None:
    path = tmp_path / LOG_NAME
    with LoggedReporter(SilentReporter(), path) as log:
        for step, loss in ((5, 2.0), (10, 1.0)):
            log.metric("train/step", step)
            log.metric("train/total", loss)
        log.metric("val/step", 10)
        log.metric("val/seg", 0.5)
    with LoggedReporter(Metrics(), path) as log:
        log.metric("train/step", 10)
        log.metric("train/total", 0.9)  # done again after an interruption
        with pytest.raises(JobCancelled):
            log.check()
    with path.open("a") as file:
        file.write('{"t": 3, "na')  # killed in the middle of a line
    assert read_history(path) == {"train/total": {5: 2.0, 10: 0.9}, "val/seg": {10: 0.5}}
    assert read_history(tmp_path / "absent") == {}


def test_training_metrics_are_thinned_and_validation_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(history.time, "monotonic", lambda: now[0])
    metrics = Metrics()
    with LoggedReporter(metrics, tmp_path / LOG_NAME, thin=True) as log:
        for step in range(2000):
            now[0] += 1.0
            log.metric("train/step", step)
            log.metric("train/total", 1.0)
            if step % 100 == 0:
                log.metric("val/seg", 0.5)
    passed = [name for name, _ in metrics.seen]
    assert passed.count("val/seg") == 20
    # A report a second at first, in the end one in forty seconds.
    assert 100 < passed.count("train/total") == passed.count("train/step") < 400
    assert len(read_history(tmp_path / LOG_NAME)["train/total"]) == 2000
