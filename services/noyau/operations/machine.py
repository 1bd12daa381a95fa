"""The machine: Python, processors, memory, devices, and which optional parts are installed."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

from noyau.config import Settings
from noyau.domain.errors import FailedPrecondition
from noyau.domain.processors import usable_processors
from noyau.operations.findings import Finding, Status, ok
from noyau.wiring import threads_per_worker

# What a worker needs beside its networks: torch itself, tiles on their way, decoded windows.
WORKER_MIB = 2048
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# Extra, module that it brings, package that tells its version, what it is for.
EXTRAS = MappingProxyType(
    {
        "omero": ("omero", "omero-py", "images in OMERO"),
        "openvino": ("openvino", "openvino", "four times faster on processors"),
        "bioimageio": ("bioimageio.core", "bioimageio.core", "models of other makers"),
        "stardist": ("stardist", "stardist", "the star-convex decoder"),
        "dask": ("distributed", "distributed", "workers on other hosts"),
        "trace": ("opentelemetry.sdk", "opentelemetry-sdk", "traces for a collector"),
    }
)


def software() -> Iterator[Finding]:
    """Python and what the networks run on."""
    yield ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in ("noyau", "torch"):
        try:
            yield ok(name, version(name))
        except PackageNotFoundError:
            yield Finding(
                name, Status.FAILED, "not installed", "Install noyau with its dependencies: pip install noyau"
            )


def extras() -> Iterator[Finding]:
    """Parts that are installed by `pip install noyau[...]`."""
    for extra, (module, package, purpose) in EXTRAS.items():
        if _is_there(module):
            yield ok(f"extra {extra}", f"{package} {version(package)} ({purpose})")
        else:
            remedy = f"Where you need it: pip install noyau[{extra}]"
            yield Finding(f"extra {extra}", Status.ABSENT, f"not installed ({purpose})", remedy)


def capacity(settings: Settings) -> Iterator[Finding]:
    """Processors and memory against what the settings ask for."""
    processors, workers, threads = usable_processors(), settings.jobs.workers, threads_per_worker(settings)
    text = f"{processors} usable; {workers} workers with {threads} threads each"
    if workers * threads > processors:
        yield Finding("processors", Status.WARNING, text, "Set jobs.workers or jobs.threads lower.")
    else:
        yield ok("processors", text)
    memory, wanted = memory_mib(), workers * (settings.jobs.model_memory_mib + WORKER_MIB)
    text = f"{memory} MiB; {workers} workers may take {wanted} MiB"
    if wanted > memory:
        remedy = "Set jobs.workers or jobs.model_memory_mib lower, or give the machine more memory."
        yield Finding("memory", Status.WARNING, text, remedy)
    else:
        yield ok("memory", text)


def devices() -> Iterator[Finding]:
    """What networks run on here. Imports torch."""
    from noyau.inference.selection import choose

    best = choose("auto", "auto")
    try:
        choose("cuda", "torch")
        yield ok("gpu", f"usable; networks run on {best.device} by {best.backend}")
    except FailedPrecondition:
        remedy = "With a GPU: install its driver and a torch build for CUDA, and let the container see it."
        yield Finding("gpu", Status.ABSENT, f"none usable; networks run on {best.device} by {best.backend}", remedy)


def memory_mib() -> int:
    """Memory of the machine, or of the container where that is less (cgroup v2)."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        text = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        text = "max"
    return (min(whole, int(text)) if text.isdigit() else whole) // 2**20


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False
