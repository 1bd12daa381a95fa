"""Settings for workers on other hosts, the same for the service and for `noyau worker`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DaskSettings(BaseModel):
    """Where the scheduler and the shared scratch are. With neither scheduler nor scheduler_file, jobs run here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheduler: str | None = Field(
        default=None, description="Address of the Dask scheduler, e.g. tls://host:8786. Default: jobs run on this host."
    )
    scheduler_file: Path | None = Field(
        default=None, description="File that `dask scheduler --scheduler-file` writes, instead of the address."
    )
    scratch: Path | None = Field(
        default=None,
        description="Folder that the service and all workers see, for what passes between them. Default: work in the "
        "state folder.",
    )
    tls_ca: Path | None = Field(default=None, description="PEM file of the authority of them all.")
    tls_certificate: Path | None = Field(default=None, description="PEM file with this process's certificate.")
    tls_key: Path | None = Field(default=None, description="PEM file with the key of that certificate.")
    insecure: bool = Field(
        default=False,
        description="Allow a scheduler on another machine without TLS. Who reaches it can run any program here.",
    )
    patience_seconds: float = Field(
        default=300.0, ge=0, description="How long a job, or a worker, waits for a scheduler or workers that are gone."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="noyau worker: GPUs where there are any (auto), the processor, or GPUs or nothing."
    )
    hands: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="noyau worker: threads for decoding and writing. Default: jobs.threads.",
    )

    @property
    def is_on(self) -> bool:
        """Whether jobs are spread over workers."""
        return self.scheduler is not None or self.scheduler_file is not None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.scheduler is not None and self.scheduler_file is not None:
            raise ValueError("give scheduler or scheduler_file, not both")
        files = (self.tls_ca, self.tls_certificate, self.tls_key)
        if any(files) and not all(files):
            raise ValueError("give tls_ca, tls_certificate and tls_key, or none of them")
        return self
