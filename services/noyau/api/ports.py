"""What the servicers need from the rest of the house, as protocols; `main` supplies the real things."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from noyau.domain.catalogue import Catalogue, ModelEntry, ModelEvent, ModelScore
from noyau.domain.geometry import VoxelSize
from noyau.domain.jobs import Event, Job, JobSpec
from noyau.domain.model import ModelInfo
from noyau.jobs.listing import JobFilter, JobPage
from noyau.models.desk import RegisterOptions


class Desk(Protocol):
    """The part of `noyau.omero.desk.OmeroDesk` that requests reach; see there. Methods block."""

    def identify(self, alias: str, key: str) -> tuple[str, str]: ...

    def check(self, owner: str, confirmed: bool, uris: Iterable[str]) -> None: ...


class Jobs(Protocol):
    """The part of `noyau.jobs.store.JobStore` that callers of the service reach. Methods block."""

    def submit(
        self, spec: JobSpec, *, owner: str = "", group: str = "", priority: int = 0, idempotency_key: str = ""
    ) -> Job: ...

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        ...

    def list(self, wanted: JobFilter | None = None, *, page_size: int = 50, page_token: str = "") -> JobPage:
        """Newest first. Raises InvalidInput for a token or a page size that cannot be."""
        ...

    def events_since(self, job_id: str, from_seq: int = 1, limit: int = 1000) -> Sequence[Event]:
        """Events with `seq` from `from_seq` on, in order, `limit` at most. Raises NotFound."""
        ...

    def request_cancel(self, job_id: str) -> Job:
        """Records the wish and returns at once. Raises NotFound, FailedPrecondition."""
        ...


class Models(Protocol):
    """The known models. Methods block."""

    def list(self) -> Sequence[ModelInfo]: ...

    def get(self, ref: str) -> ModelInfo:
        """Raises NotFound that names those that exist."""
        ...


class ModelDesk(Models, Protocol):
    """The part of `noyau.models.desk.ModelDesk` that callers of the service reach; see there. Methods block."""

    def catalogue(self) -> Catalogue: ...

    def entry(self, ref: str) -> ModelEntry: ...

    def history(self, name: str) -> Sequence[ModelEvent]: ...

    def register(self, path: str, options: RegisterOptions) -> ModelEntry: ...

    def register_archive(self, archive: Path, options: RegisterOptions) -> ModelEntry: ...

    def export(self, ref: str, archive: Path) -> ModelInfo: ...

    def check(self, ref: str) -> ModelScore: ...

    def set_alias(self, name: str, alias: str, version: str, by: str) -> ModelEntry: ...

    def drop_alias(self, name: str, alias: str, by: str) -> None: ...

    def rollback(self, name: str, alias: str, by: str) -> ModelEntry: ...

    def remove(self, ref: str, by: str) -> ModelInfo: ...

    def scratch(self) -> AbstractContextManager[Path]: ...


class Preflight(Protocol):
    """Checks a job before it is queued. Blocks, but not for long."""

    def check(self, spec: JobSpec) -> None:
        """Raises the NoyauError that the job would end with, as far as that can be told cheaply."""
        ...


@dataclass(frozen=True)
class PreviewTask:
    """One crop and what is wanted of it.

    Attributes:
        image: pixels, z/y/x; a plane has z = 1.
        voxel_size: micrometres z/y/x; None means the model's own.
        model: name or name@version; None picks by the crop.
        labels, probability: which outputs are wanted; at least one.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        foreground: probability threshold; None takes the model's.
        min_volume: cubic (2D: square) micrometres; None takes the model's.
    """

    image: np.ndarray
    voxel_size: VoxelSize | None = None
    model: str | None = None
    labels: bool = True
    probability: bool = False
    device: str = "auto"
    foreground: float | None = None
    min_volume: float | None = None


@dataclass(frozen=True)
class PreviewOutcome:
    """What came of a crop: uint32 labels 0..n and float32 probabilities, z/y/x, None where not asked for; the model's
    name@version and the digest of its weights."""

    model: str
    labels: np.ndarray | None = None
    probability: np.ndarray | None = None
    digest: str = ""


class Previewer(Protocol):
    """Runs crops."""

    async def preview(self, task: PreviewTask) -> PreviewOutcome:
        """Cancelling the call stops the work.

        Raises:
            LimitExceeded: too many are waiting already.
        """
        ...
