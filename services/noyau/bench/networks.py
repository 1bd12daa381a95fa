"""How fast the network alone runs with each library."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from time import perf_counter

from noyau.bench.rows import Row
from noyau.bench.setting import Setting, random_windows, row
from noyau.domain.geometry import Index3, as_index
from noyau.inference import openvino_backend
from noyau.inference.backend import Backend

LEAST_SECONDS = 5.0
LEAST_PASSES = 2


def bench_network(setting: Setting) -> list[Row]:
    """Forward passes of torch and OpenVINO on the CPU over the same window, and how much faster OpenVINO is."""
    shape = default_window(setting)
    names = ["torch", *(["openvino"] if openvino_backend.is_available() else [])]
    speeds = {}
    for name in names:
        setting.reporter.stage(f"network on {name}")
        setting.reporter.check()
        speeds[name] = prod(shape) / 1e6 / seconds_per_pass(setting.network(name, "cpu"), shape)
    note = f"{setting.info.ref}, window {'x'.join(map(str, shape))}, float32, output quantised"
    rows = [row("network", f"forward pass, {name}, cpu", speed, "Mvoxel/s", note) for name, speed in speeds.items()]
    if "openvino" in speeds:
        rows.append(row("network", "OpenVINO / torch", speeds["openvino"] / speeds["torch"], "times", note))
    else:
        rows[0] = row("network", rows[0].name, rows[0].value, "Mvoxel/s", f"{note}; OpenVINO is not installed")
    return rows


def default_window(setting: Setting) -> Index3:
    """The model's default tile with its halo, rounded up to the stride."""
    info = setting.info
    axes = zip(info.tile, info.halo, info.stride, strict=True)
    return as_index(-(-(tile + 2 * halo) // stride) * stride for tile, halo, stride in axes)


def seconds_per_pass(network: Backend, shape: Index3) -> float:
    """Mean wall-clock seconds of a forward pass, after one that is not counted (compiling, first pages)."""
    window = random_windows(shape, 1)
    network.predict(window)
    return mean_seconds(lambda: network.predict(window), LEAST_PASSES, LEAST_SECONDS)


def mean_seconds(work: Callable[[], object], least_times: int, least_seconds: float) -> float:
    """Mean wall-clock seconds of a call that is repeated so often and so long at least."""
    begin, times = perf_counter(), 0
    while times < least_times or perf_counter() - begin < least_seconds:
        work()
        times += 1
    return (perf_counter() - begin) / times
