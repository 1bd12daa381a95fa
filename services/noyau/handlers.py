"""What worker processes run: jobs by kind, and previews. The worker resolves `build_handlers` by its import string.

Segmentation imports torch, which takes seconds. It is imported with the first job that needs it (or at once, in a
service that stays), so that a worker which only tidies up after a killed one, or only measures, starts quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from noyau.api.ports import PreviewOutcome, PreviewTask
from noyau.config import Settings, settings_from_json
from noyau.domain.jobs import JobResult, MeasureSpec, SegmentSpec
from noyau.domain.observing import current
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec
from noyau.jobs.context import Handlers, JobContext
from noyau.logs import configure_logging
from noyau.models.registry import ModelRegistry
from noyau.omero.gateway import Gateway
from noyau.omero.runs import measured_name
from noyau.omero.visitor import Visitor
from noyau.pipelines.context import Limits, PipelineContext
from noyau.pipelines.targets import remove_leftovers
from noyau.spreading import dask_site
from noyau.wiring import access_policy, model_registry, omero_gateway, threads_per_worker

if TYPE_CHECKING:  # imports torch or distributed
    from noyau.compute.dask import DaskSite
    from noyau.inference.cache import BackendCache

# Groups of an image that a measurement writes to; labels are not its own.
MEASURED = ("tables", "noyau")


def build_handlers(values: Mapping[str, Any]) -> Handlers:
    """Handlers by kind, with one warm cache of networks for the life of the worker process.

    Args:
        values: `settings`: settings as JSON text; `warm`: import torch now.
    """
    workshop = Workshop.of(values["settings"])
    if values.get("warm"):
        _ = workshop.backends
    return {
        "segment": SegmentHandler(workshop),
        "measure": MeasureHandler(workshop),
        "train": TrainHandler(workshop),
        "suggest": SuggestHandler(workshop),
        "synth": SynthHandler(workshop),
    }


def build_preview(text: str) -> Callable[[PreviewTask], PreviewOutcome]:
    """The function that runs crops in the preview process. Takes settings as JSON text."""
    from noyau.pipelines import preview

    workshop = Workshop.of(text)

    def run(task: PreviewTask) -> PreviewOutcome:
        found = preview.run(
            task.image,
            registry=workshop.registry,
            backends=workshop.backends,
            voxel_size=task.voxel_size,
            model=task.model,
            labels=task.labels,
            probability=task.probability,
            device=task.device,
            foreground=task.foreground,
            min_volume=task.min_volume,
            limits=workshop.limits,
        )
        return PreviewOutcome(found.model, found.labels, found.probability, found.digest)

    return run


@dataclass(frozen=True)
class Workshop:
    """What all jobs of one process share."""

    settings: Settings

    @classmethod
    def of(cls, text: str) -> Workshop:
        """From settings as JSON text; also sets up this process's log."""
        settings = settings_from_json(text)
        configure_logging(settings.log.format, settings.log.level)
        return cls(settings)

    @cached_property
    def registry(self) -> ModelRegistry:
        """The known models."""
        return model_registry(self.settings)

    @cached_property
    def backends(self) -> BackendCache:
        """Networks, kept warm."""
        # With the whole pipeline, so that a warm worker has nothing left to import.
        import noyau.pipelines.segment  # noqa: F401
        from noyau.inference.cache import BackendCache

        budget = self.settings.jobs.model_memory_mib * 2**20
        return BackendCache(threads=threads_per_worker(self.settings), budget=budget, meter=current().meter)

    @cached_property
    def gateway(self) -> Gateway | None:
        """The door to OMERO; None where the settings name no server."""
        return omero_gateway(self.settings, current().meter)

    @cached_property
    def site(self) -> DaskSite | None:
        """Where jobs find workers on other hosts; None where they run here."""
        return dask_site(self.settings)

    @property
    def limits(self) -> Limits:
        """What one job may use."""
        limits = self.settings.limits
        return Limits(max_voxels=limits.image_voxels, max_tile_voxels=limits.tile_voxels, max_images=limits.images)

    def context(self, job: JobContext, *, networks: bool) -> PipelineContext:
        """What a pipeline needs for one job; `networks` tells whether it runs any."""
        backends: Any = self.backends if networks else None
        return PipelineContext(
            registry=self.registry,
            access=access_policy(self.settings).with_root(str(job.workdir)),
            workdir=job.workdir,
            backends=backends,
            reporter=job.reporter,
            ledger=job.ledger,
            job_id=job.job_id,
            owner=job.owner,
            limits=self.limits,
            threads=threads_per_worker(self.settings),
            omero=Visitor(self.gateway, job.owner) if self.gateway else None,
            attempt=job.attempt,
            site=self.site if networks else None,
        )

    def leave(self) -> None:
        """Ends the sessions on OMERO servers that a job opened."""
        if self.gateway:
            self.gateway.release()


@dataclass(frozen=True)
class SegmentHandler:
    """Runs `segment` jobs."""

    workshop: Workshop

    def __call__(self, spec: SegmentSpec, context: JobContext, /) -> JobResult:
        from noyau.pipelines import segment

        try:
            return segment.run(spec, self.workshop.context(context, networks=True))
        finally:
            self.workshop.leave()

    def cleanup(self, spec: SegmentSpec, context: JobContext, /) -> None:
        """Removes what a cancelled or failed job left beside its images."""
        try:
            remove_leftovers(spec.images, spec.output, spec.labels, self.workshop.context(context, networks=False))
        finally:
            self.workshop.leave()


@dataclass(frozen=True)
class MeasureHandler:
    """Runs `measure` jobs."""

    workshop: Workshop

    def __call__(self, spec: MeasureSpec, context: JobContext, /) -> JobResult:
        from noyau.pipelines import measure

        try:
            return measure.run(spec, self.workshop.context(context, networks=False))
        finally:
            self.workshop.leave()

    def cleanup(self, spec: MeasureSpec, context: JobContext, /) -> None:
        """Removes what a cancelled or failed job left beside its images."""
        remaining = self.workshop.context(context, networks=False)
        run = measured_name(spec.labels)
        try:
            remove_leftovers(spec.images, spec.output, spec.labels, remaining, MEASURED, run=run)
        finally:
            self.workshop.leave()


@dataclass(frozen=True)
class TrainHandler:
    """Runs `train` jobs. What they leave behind lies in the job's own folder, which the runner removes."""

    workshop: Workshop

    def __call__(self, spec: TrainSpec, context: JobContext, /) -> JobResult:
        from noyau.pipelines import train_job

        try:
            return train_job.run(spec, self.workshop.context(context, networks=False))
        finally:
            self.workshop.leave()


@dataclass(frozen=True)
class SuggestHandler:
    """Runs `suggest` jobs."""

    workshop: Workshop

    def __call__(self, spec: SuggestSpec, context: JobContext, /) -> JobResult:
        from noyau.pipelines import suggest

        try:
            return suggest.run(spec, self.workshop.context(context, networks=True))
        finally:
            self.workshop.leave()

    def cleanup(self, spec: SuggestSpec, context: JobContext, /) -> None:
        """Removes what a cancelled or failed job has half written."""
        from noyau.pipelines import suggest

        try:
            suggest.cleanup(spec, self.workshop.context(context, networks=False))
        finally:
            self.workshop.leave()


@dataclass(frozen=True)
class SynthHandler:
    """Runs `synth` jobs."""

    workshop: Workshop

    def __call__(self, spec: SynthSpec, context: JobContext, /) -> JobResult:
        from noyau.pipelines import synth

        return synth.run(spec, self.workshop.context(context, networks=False))

    def cleanup(self, spec: SynthSpec, context: JobContext, /) -> None:
        """Removes what a cancelled or failed job has half written."""
        from noyau.pipelines import synth

        synth.cleanup(spec, self.workshop.context(context, networks=False))
