"""From request and metadata to a plan."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
from noyau.domain.axes import Axes
from noyau.domain.errors import LimitExceeded
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageInfo, ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.domain.model import ModelInfo, VoteParams
from noyau.pipelines.context import Limits
from noyau.pipelines.prepare import plan_image

MODEL = ModelInfo(
    "nuclei-3d", "1", "sha256:x", 3, "vote-unet", {}, VoxelSize(2.0, 1.0, 1.0), 12.0, (12, 32, 32), (2, 4, 4),
    (64, 256, 256), vote=VoteParams(min_voxels=60),
)  # fmt: skip
FLAT = replace(MODEL, name="nuclei-2d", ndim=2, voxel_size=None, diameter=20.0, halo=(0, 96, 96), stride=(1, 16, 16))


def image(shape=(50, 200, 300), voxel_size=MODEL.voxel_size):
    return ImageInfo(shape, "uint16", Axes("zyx"), shape, voxel_size, ("0",), 1, 1, shape)


def plan(info=None, model=MODEL, limits=None, backend="openvino", **changes):
    spec = SegmentSpec((ImageRef("a"),), **changes)
    return plan_image("a", info or image(), model, spec, limits or Limits(), backend)


def test_an_image_at_the_models_voxel_size_is_taken_as_it_is():
    made = plan()
    assert made.scaling.is_identity
    assert made.min_voxels == 60
    assert made.grid.counts == (1, 1, 1)
    assert made.warnings == ()


def test_the_voxel_size_decides_about_the_scale():
    made = plan(image(voxel_size=VoxelSize(1.0, 0.5, 0.5)))
    assert made.scaling.step == (2.0, 2.0, 2.0)
    assert made.grid.shape == (25, 100, 150)
    assert made.min_voxels == 480


def test_the_diameter_moves_the_scale():
    assert plan(diameter=24.0).scaling.step == (2.0, 2.0, 2.0)
    assert plan(diameter=12.3).scaling.is_identity


def test_a_2d_model_works_in_pixels_unless_a_diameter_is_given():
    plane = image((1, 512, 512), VoxelSize(1.0, 0.1, 0.1))
    assert plan(plane, FLAT).scaling.is_identity
    # 8 um are 80 pixels; the model knows 20.
    assert plan(plane, FLAT, diameter=8.0).scaling.step == (1.0, pytest.approx(4.0), pytest.approx(4.0))


def test_the_smallest_size_is_a_volume_or_an_area():
    assert plan(min_volume=100.0).min_voxels == 50
    assert plan(min_volume=0.0).min_voxels == 1
    plane = image((1, 512, 512), VoxelSize(1.0, 0.5, 0.5))
    assert plan(plane, FLAT, min_volume=100.0).min_voxels == 400


def test_the_tile_of_a_plane_has_no_depth():
    made = plan(image((1, 512, 512)), FLAT, tile=(32, 64, 64))
    assert made.grid.window[0] == 1


def test_memory_decides_about_the_tile():
    big = image((200, 2000, 2000))
    for backend, size in (("openvino", 110), ("torch", 180)):
        made = plan(big, backend=backend, limits=Limits(network_bytes=10**9))
        assert prod(made.grid.window) * size <= 10**9


def test_a_foreground_threshold_replaces_the_models():
    assert plan(foreground=0.3).vote == replace(MODEL.vote, foreground=0.3)


def test_everything_that_changes_the_scratch_changes_the_signature():
    plans = [plan(), plan(foreground=0.3), plan(tile=(16, 64, 64)), plan(diameter=24.0)]
    plans.append(plan(model=replace(MODEL, digest="sha256:y")))
    assert len({made.signature for made in plans}) == len(plans)
    assert plan().signature == plan(batch=3, workers=2, labels="other").signature


def test_a_wrong_voxel_size_that_blows_the_image_up_is_refused():
    with pytest.raises(LimitExceeded, match="model's grid"):
        plan(image(voxel_size=VoxelSize(1000.0, 1000.0, 1000.0)))


def test_who_asks_for_fainter_nuclei_gets_the_less_certain_ones_too() -> None:
    sure = replace(MODEL, vote=VoteParams(foreground=0.5, min_certainty=0.8))
    assert plan(model=sure).vote == sure.vote
    assert plan(model=sure, foreground=0.25).vote.min_certainty == 0.4
    assert plan(model=sure, foreground=0.9).vote.min_certainty == 0.8
