"""What worker processes run: jobs by kind, and previews. The worker resolves `build_handlers` by its import string."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from noyau.api.ports import PreviewOutcome, PreviewTask
from noyau.config import Settings, settings_from_json
from noyau.domain.jobs import JobResult, MeasureSpec, SegmentSpec
from noyau.inference.cache import BackendCache
from noyau.jobs.context import Handlers, JobContext
from noyau.logs import configure_logging
from noyau.pipelines import measure, preview, segment
from noyau.pipelines.context import Limits, PipelineContext
from noyau.wiring import access_policy, model_registry, threads_per_worker


def build_handlers(values: Mapping[str, Any]) -> Handlers:
    """Handlers by kind, with one warm cache of networks for the life of the worker process.

    Args:
        values: `settings`: settings as JSON text.
    """
    settings = settings_from_json(values["settings"])
    configure_logging(settings.log.format, settings.log.level)
    workshop = Workshop.of(settings)
    return {"segment": SegmentHandler(workshop), "measure": MeasureHandler(workshop)}


def build_preview(text: str) -> Callable[[PreviewTask], PreviewOutcome]:
    """The function that runs crops in the preview process. Takes settings as JSON text."""
    settings = settings_from_json(text)
    configure_logging(settings.log.format, settings.log.level)
    workshop = Workshop.of(settings)

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
        return PreviewOutcome(found.model, found.labels, found.probability)

    return run


@dataclass(frozen=True)
class Workshop:
    """What all jobs of one process share."""

    settings: Settings
    registry: Any
    backends: BackendCache
    limits: Limits
    threads: int

    @classmethod
    def of(cls, settings: Settings) -> Workshop:
        threads = threads_per_worker(settings)
        limits = settings.limits
        return cls(
            settings=settings,
            registry=model_registry(settings.models),
            backends=BackendCache(threads=threads),
            limits=Limits(max_voxels=limits.image_voxels, max_tile_voxels=limits.tile_voxels, max_images=limits.images),
            threads=threads,
        )

    def context(self, job: JobContext) -> PipelineContext:
        """What a pipeline needs for one job."""
        return PipelineContext(
            registry=self.registry,
            access=access_policy(self.settings),
            workdir=job.workdir,
            backends=self.backends,
            reporter=job.reporter,
            ledger=job.ledger,
            job_id=job.job_id,
            limits=self.limits,
            threads=self.threads,
        )


@dataclass(frozen=True)
class SegmentHandler:
    """Runs `segment` jobs."""

    workshop: Workshop

    def __call__(self, spec: SegmentSpec, context: JobContext, /) -> JobResult:
        return segment.run(spec, self.workshop.context(context))

    def cleanup(self, spec: SegmentSpec, context: JobContext, /) -> None:
        """Removes what a cancelled or failed job left beside its images."""
        segment.cleanup(spec, self.workshop.context(context))


@dataclass(frozen=True)
class MeasureHandler:
    """Runs `measure` jobs."""

    workshop: Workshop

    def __call__(self, spec: MeasureSpec, context: JobContext, /) -> JobResult:
        return measure.run(spec, self.workshop.context(context))

    def cleanup(self, spec: MeasureSpec, context: JobContext, /) -> None:
        """Removes what a cancelled or failed job left beside its images."""
        measure.cleanup(spec, self.workshop.context(context))
