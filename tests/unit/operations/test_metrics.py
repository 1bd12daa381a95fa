"""Figures for Prometheus: from the store, of calls and workers, over HTTP."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from noyau.domain.errors import FailedPrecondition
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, JobError, JobResult, JobState, MeasureSpec, SegmentSpec
from noyau.jobs.lease import Lease
from noyau.jobs.store import JobStore
from noyau.jobs.supervisor import WorkerStatus
from noyau.operations import job_figures
from noyau.operations.job_figures import OTHERS, JobFigures
from noyau.operations.metrics_server import MetricsServer
from noyau.operations.service_figures import RpcFigures, WorkerFigures, new_registry
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

SPEC = SegmentSpec((ImageRef("a.ome.zarr"),))


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
    store.submit(SPEC, group="lab")
    lease = start(store)
    store.append_event(lease, EventKind.STAGE, {"name": "predict"})
    store.append_event(lease, EventKind.METRIC, {"name": "voxels", "value": 1000})
    store.submit(MeasureSpec(SPEC.images))
    found = values(registry)
    assert found['noyau_jobs{kind="segment",state="running"}'] == 1
    assert found['noyau_jobs{kind="measure",state="queued"}'] == 1
    assert found['noyau_queue_length{kind="measure"}'] == 1
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
        assert found['noyau_group_jobs_total{group="lab",state="succeeded"}'] == 1
        assert found['noyau_jobs{kind="segment",state="running"}'] == 0
        assert found["noyau_job_store_up"] == 1


def test_callers_cannot_make_figures_without_end(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_figures, "MOST_GROUPS", 2)
    for group in ("a", "b", "c", "d", "a"):
        store.submit(SPEC, group=group)
    for _ in range(5):
        store.finish(start(store), JobState.SUCCEEDED, result=JobResult())
    found = values(registry_of(store))
    groups = {name: value for name, value in found.items() if name.startswith("noyau_group_jobs_total")}
    assert len(groups) == 3
    assert found[f'noyau_group_jobs_total{{group="{OTHERS}",state="succeeded"}}'] >= 2
    assert sum(groups.values()) == 5


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
