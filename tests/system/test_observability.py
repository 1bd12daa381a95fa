"""One job through a real service: its spans reach a collector, its figures Prometheus, its log lines name it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from noyau.client import Client
from noyau.config_operations import TraceSettings
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec
from noyau.operations.traces import build_tracer

service_pb2 = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE = 600


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans over OTLP, as a collector does, and keeps them with the role of their process."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []

    def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            facts = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(facts["noyau.role"], span) for span in scope.spans]
        return service_pb2.ExportTraceServiceResponse()

    def named(self, name: str) -> Any:
        """The span of that name; waits until it has come."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = [span for _, span in self.spans if span.name == name]
            if found:
                return found[0]
            time.sleep(0.1)
        raise AssertionError(f"no span {name!r} among {sorted(span.name for _, span in self.spans)}")


@dataclass(frozen=True)
class Observed:
    """What was seen of one job.

    Attributes:
        job: its id.
        collector: with the spans.
        figures: as Prometheus reads them, after the job.
        log: lines of the service and its worker, parsed.
    """

    job: str
    collector: Collector
    figures: dict[str, float]
    log: list[dict[str, Any]]


@contextlib.contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(0).wait()


@contextlib.contextmanager
def serving(folder: Path, endpoint: str) -> Iterator[tuple[str, str]]:
    """`noyau serve`; its address and that of its figures."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NOYAU_")},
        "OMP_NUM_THREADS": "1",
        "NOYAU_STATE_DIR": str(folder / "state"),
        "NOYAU_MODELS_HOME": str(folder / "models"),
        "NOYAU_LISTEN__ADDRESS": "127.0.0.1:0",
        "NOYAU_METRICS__ADDRESS": "127.0.0.1:0",
        "NOYAU_TRACES__ENDPOINT": endpoint,
        "NOYAU_JOBS__THREADS": "1",
        "NOYAU_LOG__FORMAT": "json",
        "NOYAU_LOG__LEVEL": "debug",
        "NOYAU_ACCESS__ROOTS": json.dumps([str(folder)]),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "noyau.cli", "serve"], env=environment, stderr=log, stdout=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (started := [line for line in lines(folder / "log") if line["event"] == "serving"]):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield started[0]["address"], started[0]["metrics"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def scrape(address: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        told = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in told if line[0] != "#")}


def series(name: str, **labels: str) -> str:
    """As in the text that Prometheus reads, where labels are sorted."""
    told = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{told}}}"


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    folder = tmp_path_factory.mktemp("observed")
    image = write_blobs(folder / "image.ome.zarr")
    spec = SegmentSpec((ImageRef(str(image)),), device="cpu", batch=2)
    with collecting() as (collector, endpoint), serving(folder, endpoint) as (address, metrics):
        tracer = build_tracer(TraceSettings(endpoint=endpoint), "client")
        with tracer.span("analysis", None), Client(address, tracer=tracer) as client:
            job = client.wait(client.submit(spec, owner="ada", group="lab").id)
        assert job.state is JobState.SUCCEEDED, job.error
        tracer.close()
        collector.named("job segment")
        figures = scrape(metrics)
    return Observed(job.id, collector, figures, lines(folder / "log"))


def write_blobs(path: Path) -> Path:
    import zarr

    y, x = np.mgrid[:128, :128]
    pixels = sum(
        2000 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60) for cy in range(20, 128, 30) for cx in range(20, 128, 30)
    )
    root = zarr.create_group(path, zarr_format=3)
    noise = np.random.default_rng(0).normal(100, 10, pixels.shape)
    array = root.create_array("0", shape=pixels.shape, dtype="uint16", chunks=(64, 64), dimension_names=["y", "x"])
    array[...] = (pixels + noise).clip(0, 60_000).astype("uint16")
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
    scale = [{"type": "scale", "scale": [0.65, 0.65]}]
    multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    root.attrs.update({"ome": {"version": "0.5", "multiscales": [multiscale]}})
    return path


def test_one_trace_from_the_client_to_the_worker(observed: Observed) -> None:
    named = observed.collector.named
    analysis, job = named("analysis"), named("job segment")
    mine = {s.span_id: (role, s) for role, s in observed.collector.spans if s.trace_id == analysis.trace_id}
    assert {role for role, _ in mine.values()} == {"client", "coordinator", "worker"}
    path, span = [], job
    while span.parent_span_id:
        role, span = mine[span.parent_span_id]
        path.append((role, span.name))
    submit = "noyau.v1.JobService/Submit"
    assert path == [("coordinator", submit), ("client", submit), ("client", "analysis")]


@pytest.mark.parametrize("name", ["queue", "stage prepare", "stage write", "stage measure", "read", "infer", "decode"])
def test_what_a_job_does_is_in_its_trace(observed: Observed, name: str) -> None:
    span, job = observed.collector.named(name), observed.collector.named("job segment")
    assert span.trace_id == job.trace_id
    assert span.end_time_unix_nano >= span.start_time_unix_nano
    if name != "queue":
        assert job.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= job.end_time_unix_nano


def test_what_a_user_calls_things_is_in_no_span(observed: Observed) -> None:
    told = " ".join(str(span) for _, span in observed.collector.spans)
    assert observed.job in told
    assert "image.ome.zarr" not in told


def test_use_is_told_by_user_and_group(observed: Observed) -> None:
    found = observed.figures
    assert found['noyau_jobs_ended_total{kind="segment",state="succeeded"}'] == 1
    for who, labels in (("user", {"user": "ada"}), ("group", {"group": "lab"})):
        assert found[series(f"noyau_{who}_voxels_total", **labels)] == 128 * 128
        assert found[series(f"noyau_{who}_device_seconds_total", device="cpu", **labels)] > 0
        assert found[series(f"noyau_{who}_jobs_total", state="succeeded", **labels)] == 1
    assert found['noyau_device_windows_total{device="cpu"}'] == found["noyau_batch_windows_sum"] >= 1
    assert found["noyau_batch_windows_count"] >= 1
    for step in ("read", "infer", "decode", "store"):
        assert found[f'noyau_step_seconds_total{{kind="segment",step="{step}"}}'] > 0
    assert found['noyau_stage_seconds_total{kind="segment",stage="measure"}'] > 0
    gpus = [name for name in found if name.startswith("noyau_gpu_")]
    assert bool(gpus) == Path("/dev/nvidiactl").exists()


def test_every_line_of_the_job_names_it(observed: Observed) -> None:
    trace = observed.collector.named("job segment").trace_id.hex()
    submit = next(line for line in observed.log if line.get("method") == "/noyau.v1.JobService/Submit")
    assert submit["trace"] == trace
    mine = [line for line in observed.log if line.get("job") == observed.job and "attempt" in line]
    assert mine, "the worker has said nothing on account of the job"
    for line in mine:
        assert (line["group"], line["kind"], line["attempt"], line["trace"]) == ("lab", "segment", 1, trace)
