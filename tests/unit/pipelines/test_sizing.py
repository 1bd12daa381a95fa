"""The size of nuclei is found out from the image: the size at which what is found is as large as what was sought."""

from __future__ import annotations

import math
from dataclasses import replace

import cc3d
import numpy as np
import pytest
from noyau.domain.errors import JobCancelled
from noyau.domain.geometry import VoxelSize
from noyau.domain.jobs import SegmentSpec
from noyau.domain.progress import SilentReporter
from noyau.models.registry import ModelRegistry
from noyau.pipelines.context import Limits
from noyau.pipelines.memory import ArraySource
from noyau.pipelines.prepare import plan_image
from noyau.pipelines.sizing import CORE, LARGER, SMALLER, brightest_place, fit_ratio
from noyau.pipelines.statistics import measure_intensity

MODEL = ModelRegistry().get("nuclei-3d")
VOXEL = MODEL.voxel_size or VoxelSize(1.0, 1.0, 1.0)


class Onlooker:
    """Finds bright objects, and is as sure of each as `certainty` says for its diameter relative to the model's."""

    name, device, precision = "torch", "cpu", "float32"

    def certainty(self, relative: np.ndarray) -> np.ndarray:
        return np.full_like(relative, 0.9)

    def predict(self, batch, check=lambda: None):
        check()
        out = np.zeros((len(batch), 4, *batch.shape[1:]), np.uint8)
        for window, answer in zip(batch, out, strict=True):
            parts = cc3d.connected_components(window > 0.5, connectivity=6)
            counts = np.bincount(parts.ravel())
            diameters = (6 * counts * VOXEL.volume / math.pi) ** (1 / 3)
            sure = 255 * self.certainty(diameters / MODEL.diameter)
            sure[0] = 0
            answer[0] = np.where(sure[parts] > 0, np.maximum(sure[parts], 130), 0)
            centres = np.nan_to_num(cc3d.statistics(parts.astype(np.uint32))["centroids"])[parts]
            offsets = np.moveaxis(centres, -1, 0) - np.indices(window.shape)
            answer[1:] = np.where(parts > 0, np.clip(np.rint(offsets), -127, 127), 0).astype(np.int8).view(np.uint8)
        return out


def balls(diameter: float, step: float = 1.0) -> ArraySource:
    """Eight bright balls of a diameter in micrometres, in voxels `step` times the model's."""
    voxel = VOXEL.scaled((step, step, step))
    shape = tuple(int(4.4 * diameter / v) for v in voxel)
    grid = np.indices(shape)
    image = np.zeros(shape, np.uint16)
    for corner in np.ndindex(2, 2, 2):
        centre = [(1.1 + 2.2 * c) * diameter / v for c, v in zip(corner, voxel, strict=True)]
        distance = sum(((g - c) * v) ** 2 for g, c, v in zip(grid, centre, voxel, strict=True))
        image[distance < (diameter / 2) ** 2] = 1000
    return ArraySource(image + 100, voxel)


def fitted(source: ArraySource, network=None, check=lambda: None):
    spec = SegmentSpec((source.ref,))
    return fit_ratio(
        source,
        0,
        measure_intensity(source, 0, MODEL.normalisation, SilentReporter()),
        lambda r: plan_image(
            "balls", source.info, MODEL, replace(spec, diameter=r * MODEL.diameter), Limits(), "torch"
        ),
        network or Onlooker(),
        check,
    )


@pytest.mark.parametrize(
    ("relative", "step", "tried"),
    [(0.5, 0.5, SMALLER[:2]), (1.0, 1.0, ()), (1.6, 1.3, ()), (2.6, 2.0, LARGER[:1])],
)
def test_one_size_after_another_is_tried_until_the_nuclei_are_as_large_as_sought(relative, step, tried) -> None:
    ratio, trials = fitted(balls(relative * MODEL.diameter, step))
    assert [t.ratio for t in trials] == [1.0, *tried]
    assert ratio == trials[-1].ratio
    for trial in trials:
        assert trial.nuclei >= 4
        assert trial.size == pytest.approx(relative / trial.ratio, rel=0.2)


def test_a_size_at_which_the_model_is_less_sure_is_not_taken() -> None:
    class Choosy(Onlooker):
        def certainty(self, relative: np.ndarray) -> np.ndarray:
            return np.where(relative < 0.6, 0.95, 0.8)

    ratio, trials = fitted(balls(0.5 * MODEL.diameter, 0.5), Choosy())
    assert [t.ratio for t in trials] == [1.0, SMALLER[0]]
    assert ratio == 1.0


def test_an_image_without_nuclei_keeps_the_usual_size() -> None:
    noise = np.random.default_rng(0).normal(100, 1, (20, 60, 60)).astype(np.float32)

    class Blind(Onlooker):
        def predict(self, batch, check=lambda: None):
            return np.zeros((len(batch), 4, *batch.shape[1:]), np.uint8)

    ratio, trials = fitted(ArraySource(noise, VOXEL), Blind())
    assert ratio == 1.0
    assert [t.nuclei for t in trials] == [0]


@pytest.mark.parametrize(("shape", "whole"), [((20, 60, 60), True), ((60, 300, 300), False)])
def test_a_small_image_is_looked_at_through_the_window_that_segments_it(shape, whole: bool) -> None:
    """So that it costs no more than the image itself, and no network is compiled for a second shape."""
    seen = []

    class Watched(Onlooker):
        def predict(self, batch, check=lambda: None):
            seen.append(batch.shape[1:])
            return super().predict(batch, check)

    source = ArraySource(np.full(shape, 100, np.uint16), VOXEL)
    fitted(source, Watched())
    window = plan_image("a", source.info, MODEL, SegmentSpec((source.ref,)), Limits(), "torch").grid.window
    crop = tuple(c + 2 * h for c, h in zip(CORE[3], MODEL.halo, strict=True))
    assert seen == [window if whole else crop]


def test_it_stops_when_told() -> None:
    def stop() -> None:
        raise JobCancelled("stopped by the test")

    with pytest.raises(JobCancelled):
        fitted(balls(MODEL.diameter), check=stop)


def test_the_crop_is_taken_where_the_image_is_bright() -> None:
    image = np.zeros((8, 300, 300), np.uint8)
    image[:, 220:280, 20:80] = 200
    z, y, x = brightest_place(ArraySource(image), 0, (8, 100, 100), lambda: None)
    assert (z, y, x) == (0.5, pytest.approx(5 / 6), pytest.approx(1 / 6))
