from __future__ import annotations

from dataclasses import replace

import numpy as np
from noyau.decoding import vote
from noyau.domain.model import VoteParams

PARAMS = VoteParams(
    seed_mass=5.0,
    nms=(0, 2, 2),
    smooth=(0, 1, 1),
    weights=(1, 1, 1),
    radius=40,
    max_offset=(0, 40, 40),
    rival_radius=30,
)


def discs(*rows: tuple[tuple[int, int], int, list[tuple[int, int]]], shape=(1, 64, 96)) -> np.ndarray:
    """Discs (middle, radius) whose voxels vote in turn for the points given, each within a row of its own parity."""
    pred = np.zeros((4, *shape), np.uint8)
    y, x = np.mgrid[: shape[1], : shape[2]]
    for middle, radius, points in rows:
        inside = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= radius**2
        for k, point in enumerate(points):
            chosen = inside & ((y + x) % len(points) == k)
            pred[0, 0][chosen] = 255
            for channel, offset in ((2, point[0] - y), (3, point[1] - x)):
                pred[channel, 0][chosen] = offset.astype(np.int8).view(np.uint8)[chosen]
    return pred


def count(pred: np.ndarray, params: VoteParams) -> int:
    return int(vote.segment_crop(pred, replace(params, min_voxels=1)).max())


def test_two_maxima_inside_one_large_nucleus_are_one_nucleus():
    pred = discs(((32, 40), 20, [(32, 35), (32, 45)]))
    assert count(pred, PARAMS) == 1
    assert count(pred, replace(PARAMS, rival_percent=0)) == 2


def test_small_nuclei_at_the_same_distance_stay_two():
    pred = discs(((32, 35), 4, [(32, 35)]), ((32, 45), 4, [(32, 45)]))
    assert count(pred, PARAMS) == 2


def test_a_small_nucleus_beside_a_large_one_stays():
    pred = discs(((32, 30), 20, [(32, 30)]), ((32, 55), 4, [(32, 55)]))
    assert count(pred, PARAMS) == 2


def test_centres_further_apart_than_the_rival_radius_stay():
    pred = discs(((32, 40), 20, [(32, 35), (32, 45)]))
    assert count(pred, replace(PARAMS, rival_radius=9)) == 2
    assert count(pred, replace(PARAMS, rival_radius=10)) == 1
