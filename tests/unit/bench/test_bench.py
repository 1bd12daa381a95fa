"""The benchmarks run and their figures fit each other; how large the figures are is the machine's affair."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from noyau.bench import NAMES, run
from noyau.bench.memory import peak_bytes
from noyau.bench.stages import ideal_prediction
from noyau.bench.volumes import shape_of, write_tiled
from noyau.decoding import vote
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, JobCancelled, NotFound
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.model import ModelInfo, VoteParams
from noyau.domain.progress import SilentReporter
from noyau.models.networks import build
from noyau.models.package import write_package
from noyau.models.receptive_field import halo_for
from noyau.sources import open_image

LEVEL = {"channels": 4, "stride": [1, 2, 2], "down": [[1, 3, 3]], "up": [[1, 3, 3]]}
ARGUMENTS = {"ndim": 3, "offset_scale": 8.0, "levels": [LEVEL]}


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """A package with a network of a few weights, none of them trained."""
    folder = tmp_path_factory.mktemp("packages")
    network = build("vote-unet", ARGUMENTS)
    z, y, x = halo_for(network)
    info = ModelInfo(
        name="tiny",
        version="1",
        digest="",
        ndim=3,
        architecture="vote-unet",
        arguments=ARGUMENTS,
        voxel_size=VoxelSize(2.0, 1.0, 1.0),
        diameter=14.0,
        halo=(z, y, x),
        stride=network.total_stride,
        tile=(16, 64, 64),
    )
    write_package(folder / "tiny" / "1", info, network.state_dict(), "# tiny")
    return folder


@pytest.mark.slow
def test_every_benchmark_gives_positive_figures_with_unit_and_machine(packages, tmp_path, monkeypatch):
    monkeypatch.setattr("noyau.bench.networks.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("noyau.bench.stages.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("noyau.bench.decoders.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("noyau.bench.volumes.BLOCK", (16, 64, 64))
    monkeypatch.setattr("noyau.bench.volumes.SLAB", (16, 64, 64))
    rows = run(model="tiny", models=[packages], pipeline_voxels=6e4, memory_voxels=[6e4], folder=tmp_path)
    assert [name for name in NAMES if name not in {row.bench for row in rows}] == []
    assert all(row.value > 0 and row.unit and "cores" in row.machine for row in rows)
    figures = {row.name: row.value for row in rows if row.bench == "pipeline"}
    ratio = figures["job from file to file"] / figures["bare forward pass"]
    assert figures["job / bare forward pass"] == pytest.approx(ratio)
    memory = [row for row in rows if row.bench == "memory"]
    assert 0.05 < memory[0].value < 16
    assert list(tmp_path.iterdir()) == []


def test_one_benchmark_can_be_stopped_and_leaves_nothing(packages, tmp_path):
    class Stopping(SilentReporter):
        def check(self) -> None:
            raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        run(["network"], model="tiny", models=[packages], folder=tmp_path, reporter=Stopping())
    assert list(tmp_path.iterdir()) == []


def test_wrong_requests_are_named(packages):
    with pytest.raises(InvalidInput, match="no benchmark 'speed'"):
        run(["speed"], model="tiny", models=[packages])
    with pytest.raises(InvalidInput, match="more than 0"):
        run(["memory"], model="tiny", models=[packages], memory_voxels=[0.0])
    with pytest.raises(NotFound, match="huge"):
        run(["network"], model="huge", models=[packages])


@pytest.mark.parametrize("voxels", [1e6, 1e8, 4e8, 1.6e9])
def test_shapes_have_about_the_wanted_size_and_are_whole_blocks(voxels):
    shape = shape_of(voxels)
    assert shape[0] % 64 == shape[1] % 256 == 0
    assert np.prod(shape) == pytest.approx(voxels, rel=0.1) or shape == (64, 256, 256)


def test_a_tiled_image_repeats_its_block(tmp_path):
    block = np.random.default_rng(0).integers(0, 1000, (8, 16, 16)).astype(np.uint16)
    image = write_tiled(tmp_path / "a.ome.zarr", block, (20, 40, 33), VoxelSize(2.0, 1.0, 1.0))
    with open_image(ImageRef(image), access=AccessPolicy()) as source:
        assert source.info.voxel_size == VoxelSize(2.0, 1.0, 1.0)
        pixels = source.read(Box.of((20, 40, 33)))
    np.testing.assert_array_equal(pixels, np.tile(block, (3, 3, 3))[:20, :40, :33])


def test_the_ideal_prediction_decodes_to_the_labels():
    labels = np.zeros((12, 40, 40), np.uint32)
    labels[2:10, 4:16, 4:16], labels[2:10, 20:34, 22:36] = 1, 2
    found = vote.segment_crop(ideal_prediction(labels), VoteParams(seed_mass=10.0))
    np.testing.assert_array_equal(found, labels)


def test_peak_memory_is_at_least_what_is_held_now():
    held = np.ones(2**26, np.uint8)
    statm = Path("/proc/self/statm")
    now = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.is_file() else held.nbytes
    assert peak_bytes() >= now >= held.nbytes
