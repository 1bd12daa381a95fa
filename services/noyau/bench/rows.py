"""The rows of a benchmark's table, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        bench: the benchmark that measured it.
        name: what was measured.
        value: the figure.
        unit: its unit.
        note: conditions that belong to it.
        machine: where it was measured.
    """

    bench: str
    name: str
    value: float
    unit: str
    note: str
    machine: str


def machine() -> str:
    """Processor model, usable cores and load, e.g. `AMD EPYC, 2 cores, load 0.3`."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
