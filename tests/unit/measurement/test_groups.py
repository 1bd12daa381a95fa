"""Groups of objects: every object once, inside its group's bounded read."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.geometry import Box
from noyau.measurement.groups import group_objects

MARGIN = (1, 3, 3)


def boxes(shape: tuple[int, int, int], number: int, largest: int) -> dict[int, Box]:
    rng = np.random.default_rng(number)
    starts = np.stack([rng.integers(0, n, number) for n in shape], axis=1)
    stops = np.minimum(starts + rng.integers(1, largest, starts.shape), shape)
    return {
        3 * k + 1: Box(tuple(a), tuple(b)) for k, (a, b) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True))
    }


@pytest.mark.parametrize("shape", [(40, 200, 300), (1, 900, 700), (500, 30, 30)])
@pytest.mark.parametrize("max_voxels", [30_000, 200_000, 10**9])
def test_every_object_lies_with_its_margin_in_one_bounded_group(shape: tuple[int, int, int], max_voxels: int) -> None:
    objects, extent = boxes(shape, 300, 20), Box.of(shape)
    groups = group_objects(objects, MARGIN, extent, max_voxels)
    assert sorted(label for g in groups for label in g.ids) == sorted(objects)
    for group in groups:
        assert list(group.ids) == sorted(group.ids) and group.step == 1
        assert group.box.voxels <= max_voxels and extent.contains(group.box)
        for label in group.ids:
            assert group.box.contains(objects[label].grown(MARGIN).intersection(extent))
    # Not one read per object: neighbours share it.
    assert len(groups) == 1 if max_voxels == 10**9 else 1 < len(groups) < 200


def test_an_object_too_large_is_alone_and_sampled() -> None:
    objects = {1: Box((0, 0, 0), (100, 100, 100)), 2: Box((5, 5, 5), (8, 8, 8))}
    groups = {g.ids: g for g in group_objects(objects, (0, 0, 0), Box.of((100, 100, 100)), 40_000)}
    assert set(groups) == {(1,), (2,)}
    assert groups[(2,)].step == 1
    assert np.prod([-(-n // groups[(1,)].step) for n in groups[(1,)].box.shape]) <= 40_000


def test_no_objects_no_groups() -> None:
    assert group_objects({}, MARGIN, Box.of((5, 5, 5)), 100) == []
