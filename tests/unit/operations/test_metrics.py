"""Figures for Prometheus: from the store, of calls and workers, over HTTP."""

from __future__ import annotations

import ctypes
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from noyau.domain.errors import FailedPrecondition
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, JobError, JobResult, JobState, MeasureSpec, SegmentSpec
from noyau.jobs.lease import Lease
from noyau.jobs.store import JobStore
from noyau.jobs.supervisor import WorkerStatus
from noyau.jobs.tallies import Amount, Tallies
from noyau.operations import job_figures, tally_figures
from noyau.operations.gpu_figures import GpuFigures, Gpus
from noyau.operations.job_figures import JobFigures, families
from noyau.operations.metrics_server import MetricsServer
from noyau.operations.service_figures import RpcFigures, WorkerFigures, new_registry
from noyau.operations.tally_figures import FIGURES, OTHERS, admit, count
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

SPEC = SegmentSpec((ImageRef("a.ome.zarr"),))
# What a worker reports at the end of an attempt.
USED = {
    "use/device/cuda/seconds": 2.5,
    "use/device/cuda/windows": 9,
    "use/device/cuda/voxels": 900,
    "use/batch/4": 3,
    "use/step/read": 1.5,
    "use/omero/reading/calls": 4,
    "use/omero/reading/seconds": 0.75,
    "use/omero/reading/failures": 1,
    "use/of a later version": 1,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    with JobStore.open(f"sqlite:///{tmp_path}/jobs.db") as opened:
        yield opened


def start(store: JobStore) -> Lease:
    lease = store.claim("w")
    assert lease is not None
    return lease


def registry_of(store: JobStore) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(JobFigures(store.database))
    return registry


def values(registry: CollectorRegistry) -> dict[str, float]:
    """Samples as Prometheus writes them, e.g. `noyau_jobs{kind="segment",state="queued"}`."""
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_figures_of_jobs_are_those_of_the_store(store: JobStore) -> None:
    registry = registry_of(store)
    assert values(registry)['noyau_queue_length{kind="segment"}'] == 0
    store.submit(SPEC, group="lab", owner="ada")
    lease = start(store)
    store.append_event(lease, EventKind.STAGE, {"name": "predict"})
    for name, value in {"voxels": 1000, **USED}.items():
        store.append_event(lease, EventKind.METRIC, {"name": name, "value": value})
    store.submit(MeasureSpec(SPEC.images), group="other")
    found = values(registry)
    assert found['noyau_jobs{kind="segment",state="running"}'] == 1
    assert found['noyau_jobs{kind="measure",state="queued"}'] == 1
    assert found['noyau_queue_length{kind="measure"}'] == 1
    assert found['noyau_group_queue_length{group="other"}'] == 1
    assert found['noyau_group_running{group="lab"}'] == 1
    assert found['noyau_queue_oldest_seconds{kind="measure"}'] > 0
    store.finish(lease, JobState.SUCCEEDED, result=JobResult(nuclei=7))
    store.finish(start(store), JobState.FAILED, error=JobError("DATA_LOSS", "A chunk is damaged.", ""))
    for asked in (registry, registry, registry_of(store)):  # asked again, and after a restart
        found = values(asked)
        assert found['noyau_jobs_ended_total{kind="segment",state="succeeded"}'] == 1
        assert found['noyau_jobs_failed_total{cause="DATA_LOSS",kind="measure"}'] == 1
        assert found['noyau_job_seconds_count{kind="segment",state="succeeded"}'] == 1
        assert found['noyau_job_wait_seconds_count{kind="segment"}'] == 1
        assert found['noyau_stage_seconds_total{kind="segment",stage="predict"}'] > 0
        assert found['noyau_stage_runs_total{kind="segment",stage="predict"}'] == 1
        assert found['noyau_nuclei_total{kind="segment"}'] == 7
        assert found['noyau_voxels_total{kind="segment"}'] == 1000
        assert found['noyau_group_seconds_total{group="lab"}'] > 0
        assert found['noyau_user_jobs_total{state="succeeded",user="ada"}'] == 1
        assert found['noyau_user_voxels_total{user="ada"}'] == found['noyau_group_voxels_total{group="lab"}'] == 1000
        assert found['noyau_user_device_seconds_total{device="cuda",user="ada"}'] == 2.5
        assert found['noyau_group_device_seconds_total{device="cuda",group="lab"}'] == 2.5
        assert found['noyau_device_seconds_total{device="cuda",kind="segment"}'] == 2.5
        assert found['noyau_device_voxels_total{device="cuda"}'] == 900
        assert found['noyau_batch_windows_bucket{le="2"}'] == 0
        assert found['noyau_batch_windows_bucket{le="4"}'] == found["noyau_batch_windows_count"] == 3
        assert found["noyau_batch_windows_sum"] == 9
        assert found['noyau_step_seconds_total{kind="segment",step="read"}'] == 1.5
        assert found['noyau_omero_calls_total{operation="reading"}'] == 4
        assert found['noyau_omero_call_seconds_total{operation="reading"}'] == 0.75
        assert found['noyau_omero_call_failures_total{operation="reading"}'] == 1
        assert found['noyau_group_jobs_total{group="lab",state="succeeded"}'] == 1
        assert found['noyau_jobs{kind="segment",state="running"}'] == 0
        assert found["noyau_job_store_up"] == 1


def test_callers_cannot_make_figures_without_end(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_figures, "MOST_GROUPS", 2)
    few = {name: replace(figure, most=2) for name, figure in FIGURES.items()}
    monkeypatch.setattr(tally_figures, "FIGURES", few)
    for group in ("a", "b", "c", "d", "a"):
        store.submit(SPEC, group=group, owner=f"user {group}")
    waiting = {name for name in values(registry_of(store)) if name.startswith("noyau_group_queue_length")}
    assert waiting == {f'noyau_group_queue_length{{group="{group}"}}' for group in ("a", "b", OTHERS)}
    for _ in range(5):
        store.finish(start(store), JobState.SUCCEEDED, result=JobResult())
    found = values(registry_of(store))
    groups = {name: value for name, value in found.items() if name.startswith("noyau_group_jobs_total")}
    assert len(groups) == 3
    assert found[f'noyau_group_jobs_total{{group="{OTHERS}",state="succeeded"}}'] >= 2
    assert sum(groups.values()) == 5
    assert len([name for name in found if name.startswith("noyau_user_seconds_total")]) == 3
    # The store itself grows no further either.
    assert (
        len(
            {
                amount.labels
                for amount in Tallies(store.database, count, admit).read()
                if amount.figure == "user_seconds"
            }
        )
        == 3
    )


def test_counts_that_are_not_complete_yet_are_not_shown(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        store.submit(SPEC)
        store.finish(start(store), JobState.SUCCEEDED, result=JobResult())
    monkeypatch.setattr(job_figures, "_PAGE", 1)
    monkeypatch.setattr(job_figures, "_CATCH_UP_SECONDS", -1.0)
    registry = registry_of(store)
    seen = [values(registry).get('noyau_jobs_ended_total{kind="segment",state="succeeded"}') for _ in range(4)]
    assert seen == [None, None, None, 3]


def test_a_store_that_does_not_answer_is_told(tmp_path: Path, store: JobStore) -> None:
    registry = registry_of(store)
    store.close()
    for file in tmp_path.glob("jobs.db*"):
        file.unlink()
    (tmp_path / "jobs.db").mkdir()
    assert values(registry) == {"noyau_job_store_up": 0}


def fetch(address: str, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def test_the_port_answers_as_prometheus_expects() -> None:
    registry = new_registry()
    RpcFigures(registry).seen("/noyau.v1.JobService/Get", "NOT_FOUND", 0.02)
    registry.register(WorkerFigures(lambda: (WorkerStatus(12, 2), WorkerStatus(None, 1))))
    server = MetricsServer("127.0.0.1:0", registry).start()
    try:
        text = fetch(server.address)
        names = {family.name for family in text_string_to_metric_families(text)}
        assert {"noyau_rpcs", "noyau_rpc_seconds", "noyau_workers", "noyau_build_info", "process_cpu_seconds"} <= names
        assert 'noyau_rpcs_total{code="NOT_FOUND",method="/noyau.v1.JobService/Get"} 1.0' in text
        assert 'noyau_workers{state="alive"} 1.0' in text
        assert "noyau_worker_restarts_total 3.0" in text
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(server.address, "/")
        with pytest.raises(FailedPrecondition, match="in use"):
            MetricsServer(server.address, registry)
        # A client that says nothing keeps nobody else waiting.
        host, _, port = server.address.partition(":")
        with socket.create_connection((host, int(port))):
            assert "noyau_build" in fetch(server.address)
    finally:
        server.close()
    with pytest.raises(urllib.error.URLError):
        fetch(server.address)


def test_figures_of_a_later_version_are_left_out() -> None:
    sums = [Amount("jobs_ended", ("segment", "succeeded"), 1), Amount("new", (), 1), Amount("nuclei", ("a", "b"), 1)]
    samples = [sample for family in families(sums) for sample in family.samples]
    assert [(sample.name, sample.value) for sample in samples] == [("noyau_jobs_ended_total", 1)]


FAKE_LIBRARY = """
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int gpu, memory; } use;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    *device = (void *)(long)(index + 1);
    return index == 2 ? 15 : 0;  /* one has fallen off the bus */
}
int nvmlDeviceGetName(void *device, char *name, unsigned int length) { strncpy(name, "Fake", length); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory *found) {
    found->total = 80ULL << 30; found->used = (unsigned long long)(long)device << 30;
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, use *found) {
    found->gpu = 25;
    return (long)device == 2 ? 3 : 0;  /* not supported, as on a slice */
}
"""


def test_gpus_where_the_library_is(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    (tmp_path / "fake.c").write_text(FAKE_LIBRARY)
    library = tmp_path / "fake.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "fake.c")], check=True)
    registry = CollectorRegistry()
    registry.register(GpuFigures(Gpus(str(library))))
    assert values(registry) == {
        'noyau_gpu_memory_bytes{gpu="0",name="Fake"}': 80 * 2**30,
        'noyau_gpu_memory_bytes{gpu="1",name="Fake"}': 80 * 2**30,
        'noyau_gpu_memory_used_bytes{gpu="0",name="Fake"}': 2**30,
        'noyau_gpu_memory_used_bytes{gpu="1",name="Fake"}': 2 * 2**30,
        'noyau_gpu_busy_ratio{gpu="0",name="Fake"}': 0.25,
    }


def test_no_figures_of_gpus_where_there_is_none() -> None:
    registry = CollectorRegistry()
    registry.register(GpuFigures(Gpus("libthere-is-none.so.1")))
    assert values(registry) == {}


@pytest.mark.gpu
def test_the_gpu_of_this_machine_is_told() -> None:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        pytest.skip("this machine has no NVIDIA driver")
    found = Gpus().look()
    if not found:
        pytest.skip("the driver sees no GPU")
    assert all(0 <= gpu.used <= gpu.total and gpu.total > 2**30 and gpu.name for gpu in found)
