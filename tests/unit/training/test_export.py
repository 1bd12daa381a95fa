"""Descriptions of trained models."""

from pathlib import Path

from noyau.domain.geometry import VoxelSize
from noyau.models.networks import build, default_arguments
from noyau.training.config import TrainConfig
from noyau.training.export import describe, plain_card


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


def test_tiles_are_multiples_of_the_stride():
    for ndim in (2, 3):
        info = described(ndim)
        assert all(t % s == 0 and h % s == 0 for t, h, s in zip(info.tile, info.halo, info.stride, strict=True))
