"""Spans for a collector that speaks OTLP over gRPC, by the OpenTelemetry SDK (extra `trace`).

Nothing here is imported unless the setting `traces.endpoint` is given. Spans are sent by a thread in the background;
a collector that does not answer costs spans, never time. Headers for the collector, such as a token, and its
certificate authority come from OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_HEADERS`,
`OTEL_EXPORTER_OTLP_CERTIFICATE`), so that no secret passes through here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from noyau.config_operations import TraceSettings
from noyau.domain.errors import FailedPrecondition, NoyauError
from noyau.domain.observing import current, within
from noyau.domain.tracing import Attributes, SilentTracer, Span, TraceContext, Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

# A worker may be killed at any moment; what it has not sent by then is lost.
_SEND_EVERY_MS = 1000
_CLOSE_MS = 2000
_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")


def build_worker_tracer(values: Mapping[str, Any]) -> Tracer:
    """For worker processes, which get the settings as JSON text (see `WorkerConfig.tracer`)."""
    from noyau.config import settings_from_json

    return build_tracer(settings_from_json(values["settings"]).traces, "worker")


def build_tracer(settings: TraceSettings, role: str) -> Tracer:
    """What records spans by the settings.

    Args:
        settings: where to.
        role: `client`, `coordinator` or `worker`; the spans say so.

    Raises:
        FailedPrecondition: OpenTelemetry is not installed.
    """
    if settings.endpoint is None:
        return SilentTracer()
    check_installed()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=settings.endpoint, insecure=settings.endpoint.startswith("http://"))
    return tracer_to(exporter, settings.ratio, role)


def check_installed() -> None:
    """Raises FailedPrecondition where traces cannot be sent."""
    try:
        there = all(importlib.util.find_spec(name) is not None for name in _PACKAGES)
    except ModuleNotFoundError:
        there = False
    if not there:
        raise FailedPrecondition("OpenTelemetry, which sends traces, is not installed.", "pip install noyau[trace]")


def tracer_to(exporter: SpanExporter, ratio: float, role: str) -> Tracer:
    """Records spans for an exporter, every one of a trace or none of it."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    # Not from the environment: Resource.create would add what OTEL_RESOURCE_ATTRIBUTES says, and run detectors.
    resource = Resource({"service.name": "noyau", "service.version": version("noyau"), "noyau.role": role})
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio), resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_EVERY_MS))
    return OpenTelemetryTracer(provider)


class OpenTelemetryTracer:
    """See `Tracer`.

    Args:
        provider: of the SDK. It is not made the global one, which belongs to whoever embeds us.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("noyau", version("noyau"))

    @contextmanager
    def span(
        self, name: str, parent: TraceContext | None, attributes: Attributes | None = None, kind: str = "internal"
    ) -> Iterator[Span]:
        """See `Tracer.span`. Of an error its class and kind are told: its text may name what is a user's own."""
        from opentelemetry.trace import SpanKind

        made = self._tracer.start_span(
            name, _position(parent), SpanKind[kind.upper()], dict(attributes or {}), record_exception=False
        )
        span = _Recorded(made)
        try:
            with within(current().at(span.context)):
                yield span
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            made.end()

    def record(
        self, name: str, parent: TraceContext | None, start_ns: int, end_ns: int, attributes: Attributes | None = None
    ) -> None:
        """See `Tracer.record`."""
        made = self._tracer.start_span(name, _position(parent), attributes=dict(attributes or {}), start_time=start_ns)
        made.end(max(start_ns, end_ns))

    def close(self) -> None:
        """See `Tracer.close`; gives up after two seconds."""
        self._provider.force_flush(_CLOSE_MS)
        self._provider.shutdown()


class _Recorded:
    """See `Span`."""

    def __init__(self, span: Any) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext | None:
        found = self._span.get_span_context()
        return TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def fail(self, error: BaseException) -> None:
        """Marks it as failed."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", type(error).__name__)
        if isinstance(error, NoyauError):
            self._span.set_attribute("noyau.error", error.kind.value)
        self._span.set_status(Status(StatusCode.ERROR))


def _position(parent: TraceContext | None) -> Any:
    """A parent as OpenTelemetry has it; never the ambient one of whoever embeds us."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if parent is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    found = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(found), Context())
