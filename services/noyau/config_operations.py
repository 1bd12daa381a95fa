"""Settings for operators: logs, figures for Prometheus, traces for OpenTelemetry."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogSettings(_Section):
    """Logs go to standard error."""

    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: console on a terminal, else JSON."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe messages that are written."
    )


class MetricsSettings(_Section):
    """Figures for Prometheus, on a port of their own: plain HTTP without a login, path /metrics."""

    address: str | None = Field(
        default=None, description="host:port, e.g. 127.0.0.1:9464; port 0 picks a free one. Default: none are served."
    )
    insecure: bool = Field(
        default=False,
        description="Allow an address beyond this machine. Whoever reaches it sees the names of users and groups and "
        "their use.",
    )


def _collector(url: str) -> str:
    # Credentials have no place in a URL, which ends up in logs.
    if not re.fullmatch(r"https?://[^/@\s]+/?", url):
        raise ValueError("give http://host:port or https://host:port, without a path or a password")
    return url


class TraceSettings(_Section):
    """Traces of calls and jobs for a collector that speaks OTLP over gRPC; needs the extra `trace`."""

    endpoint: Annotated[str, AfterValidator(_collector)] | None = Field(
        default=None, description="URL of the collector, e.g. http://127.0.0.1:4317; https for TLS. Default: no traces."
    )
    ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of the traces that begin here; those of callers go by their wish."
    )
