"""One crop judged: the answers of a model to several views of it, and what it looks like."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import pi
from typing import Any

import numpy as np

from noyau.domain.geometry import Index3, VoxelSize, as_index
from noyau.domain.image import ImageSource
from noyau.domain.model import ModelInfo
from noyau.pipelines import preview
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.statistics import Intensity
from noyau.pipelines.suggest_crops import Crop
from noyau.training.suggestion_choice import Descriptor, describe_crop
from noyau.training.suggestion_scores import Uncertainty, measure_structure, measure_uncertainty
from noyau.training.suggestion_views import View, views_for


@dataclass(frozen=True)
class Judge:
    """A model and the image that it looks at.

    Attributes:
        model: the model.
        source: the opened image.
        voxel_size: of the image, micrometres z/y/x.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        context: of the job.
    """

    model: ModelInfo
    source: ImageSource
    voxel_size: VoxelSize
    device: str
    context: PipelineContext

    def judge(self, crop: Crop, intensity: Intensity) -> tuple[Uncertainty, Descriptor]:
        """How unsure the model is about a crop, and what the crop looks like.

        Args:
            crop: the crop.
            intensity: what normalises the whole time point.
        """
        pixels = self.source.read(crop.box, time=crop.time)
        answers = [self._answer(pixels, view, intensity) for view in self._views(pixels.shape[0] == 1)]
        labels = answers[0].labels
        uncertainty = measure_uncertainty(
            [a.probability for a in answers],
            [a.labels for a in answers],
            self._typical(flat=pixels.shape[0] == 1),
            measure_structure(pixels, self._block()),
        )
        looks = describe_crop(pixels, intensity.low, intensity.high, self.model.normalisation, labels)
        return uncertainty, looks

    def labels(self, crop: Crop, intensity: Intensity) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of a crop and the nuclei that the model finds there, z/y/x."""
        pixels = self.source.read(crop.box, time=crop.time)
        return pixels, self._answer(pixels, View(), intensity).labels

    def _views(self, flat: bool) -> tuple[View, ...]:
        # Transposing would change the grid where a voxel is not square.
        square = abs(self.voxel_size.y - self.voxel_size.x) < 1e-6 * self.voxel_size.y
        return tuple(view for view in views_for(flat) if square or not view.transposed)

    def _answer(self, pixels: np.ndarray, view: View, intensity: Intensity) -> _Answer:
        spread = (intensity.high - intensity.low) / view.gain
        found = preview.run(
            view.apply(pixels),
            registry=self.context.registry,
            backends=self.context.backends,
            voxel_size=view.voxel_size(self.voxel_size),
            model=self.model.ref,
            probability=True,
            device=self.device,
            limits=self.context.limits,
            intensity=replace(intensity, high=intensity.low + spread),
            check=self.context.reporter.check,
        )
        # Both were asked for.
        probability, labels = np.asarray(found.probability), np.asarray(found.labels)
        return _Answer(view.undo(np.rint(probability * 255).astype(np.uint8)), view.undo(labels))

    def _widths(self) -> tuple[float, ...]:
        """Widths z/y/x of a typical nucleus in voxels of the image."""
        if self.model.voxel_size is None:
            return (1.0, self.model.diameter, self.model.diameter)
        return tuple(self.model.diameter / size for size in self.voxel_size)

    def _typical(self, *, flat: bool) -> float:
        """Voxels of a typical nucleus."""
        z, y, x = self._widths()
        return pi / 4 * y * x if flat else pi / 6 * z * y * x

    def _block(self) -> Index3:
        return as_index(max(1, round(width / 3)) for width in self._widths())


@dataclass(frozen=True)
class _Answer:
    """Foreground bytes and nuclei of one view, turned back."""

    probability: np.ndarray
    labels: np.ndarray


def to_payload(uncertainty: Uncertainty, looks: Descriptor) -> dict[str, Any]:
    """What a job's record keeps of a crop, as JSON-able values."""
    features = [float(f"{value:.5g}") for value in looks.features]
    thumbnail = looks.thumbnail.hex()
    return {"uncertainty": asdict(uncertainty), "features": features, "thumbnail": thumbnail}


def from_payload(payload: Any) -> tuple[Uncertainty, Descriptor]:
    """The inverse of `to_payload`."""
    looks = Descriptor(tuple(payload["features"]), bytes.fromhex(payload["thumbnail"]))
    return Uncertainty(**payload["uncertainty"]), looks
