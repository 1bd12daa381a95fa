"""Memory and use of the GPUs of this host, asked from NVIDIA's management library, without torch and without CUDA.

Names and layouts: https://docs.nvidia.com/deploy/nvml-api/ (nvmlMemory_t, nvmlUtilization_t, NVML_SUCCESS is 0). On a
host without the library, which comes with the driver, there are no such figures.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

LIBRARY = "libnvidia-ml.so.1"
_NAME_BYTES = 96


@dataclass(frozen=True)
class Gpu:
    """One GPU now. Memory in bytes; `busy` is the share of the last sample in which a kernel ran, None if unknown."""

    index: int
    name: str
    total: int
    used: int
    busy: float | None


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Utilisation(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Gpus:
    """The GPUs that the library sees. Safe to use from several threads."""

    def __init__(self, library: str = LIBRARY) -> None:
        self._library = _opened(library)

    def look(self) -> tuple[Gpu, ...]:
        """All GPUs that answer; none where there is no library."""
        count = ctypes.c_uint()
        if self._library is None or self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return ()
        found = (self._one(self._library, index) for index in range(count.value))
        return tuple(gpu for gpu in found if gpu is not None)

    @staticmethod
    def _one(library: Any, index: int) -> Gpu | None:
        handle, memory, use = ctypes.c_void_p(), _Memory(), _Utilisation()
        name = ctypes.create_string_buffer(_NAME_BYTES)
        if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) != 0:
            return None
        if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != 0:
            return None
        library.nvmlDeviceGetName(handle, name, ctypes.c_uint(_NAME_BYTES))
        # A slice of a GPU (MIG) has memory, but nobody tells how busy it is.
        known = library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(use)) == 0
        return Gpu(
            index, name.value.decode(errors="replace"), memory.total, memory.used, use.gpu / 100 if known else None
        )


class GpuFigures:
    """A collector for prometheus_client."""

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus

    def describe(self) -> Sequence[Metric]:
        """None beforehand."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Nothing where there is no GPU."""
        found = self._gpus.look()
        if not found:
            return
        labels = ("gpu", "name")
        total = GaugeMetricFamily("noyau_gpu_memory_bytes", "Memory of a GPU.", labels=labels)
        used = GaugeMetricFamily("noyau_gpu_memory_used_bytes", "Memory in use, by anybody.", labels=labels)
        busy = GaugeMetricFamily("noyau_gpu_busy_ratio", "Share of time in which a kernel ran.", labels=labels)
        for gpu in found:
            which = (str(gpu.index), gpu.name)
            total.add_metric(which, gpu.total)
            used.add_metric(which, gpu.used)
            if gpu.busy is not None:
                busy.add_metric(which, gpu.busy)
        yield from (total, used, busy)


def _opened(name: str) -> Any:
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    # Without a driver that fits, the library is there but does not start.
    return library if library.nvmlInit_v2() == 0 else None
