"""What all benchmarks share: the model, warm networks, a folder, and how a job is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from noyau.bench.rows import Row, machine
from noyau.bench.volumes import synthetic_block
from noyau.domain.access import AccessPolicy
from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, SegmentSpec
from noyau.domain.model import ModelInfo
from noyau.domain.progress import Reporter, SilentReporter
from noyau.inference.backend import Backend
from noyau.inference.cache import BackendCache
from noyau.inference.selection import choose
from noyau.models.registry import ModelRegistry
from noyau.pipelines import segment
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.prepare import plan_image
from noyau.sources import open_image
from noyau.training.synthetic.volume import SyntheticVolume

LABELS = "bench"


@dataclass(frozen=True)
class Setting:
    """The conditions of a run.

    Attributes:
        model: reference of a 3D model.
        models: folders of model packages; None means the shipped ones.
        folder: for images and results; the caller removes it.
        reporter: is told what is being measured, and says when to stop.
    """

    model: str
    models: tuple[Path, ...] | None
    folder: Path
    reporter: Reporter = field(default_factory=SilentReporter)

    @cached_property
    def registry(self) -> ModelRegistry:
        """The known models."""
        return ModelRegistry(self.models)

    @cached_property
    def backends(self) -> BackendCache:
        """Networks, kept warm from one measurement to the next."""
        return BackendCache()

    @property
    def info(self) -> ModelInfo:
        """The model's description."""
        return self.registry.get(self.model)

    @property
    def voxel_size(self) -> VoxelSize:
        """Voxels of the images: those of the model, so that nothing is rescaled."""
        return self.info.voxel_size or VoxelSize(1.0, 1.0, 1.0)

    @cached_property
    def block(self) -> SyntheticVolume:
        """The block that images are made of."""
        return synthetic_block(self.voxel_size)

    def network(self, backend: str = "auto", device: str = "auto") -> Backend:
        """The model's network, warm or freshly loaded."""
        info = self.info
        return self.backends.get(info, choose(device, backend), lambda: self.registry.load(info.ref).network)

    def spec(self, image: str) -> SegmentSpec:
        """The job that is measured: everything at its default."""
        return SegmentSpec(images=(ImageRef(image),), model=self.model, labels=LABELS, overwrite=True)

    def window(self, image: str) -> Index3:
        """The network's input for one tile of an image, as the pipeline plans it."""
        with open_image(ImageRef(image), access=AccessPolicy()) as source:
            limits, backend = self.context("plan").limits, choose("auto", "auto").backend
            return plan_image(image, source.info, self.info, self.spec(image), limits, backend).grid.window

    def context(self, job: str) -> PipelineContext:
        """What a pipeline gets."""
        return PipelineContext(
            registry=self.registry,
            access=AccessPolicy(),
            workdir=self.folder / f"work-{job}",
            backends=self.backends,
            job_id=job,
        )

    def segment(self, image: str, job: str) -> JobResult:
        """Segments an image from file to file, tables and picture included."""
        return segment.run(self.spec(image), self.context(job))


def random_windows(shape: Index3, count: int) -> np.ndarray:
    """Inputs for a network, float32 (N, Z, Y, X); what is in them does not change how long a pass takes."""
    return np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32)


def row(bench: str, name: str, value: float, unit: str, note: str = "") -> Row:
    """A row that names this machine."""
    return Row(bench, name, float(value), unit, note, machine())


def noted(parts: Sequence[object]) -> str:
    """Conditions in one line."""
    return ", ".join(str(part) for part in parts)
