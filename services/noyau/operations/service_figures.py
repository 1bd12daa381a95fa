"""Figures of one coordinator: its calls, its worker processes, its version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from noyau.jobs.supervisor import WorkerStatus

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600)


class RpcFigures:
    """Calls of this coordinator. `seen` is called once at the end of each."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter("noyau_rpcs", "Calls by method and status.", ("method", "code"), registry=registry)
        self._seconds = Histogram(
            "noyau_rpc_seconds", "Duration of calls.", ("method",), registry=registry, buckets=_BUCKETS
        )

    def seen(self, method: str, code: str, seconds: float) -> None:
        """One call has ended with that gRPC status."""
        self._calls.labels(method, code).inc()
        self._seconds.labels(method).observe(seconds)


class WorkerFigures:
    """A collector of the worker processes of this coordinator."""

    def __init__(self, status: Callable[[], Sequence[WorkerStatus]]) -> None:
        self._status = status

    def describe(self) -> Sequence[Metric]:
        """None beforehand."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Workers that live, workers that wait to be started again, and how often that was needed."""
        found = self._status()
        workers = GaugeMetricFamily("noyau_workers", "Worker processes.", labels=("state",))
        alive = sum(worker.pid is not None for worker in found)
        workers.add_metric(("alive",), alive)
        workers.add_metric(("down",), len(found) - alive)
        yield workers
        restarts = sum(max(0, worker.restarts) for worker in found)
        yield CounterMetricFamily("noyau_worker_restarts", "Workers started again after a death.", restarts)
        yield InfoMetricFamily("noyau_build", "Software of this coordinator.", {"version": version("noyau")})


def new_registry() -> CollectorRegistry:
    """A registry with the usual figures of a process: memory, processor time, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
