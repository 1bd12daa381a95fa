"""The processes of `noyau worker`: one slot per device, started again when they die, ended together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass

import structlog

from noyau.commands.exits import EXIT_CODES
from noyau.config import Settings, settings_to_json
from noyau.domain.errors import ErrorKind, FailedPrecondition, InvalidInput
from noyau.domain.processors import usable_processors
from noyau.slot_order import SlotOrder, slot_name
from noyau.spreading import require_dask, scheduler_place, work_folder

_TICK_SECONDS = 0.1
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 30.0
_STOP_SECONDS = 20.0
REFUSALS = frozenset(code for kind, code in EXIT_CODES.items() if kind is not ErrorKind.INTERNAL)
"""A slot that ends with one of these has said why it cannot work; the others could not either."""


@dataclass(frozen=True)
class PlannedSlot:
    """One process.

    Attributes:
        device: `cpu` or `cuda`.
        gpu: which GPU it sees; None for the processor.
        hands: its threads for decoding and writing.
        scratch: for people.
    """

    device: str
    gpu: str | None
    hands: int
    scratch: str


def plan_slots(settings: Settings, slots: int) -> list[PlannedSlot]:
    """One slot per GPU that this process may see, or `slots` of the processor.

    Raises:
        FailedPrecondition: GPUs were asked for and there are none, or Dask is not installed.
        InvalidInput: no scheduler is set.
    """
    require_dask()
    if not settings.dask.is_on:
        raise InvalidInput(
            "A worker needs a Dask scheduler, and none is named.",
            "Give --scheduler tls://host:8786 or --scheduler-file PATH; `dask scheduler` starts one.",
        )
    scheduler_place(settings).security()
    scratch = str(work_folder(settings))
    gpus = [] if settings.dask.device == "cpu" else visible_gpus()
    if settings.dask.device == "cuda" and not gpus:
        raise FailedPrecondition(
            "A GPU was asked for, but this host has none that can be used.",
            "Take --device cpu or auto, or start the worker where `nvidia-smi` shows a GPU.",
        )
    count = len(gpus) or slots
    threads = settings.jobs.threads or max(1, usable_processors() // count)
    hands = settings.dask.hands or threads
    if gpus:
        return [PlannedSlot("cuda", gpu, hands, scratch) for gpu in gpus]
    return [PlannedSlot("cpu", None, hands, scratch)] * count


def visible_gpus() -> list[str]:
    """Names of the GPUs as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


class WorkerSlots:
    """Keeps the slots alive until SIGTERM or SIGINT.

    Args:
        settings: everything that can be set.
        planned: the slots.
    """

    def __init__(self, settings: Settings, planned: list[PlannedSlot]) -> None:
        threads = settings.jobs.threads or max(1, usable_processors() // len(planned))
        own = settings.model_copy(update={"jobs": settings.jobs.model_copy(update={"threads": threads, "workers": 1})})
        # What only a coordinator may know does not leave it.
        text = settings_to_json(own.model_copy(update={"jobs": own.jobs.model_copy(update={"database": None})}))
        self._slots = [_Process(slot, text, number) for number, slot in enumerate(planned)]
        self._stopping = threading.Event()
        self._log = structlog.get_logger("noyau.worker")

    def run(self) -> int:
        """Works until told to end.

        Returns:
            0, or the exit code of a slot that refused to work.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        code = 0
        try:
            while not self._stopping.is_set() and not code:
                for slot in self._slots:
                    code = code or self._tend(slot)
                self._stopping.wait(_TICK_SECONDS)
        finally:
            for slot in self._slots:
                slot.terminate()
            for slot in self._slots:
                slot.wait()
        return code

    def _tend(self, slot: _Process) -> int:
        """Starts a slot that does not run; the code of one that refused."""
        status = slot.status()
        if status in REFUSALS:
            return int(status)
        if status is not None:
            self._log.warning("a slot ended and is started again", slot=slot.name, status=status)
        slot.start_if_due()
        return 0


class _Process:
    """One slot's process, with the history that decides when the next one may start."""

    def __init__(self, slot: PlannedSlot, settings: str, number: int) -> None:
        self.name = slot_name(number)
        self._gpu = slot.gpu
        self._line = json.dumps(asdict(SlotOrder(settings, slot.device, slot.hands, self.name))).encode() + b"\n"
        self._process: subprocess.Popen[bytes] | None = None
        self._began = self._not_before = 0.0
        self._failures = 0

    def start_if_due(self) -> None:
        if self._process is not None or time.monotonic() < self._not_before:
            return
        environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": self._gpu} if self._gpu is not None else {})}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "noyau.slot"],
            stdin=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._began = time.monotonic()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(self._line)
                self._process.stdin.flush()

    def status(self) -> int | None:
        """The exit status of a process that has just ended; None where it runs, or none does."""
        status = None if self._process is None else self._process.poll()
        if status is None or self._process is None:
            return None
        self._close()
        young = time.monotonic() - self._began < _HEALTHY_SECONDS
        self._failures = self._failures + 1 if young and status else 0
        self._not_before = time.monotonic() + min(_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        return status

    def terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def wait(self) -> None:
        """Until it has ended; it is killed when that takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process = None
