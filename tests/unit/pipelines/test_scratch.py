"""Scratch of a job: what is written by tile is read by box; damage is told."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.assembly.objects import summarise
from noyau.domain.errors import DamagedData, NoyauError
from noyau.domain.geometry import Box
from noyau.pipelines.scratch import LabelStore, PredictionStore
from noyau.planning.grid import plan_grid


@pytest.fixture
def stored(tmp_path):
    grid = plan_grid((20, 90, 100), (8, 32, 32), (2, 8, 8), (2, 4, 4))
    whole = np.random.default_rng(0).integers(0, 256, (4, *grid.shape)).astype(np.uint8)
    store = PredictionStore(tmp_path, grid)
    for tile in grid.tiles:
        store.write(tile, whole[(slice(None), *tile.core.slices)])
    return store, whole, grid, tmp_path


@pytest.mark.parametrize(
    "box", [((0, 0, 0), (20, 90, 100)), ((3, 10, 60), (17, 80, 61)), ((19, 89, 99), (20, 90, 100))]
)
def test_boxes_are_put_together_from_tiles(stored, box):
    store, whole, _, _ = stored
    wanted = Box(*box)
    np.testing.assert_array_equal(store.read(wanted), whole[(slice(None), *wanted.slices)])


def test_a_tile_that_is_written_again_replaces_the_first(stored):
    store, _, grid, _ = stored
    tile = grid.tiles[0]
    store.write(tile, np.zeros((4, *tile.core.shape), np.uint8))
    assert store.read(tile.core).max() == 0


def test_a_lost_tile_is_an_error_and_not_background(stored):
    store, _, grid, folder = stored
    for file in (folder / grid.tiles[0].name).iterdir():
        if file.name != "zarr.json":
            file.unlink()
    with pytest.raises(NoyauError, match="scratch folder"):
        store.read(grid.tiles[0].core)


def test_labels_and_their_summary_come_back(tmp_path):
    labels = np.zeros((5, 6, 7), np.int64)
    labels[1:3, 2:4, 2:5] = 2**40 + 3
    store = LabelStore(tmp_path)
    store.write("unit", labels, summarise(labels, (10, 0, 0)))
    np.testing.assert_array_equal(store.read("unit"), labels)
    objects = store.objects("unit")
    assert objects.identity.tolist() == [2**40 + 3]
    assert objects.box(0) == Box((11, 2, 2), (13, 4, 5))
    (tmp_path / "unit.npz").write_bytes(b"rubbish")
    with pytest.raises(DamagedData):
        store.objects("unit")
