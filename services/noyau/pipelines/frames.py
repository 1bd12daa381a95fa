"""One time point of one image under way: what its stages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box
from noyau.domain.image import ImageSource
from noyau.domain.intensity import normalise
from noyau.domain.model import Normalisation
from noyau.domain.processing import apply, steps_from
from noyau.pipelines.prepare import ImagePlan
from noyau.pipelines.scratch import LabelStore, PredictionStore
from noyau.pipelines.statistics import Intensity
from noyau.planning.reflect import read_reflected
from noyau.planning.units import Unit


@dataclass(frozen=True)
class Frame:
    """A time point of an image.

    Attributes:
        source: the opened image.
        time: the time point.
        plan: how the image is segmented.
        units: write units of its label array.
        intensity: what normalises it.
        folder: scratch of this frame.
        prefix: begins the names of its units in the ledger.
    """

    source: ImageSource
    time: int
    plan: ImagePlan
    units: tuple[Unit, ...]
    intensity: Intensity
    folder: Path
    prefix: str

    @cached_property
    def predictions(self) -> PredictionStore:
        """Quantised predictions on the model's grid."""
        return PredictionStore(self.folder / "predict", self.plan.grid, self.plan.planes)

    @cached_property
    def provisional(self) -> LabelStore:
        """Provisional labels on the image's grid."""
        return LabelStore(self.folder / "decode")

    @cached_property
    def _normalise(self) -> Callable[[np.ndarray], np.ndarray]:
        return normaliser(self.source.info.dtype, self.intensity, self.plan.model.normalisation)

    def window(self, padded: Box) -> np.ndarray:
        """The network's input for a window of the model's grid, float32 (Z, Y, X): rescaled, reflected, normalised."""
        return self._normalise(read_reflected(self._on_model_grid, padded, self.plan.scaling.shape))

    def _on_model_grid(self, box: Box) -> np.ndarray:
        return self.plan.scaling.read(lambda part: self.source.read(part, time=self.time), box)


def normaliser(dtype: str, intensity: Intensity, params: Normalisation) -> Callable[[np.ndarray], np.ndarray]:
    """A function from pixels to network input, float32 of the same shape.

    8- and 16-bit integers go through a table of all their values, which gives the same numbers as the formula at a
    fraction of the time. Rescaled pixels are floats and take the formula.
    """

    steps = steps_from([dict(step) for step in intensity.steps])
    if params.steps and not steps:
        raise InvalidInput("The steps that prepare the input of this model were not measured on the image.")

    def formula(block: np.ndarray) -> np.ndarray:
        return apply(steps, block) if steps else normalise(block, intensity.low, intensity.high, params)

    kind = np.dtype(dtype)
    if kind.kind not in "ui" or kind.itemsize > 2:
        return formula
    smallest = int(np.iinfo(kind).min)
    table = formula(np.arange(smallest, int(np.iinfo(kind).max) + 1))

    def lookup(block: np.ndarray) -> np.ndarray:
        if block.dtype.kind == "f":
            return formula(block)
        index = block if smallest == 0 else block.astype(np.int32) - smallest
        return np.asarray(np.take(table, index))

    return lookup
