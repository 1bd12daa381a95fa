"""Spans as OpenTelemetry records them: their parents, their errors without texts, and the wish of the caller."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from noyau.cli import build_app
from noyau.config import load_settings
from noyau.config_operations import TraceSettings
from noyau.domain.errors import DamagedData, FailedPrecondition
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, JobState, SegmentSpec
from noyau.domain.meters import Meter
from noyau.domain.observing import Scope, current
from noyau.domain.tracing import SilentTracer, TraceContext, Tracer
from noyau.jobs.context import JobContext
from noyau.jobs.runner import JobRunner
from noyau.jobs.settings import JobTimes
from noyau.jobs.store import JobStore
from noyau.operations import traces
from typer.testing import CliRunner

sdk = pytest.importorskip("opentelemetry.sdk.trace")
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

CALLER = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
SPEC = SegmentSpec((ImageRef("secret name.ome.zarr"),))


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Iterator[Tracer]:
    made = traces.tracer_to(exporter, 1.0, "worker")
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    with JobStore.open(f"sqlite:///{tmp_path}/jobs.db") as opened:
        yield opened


def ended(exporter: InMemorySpanExporter, tracer: Tracer) -> dict[str, sdk.ReadableSpan]:
    tracer.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def run(store: JobStore, folder: Path, tracer: Tracer, handler: object) -> str:
    """Runs the next job; its id."""
    lease = store.claim("w")
    assert lease is not None
    runner = JobRunner(store, folder / "work", JobTimes(), scope=Scope(tracer=tracer, meter=Meter()))
    runner.run(lease, handler)  # type: ignore[arg-type]
    return lease.job.id


def work(spec: SegmentSpec, context: JobContext) -> JobResult:
    context.reporter.stage("read")
    meter = current().meter
    assert meter is not None
    meter.add("step/read", 1.5)
    context.reporter.stage("write")
    return JobResult(nuclei=3)


def test_a_job_continues_the_trace_of_its_submission(
    exporter: InMemorySpanExporter, tracer: Tracer, store: JobStore, tmp_path: Path
) -> None:
    store.submit(SPEC, group="lab", trace=CALLER.header)
    job = run(store, tmp_path, tracer, work)
    spans = ended(exporter, tracer)
    assert set(spans) == {"queue", "job segment", "stage read", "stage write"}
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {CALLER.trace_id}
    for name in ("queue", "job segment"):
        assert f"{spans[name].parent.span_id:016x}" == CALLER.span_id
        assert spans[name].attributes == {
            "noyau.job": job,
            "noyau.kind": "segment",
            "noyau.group": "lab",
            "noyau.attempt": 1,
        }
    for name in ("stage read", "stage write"):
        assert spans[name].parent.span_id == spans["job segment"].context.span_id
    assert spans["queue"].start_time < spans["job segment"].start_time
    assert spans["stage read"].end_time <= spans["stage write"].start_time
    assert spans["job segment"].resource.attributes["service.name"] == "noyau"
    # What the attempt used is in its events, once.
    used = [e.payload for e in store.events_since(job) if e.payload.get("name", "").startswith("use/")]
    assert used == [{"name": "use/step/read", "value": 1.5}]


def test_a_job_without_a_trace_begins_one(
    exporter: InMemorySpanExporter, tracer: Tracer, store: JobStore, tmp_path: Path
) -> None:
    store.submit(SPEC)
    run(store, tmp_path, tracer, work)
    assert ended(exporter, tracer)["job segment"].parent is None


def test_of_an_error_only_its_kind_is_told(exporter: InMemorySpanExporter, tracer: Tracer) -> None:
    with pytest.raises(DamagedData), tracer.span("x", CALLER):
        raise DamagedData("A chunk of /secret/image is damaged.")
    (span,) = ended(exporter, tracer).values()
    assert span.status.status_code.name == "ERROR"
    assert span.attributes == {"error.type": "DamagedData", "noyau.error": "DATA_LOSS"}
    assert "secret" not in span.to_json()


def test_no_span_holds_what_is_a_users_own(
    exporter: InMemorySpanExporter, tracer: Tracer, store: JobStore, tmp_path: Path
) -> None:
    def fail(spec: SegmentSpec, context: JobContext) -> JobResult:
        raise DamagedData(f"{spec.images[0].uri} is damaged.")

    store.submit(SPEC, owner="ada@example.org", idempotency_key="a key")
    job = run(store, tmp_path, tracer, fail)
    assert store.get(job).state is JobState.FAILED
    told = " ".join(span.to_json() for span in ended(exporter, tracer).values())
    for word in ("secret", "ada@", "a key", str(tmp_path)):
        assert word not in told


def test_the_caller_decides_about_its_own_trace(exporter: InMemorySpanExporter, tracer: Tracer) -> None:
    with tracer.span("asked for", CALLER) as span:
        assert span.context is not None
        assert (span.context.trace_id, span.context.sampled) == (CALLER.trace_id, True)
    with tracer.span("not wanted", TraceContext(CALLER.trace_id, CALLER.span_id, False)) as span:
        assert span.context is not None
        assert not span.context.sampled
    assert set(ended(exporter, tracer)) == {"asked for"}


def test_the_ratio_is_of_traces_that_begin_here(exporter: InMemorySpanExporter) -> None:
    none = traces.tracer_to(exporter, 0.0, "coordinator")
    with none.span("own", None), none.span("inner", current().trace):
        pass
    with none.span("a caller's", CALLER):
        pass
    assert set(ended(exporter, none)) == {"a caller's"}


def test_off_by_default_and_nothing_is_imported_for_it() -> None:
    assert isinstance(traces.build_tracer(TraceSettings(), "worker"), SilentTracer)
    code = (
        "import sys; import noyau.main, noyau.client; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_the_extra_it_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        traces.importlib.util, "find_spec", lambda name: None if name.startswith("opentelemetry") else find(name)
    )
    with pytest.raises(FailedPrecondition, match="OpenTelemetry") as caught:
        traces.build_tracer(TraceSettings(endpoint="http://127.0.0.1:4317"), "worker")
    assert caught.value.remedy == "pip install noyau[trace]"
    monkeypatch.setenv("NOYAU_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("NOYAU_TRACES__ENDPOINT", "http://127.0.0.1:4317")
    done = CliRunner().invoke(build_app(), ["serve"])
    assert done.exit_code == 3
    assert "traces.endpoint" in done.stderr
    assert "pip install noyau[trace]" in done.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:4317", "http://user:secret@host:4317", "http://host:4317/v1/traces", ""])
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("NOYAU_TRACES__ENDPOINT", url)
    with pytest.raises(Exception, match=r"traces\.endpoint"):
        load_settings()
