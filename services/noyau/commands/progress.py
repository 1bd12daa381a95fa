"""Progress of a job on standard error: a bar with rate and remaining time, or one line per stage without a terminal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import typer

from noyau.domain.errors import JobCancelled
from noyau.domain.jobs import Event, EventKind


class ProgressView:
    """Shows the events of one job, or of several in turn. Use it as a context manager.

    It is a `Reporter` as well, for commands that run a pipeline in their own process.

    Args:
        enabled: False shows warnings only.
    """

    def __init__(self, enabled: bool = True) -> None:
        self._bars: Any = None
        self._task: Any = None
        self._stage = ""
        self._enabled = enabled
        self._stop = False
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._enabled and self._terminal:
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def event(self, event: Event) -> None:
        """Shows one event."""
        payload = event.payload
        match event.kind:
            case EventKind.STAGE:
                self.stage(payload["name"])
            case EventKind.PROGRESS:
                self.stage(payload["stage"])
                self.progress(payload["done"], payload["total"], payload["unit"])
            case EventKind.LOG:
                self.log(payload["message"], payload["level"])

    def stage(self, name: str) -> None:
        """A new stage begins; the same name again goes on with the old one."""
        if not name or name == self._stage:
            return
        self._stage = name
        if self._bars is not None:
            self._finish_bar()
            self._task = self._bars.add_task(name, total=None, unit="")
        elif self._enabled:
            typer.echo(name, err=True)

    def progress(self, done: float, total: float, unit: str) -> None:
        """Work done in the current stage."""
        if self._bars is None:
            return
        if self._task is None:
            self._task = self._bars.add_task(self._stage or "work", total=None, unit="")
        self._bars.update(self._task, completed=done, total=total or None, unit=unit)

    def log(self, message: str, level: str = "info") -> None:
        """Warnings always, the rest only with progress."""
        if level in ("warning", "error") or self._enabled:
            text = f"{level}: {message}" if level in ("warning", "error") else message
            if self._bars is not None:
                self._bars.console.print(text, markup=False, highlight=False)
            else:
                typer.echo(text, err=True)

    def metric(self, name: str, value: float) -> None:
        """Shown beside the rest."""
        if self._enabled:
            self.log(f"{name} {value:.4g}")

    def check(self) -> None:
        """Raises JobCancelled after Ctrl-C inside `stopping_gently`."""
        if self._stop:
            raise JobCancelled("The command was stopped.")

    @contextmanager
    def stopping_gently(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM lets the pipeline stop at its next check; a second Ctrl-C breaks it off."""

        def stop(number: int, _frame: object) -> None:
            if self._stop and number == signal.SIGINT:
                raise KeyboardInterrupt
            self._stop = True

        previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _finish_bar(self) -> None:
        if self._task is None:
            return
        task = self._bars.tasks[self._bars.task_ids.index(self._task)]
        if task.total is None:
            self._bars.update(self._task, total=1, completed=1)


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.text import Text

    class Amount(ProgressColumn):
        """`3/12 tile, 1.4 tile/s`."""

        def render(self, task: Task) -> Text:
            unit = task.fields.get("unit", "")
            if task.total is None or not unit:
                return Text("")
            speed = task.finished_speed or task.speed
            rate = f", {speed:.3g} {unit}/s" if speed else ""
            return Text(f"{task.completed:.6g}/{task.total:.6g} {unit}{rate}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeElapsedColumn(),
        Remaining(),
        console=Console(stderr=True),
    )
