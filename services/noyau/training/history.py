"""The metrics of a run over its steps, kept as JSON lines beside the checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from noyau.domain.errors import NoyauError
from noyau.domain.progress import Reporter

LOG_NAME = "metrics.jsonl"
_STEPS = ("train/step", "val/step")
# While a run is young its training metrics are passed on at every report, later once per this share of its age.
_PASSED_SHARE = 50

Series = Mapping[str, Mapping[int, float]]
"""Values by step, by name of the metric."""


class LoggedReporter:
    """Passes everything on, and keeps the metrics.

    Args:
        inner: gets everything but the training metrics of steps that follow each other too closely.
        path: of the log; it is appended to.
        thin: whether to leave such metrics out of what is passed on.
    """

    def __init__(self, inner: Reporter, path: Path, *, thin: bool = False) -> None:
        self._inner, self._thin = inner, thin
        self._log: IO[str] = path.open("a")
        self._begun, self._passed, self._passing, self._step = time.monotonic(), 0.0, True, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._log.close()

    def stage(self, name: str) -> None:
        self._inner.stage(name)

    def progress(self, done: float, total: float, unit: str) -> None:
        self._inner.progress(done, total, unit)

    def log(self, message: str, level: str = "info") -> None:
        self._inner.log(message, level)

    def metric(self, name: str, value: float) -> None:
        age = time.monotonic() - self._begun
        if name in _STEPS:
            self._step = int(value)
        if name == _STEPS[0]:
            # The first metric of a report decides for all of it.
            self._passing = not self._thin or age - self._passed >= age / _PASSED_SHARE
            self._passed = age if self._passing else self._passed
        entry = {"t": round(age, 1), "step": self._step, "name": name, "value": float(f"{value:.5g}")}
        self._write(entry)
        if self._passing or not name.startswith("train/"):
            self._inner.metric(name, value)

    def check(self) -> None:
        try:
            self._inner.check()
        except NoyauError as stop:
            self._write({"stopped": str(stop)})
            raise

    def _write(self, entry: Mapping[str, Any]) -> None:
        self._log.write(json.dumps(entry) + "\n")
        self._log.flush()


def read_history(path: Path) -> Series:
    """Values by step; of a step that was done again after an interruption, the last ones. Half a line is left out."""
    series: dict[str, dict[int, float]] = {}
    if not path.is_file():
        return series
    for line in path.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if {"name", "step", "value"} <= set(entry) and entry["name"] not in _STEPS:
            series.setdefault(entry["name"], {})[int(entry["step"])] = float(entry["value"])
    return {name: dict(sorted(values.items())) for name, values in series.items()}
