"""One result whatever the order, the batch, the workers and the tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from noyau.compute.executor import Task
from noyau.compute.inline import InlineExecutor
from noyau.domain.geometry import VoxelSize
from noyau.pipelines import segment, spread
from noyau.pipelines.staff import Staff

TILE = (16, 32, 32)


class ShuffledExecutor(InlineExecutor):
    """Starts the tasks in another order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.moved = seed, 0

    def run(
        self,
        tasks: Sequence[Task],
        *,
        lanes: Mapping[str, int],
        in_flight: Mapping[str, int],
        done: Callable[[Task, Any], None],
        check: Callable[[], None],
    ) -> None:
        order = np.random.default_rng(self.seed).permutation(len(tasks))
        self.moved += int((order != np.arange(len(tasks))).sum())
        super().run([tasks[i] for i in order], lanes=lanes, in_flight=in_flight, done=done, check=check)


@pytest.fixture
def reference(workshop, world):
    """The image and its labels on one grid."""
    uri = workshop.image(world.image)
    segment.run(workshop.spec(uri, tile=TILE, workers=1), workshop.context())
    return uri, workshop.labels(uri)


@pytest.mark.parametrize("changes", [{"batch": 2}, {"batch": 7, "workers": 3}, {"workers": 5}])
def test_batch_and_workers_change_nothing(workshop, reference, changes):
    uri, expected = reference
    segment.run(workshop.spec(uri, tile=TILE, overwrite=True, **changes), workshop.context(job_id="b"))
    np.testing.assert_array_equal(workshop.labels(uri), expected)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_the_tiles_changes_nothing(workshop, reference, seed, monkeypatch):
    uri, expected = reference
    shuffled = ShuffledExecutor(seed)
    monkeypatch.setattr(spread, "Staff", partial(Staff, executor=shuffled))
    segment.run(workshop.spec(uri, tile=TILE, overwrite=True), workshop.context(job_id="c"))
    assert shuffled.moved > 10
    np.testing.assert_array_equal(workshop.labels(uri), expected)


@pytest.mark.parametrize("unit", [(32, 256, 256), (16, 64, 64)])
def test_the_units_of_decoding_change_nothing(workshop, worlds, unit, monkeypatch):
    uri = workshop.image(worlds((40, 72, 300)).image)
    segment.run(workshop.spec(uri), workshop.context())
    expected = workshop.labels(uri)
    monkeypatch.setattr("noyau.pipelines.segment_image.DECODE_UNIT", unit)
    monkeypatch.setattr("noyau.sinks.labels.plan_chunks", lambda shape, axes, **_: ((8, 32, 32), None))
    segment.run(workshop.spec(uri, overwrite=True), workshop.context(job_id="d"))
    np.testing.assert_array_equal(workshop.labels(uri), expected)


@pytest.mark.parametrize("voxel", [VoxelSize(1, 1, 1), VoxelSize(1.6, 0.7, 0.75)], ids=["as it is", "rescaled"])
def test_five_tile_sizes_give_the_same_nuclei(workshop, world, voxel):
    uri = workshop.image(world.image, voxel_size=voxel)
    labels = {}
    for tile in [(8, 16, 16), (16, 32, 32), (32, 24, 40), (12, 64, 20), (256, 256, 256)]:
        segment.run(workshop.spec(uri, tile=tile, overwrite=True), workshop.context(job_id=f"t{tile[1]}"))
        labels[tile] = workshop.labels(uri)
    whole = labels.pop((256, 256, 256))
    assert whole.max() > 50
    for found in labels.values():
        assert found.max() == whole.max()
        assert np.mean(found != whole) <= 1e-5


def test_five_tile_sizes_agree_in_2d(workshop, flat_world):
    uri = workshop.image(flat_world.image[0])
    labels = []
    for edge in [16, 32, 48, 100, 300]:
        segment.run(workshop.spec(uri, tile=(1, edge, edge), overwrite=True), workshop.context(job_id=f"t{edge}"))
        labels.append(workshop.labels(uri))
    assert all(found.max() == labels[-1].max() and np.mean(found != labels[-1]) <= 1e-5 for found in labels)


@pytest.mark.slow
def test_five_tile_sizes_agree_with_the_shipped_model_on_a_real_embryo(workshop, shared_data):
    from noyau.models.registry import ModelRegistry

    image = np.load(shared_data / "bbbc050" / "Emb10_t401.npz")["image"]
    uri = workshop.image(image, voxel_size=VoxelSize(1.75, 0.8, 0.8))
    labels = []
    for tile in [(256, 256, 256), (32, 64, 64), (20, 40, 56), (64, 32, 64), (16, 48, 96)]:
        context = workshop.context(job_id=f"t{tile[1]}", registry=ModelRegistry())
        segment.run(workshop.spec(uri, tile=tile, overwrite=True, backend="auto"), context)
        labels.append(workshop.labels(uri))
    assert labels[0].max() > 5
    assert all(found.max() == labels[0].max() and np.mean(found != labels[0]) <= 1e-5 for found in labels)
