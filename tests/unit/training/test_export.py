"""Descriptions of trained models."""

from dataclasses import replace
from math import pi
from pathlib import Path

import pytest
from noyau.domain.geometry import VoxelSize
from noyau.models.networks import build, default_arguments
from noyau.training.config import TrainConfig
from noyau.training.export import describe, plain_card
from noyau.training.fingerprint import Fingerprint

EMBRYOS = Fingerprint(
    ndim=3, pairs=1, voxels=1, shape=(1, 1, 1), largest=(1, 1, 1), voxel_size=None, objects=9, extent=(8.0, 16.0, 16.0),
    diameter=13.0, size=1150.0, foreground=0.1, known=1.0, contrast=5.0,
)  # fmt: skip


def described(ndim, **changes):
    config = TrainConfig(
        name=f"nuclei-{ndim}d", ndim=ndim, data=("d",), out=Path("/somewhere/run"), max_steps=3, **changes
    )
    return describe(config, build("vote-unet", default_arguments(ndim)), "4", 17, 90.0)


def test_a_3d_model_names_its_grid_and_exact_halo():
    info = described(3, voxel_size=(1.75, 0.8, 0.8))
    assert info.ref == "nuclei-3d@4" and info.voxel_size == VoxelSize(1.75, 0.8, 0.8)
    assert info.halo == (16, 40, 40) and info.stride == (2, 4, 4)
    assert info.vote.weights == (2, 1, 1)
    assert info.training["steps"] == 17 and info.training["minutes_used"] == 1.5


def test_a_2d_model_has_one_plane_and_works_in_pixels():
    info = described(2)
    assert info.voxel_size is None
    assert (info.halo[0], info.stride[0], info.tile[0]) == (0, 1, 1)
    assert info.halo[1] == info.halo[2] == 96 and info.vote.max_offset[0] == 0


def test_nothing_of_the_machine_is_recorded():
    info = described(2)
    assert "/somewhere" not in str(info) and "/somewhere" not in plain_card(info)


def test_the_arithmetic_is_recorded_that_the_run_really_took():
    assert described(2).training["precision"] in ("fp32", "bf16")
    assert described(2, device="cuda:1").training["precision"] == "fp16"
    assert described(2, precision="fp32").training["precision"] == "fp32"


def test_tiles_are_multiples_of_the_stride():
    for ndim in (2, 3):
        info = described(ndim)
        assert all(t % s == 0 and h % s == 0 for t, h, s in zip(info.tile, info.halo, info.stride, strict=True))


def child_of(parent, diameter, **changes):
    """The description of a model that was fine-tuned on nuclei of a diameter, in voxels."""
    config = TrainConfig(name="mine", ndim=parent.ndim, data=("d",), out=Path("run"), max_steps=3, **changes)
    ball = 4 / 3 * pi * (diameter / 2) ** 3
    found = replace(EMBRYOS, ndim=parent.ndim, diameter=diameter, size=ball)
    network = build("vote-unet", default_arguments(parent.ndim))
    return describe(config, network, "1", 1, 1.0, found=found, parent=parent)


def test_a_child_for_nuclei_of_its_parents_size_decodes_as_the_parent():
    parent = described(3, voxel_size=(1.75, 0.8, 0.8))
    parent = replace(parent, vote=replace(parent.vote, min_certainty=0.81))
    child = child_of(parent, 11.0, voxel_size=(1.75, 0.8, 0.8))
    assert child.vote == parent.vote and child.diameter == parent.diameter


def test_a_child_for_smaller_nuclei_does_not_drop_them():
    parent = described(3, voxel_size=(1.75, 0.8, 0.8))
    parent = replace(parent, vote=replace(parent.vote, min_certainty=0.81))
    child = child_of(parent, 6.5, voxel_size=(1.75, 0.8, 0.8))
    assert child.vote.min_voxels == round(parent.vote.min_voxels / 8)
    assert child.vote.nms == (3, 3, 3) and child.vote.radius == 7
    # The parent's limit was chosen on images of its own.
    assert child.vote.min_certainty == 0.0
    assert child.diameter == pytest.approx(parent.diameter / 2, rel=0.01)
    # A child of the child keeps what fits its nuclei.
    assert child_of(child, 6.0, voxel_size=(1.75, 0.8, 0.8)).vote == child.vote


def test_a_child_in_pixels_scales_from_its_parents_size():
    parent = replace(described(2), diameter=40.0)
    assert child_of(parent, 36.0).vote == parent.vote
    assert child_of(parent, 20.0).vote.radius == parent.vote.radius // 2
