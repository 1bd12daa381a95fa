"""Which crops teach most: views, disagreement, structure, and a choice without repetition."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import Normalisation
from noyau.training.suggestion_choice import Descriptor, choose, describe_crop
from noyau.training.suggestion_scores import UNSEEN, block_means, measure_structure, measure_uncertainty
from noyau.training.suggestion_views import View, views_for

SHAPE = (1, 40, 40)
BOTH = [(slice(None), slice(5, 15), slice(5, 15)), (slice(None), slice(20, 32), slice(18, 30))]


def labels_of(*places: tuple[slice, ...]) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint32)
    for number, place in enumerate(places, start=1):
        labels[place] = number
    return labels


def bytes_of(labels: np.ndarray, inside: int = 255) -> np.ndarray:
    return np.where(labels > 0, inside, 0).astype(np.uint8)


@pytest.mark.parametrize("view", [*views_for(flat=False), View((True, True, True), transposed=True)])
def test_a_view_is_undone_exactly(view: View) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (3, 5, 7))
    np.testing.assert_array_equal(view.undo(view.apply(pixels)), pixels)


def test_a_transposed_crop_has_a_transposed_voxel() -> None:
    assert View(transposed=True).voxel_size(VoxelSize(3, 2, 1)) == VoxelSize(3, 1, 2)
    assert View(flips=(True, True, True)).voxel_size(VoxelSize(3, 2, 1)) == VoxelSize(3, 2, 1)


def test_views_of_a_plane_do_not_mirror_z_and_all_differ() -> None:
    assert not any(view.flips[0] for view in views_for(flat=True))
    assert len(set(views_for(flat=True))) == len(views_for(flat=True)) >= 4
    assert views_for(flat=False)[0] == View()


def test_equal_confident_answers_are_no_uncertainty() -> None:
    same = labels_of(*BOTH)
    found = measure_uncertainty([bytes_of(same)] * 3, [same] * 3, 100.0, 20.0)
    assert found.score == pytest.approx(0.0, abs=1e-6) and found.nuclei == 2


def test_each_kind_of_disagreement_counts() -> None:
    same, half = labels_of(*BOTH), labels_of(BOTH[0])
    shaky = measure_uncertainty([bytes_of(same), bytes_of(half)], [same, half], 100.0, 20.0)
    assert shaky.pixels > 0.1 and shaky.objects > 0.1
    one = labels_of((slice(None), slice(5, 32), slice(5, 30)))
    merged = measure_uncertainty([bytes_of(same)] * 2, [same, one], 100.0, 20.0)
    assert merged.objects > 0.5 and merged.pixels < 1e-6
    weak = measure_uncertainty([bytes_of(same, 140)] * 2, [same] * 2, 100.0, 20.0)
    assert weak.doubt > 0.5 and weak.objects == 0.0


def test_an_empty_crop_is_worth_nothing_but_unseen_structure_is() -> None:
    nothing, dark = labels_of(), bytes_of(labels_of())
    assert measure_uncertainty([dark] * 2, [nothing] * 2, 100.0, 2.5).score == 0.0
    unseen = measure_uncertainty([dark] * 2, [nothing] * 2, 100.0, 30.0)
    assert unseen.unseen and unseen.score == UNSEEN


def test_one_flicker_is_less_than_many() -> None:
    nothing, spot = labels_of(), labels_of((slice(None), slice(0, 3), slice(0, 3)))
    few = measure_uncertainty([bytes_of(spot), bytes_of(nothing)], [spot, nothing], 100.0, 2.0)
    many, other = labels_of(*BOTH), labels_of((slice(None), slice(0, 4), slice(0, 40)))
    assert 0 < few.score < measure_uncertainty([bytes_of(many), bytes_of(other)], [many, other], 100.0, 2.0).score


def test_structure_is_neither_noise_nor_slope_nor_specks() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(100, 10, (1, 200, 200))
    slope = noise + np.linspace(0, 500, 200)
    specks = noise.copy()
    specks[0, rng.integers(0, 200, 5), rng.integers(0, 200, 5)] += 3000
    discs = noise.copy()
    discs[:, 40:60, 40:60] += 60
    discs[:, 140:160, 90:110] += 60
    block = (1, 7, 7)
    assert (
        max(measure_structure(image, block) for image in (noise, slope, specks)) < 8 < measure_structure(discs, block)
    )
    assert measure_structure(np.zeros((1, 50, 50)), block) == 0.0


def test_block_means_leave_out_the_rest() -> None:
    means = block_means(np.arange(2 * 5 * 4.0).reshape(2, 5, 4), (2, 2, 9))
    assert means.shape == (1, 2, 1)
    assert means[0, 0, 0] == np.arange(40.0).reshape(2, 5, 4)[:, :2].mean()


def describe(image: np.ndarray) -> Descriptor:
    low, high = np.percentile(image, [25, 99.8])
    return describe_crop(image, float(low), float(high), Normalisation(), (image > (low + high) / 2).astype(np.uint32))


def scene(seed: int, size: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 5, (1, 96, 96))
    for y, x in rng.integers(0, 96 - size, (12, 2)):
        image[0, y : y + size, x : x + size] += 200
    return image


def test_the_same_crop_is_not_chosen_twice_even_with_other_noise_gain_and_lamp() -> None:
    first = scene(1)
    noisy = first + np.random.default_rng(9).normal(0, 10, first.shape)
    lamp = np.linspace(0.7, 1.3, 96)
    crops = [first, noisy * 3 + 500, first * lamp, scene(2), scene(3)]
    chosen = choose([0.5, 0.9, 0.8, 0.4, 0.3], [describe(c) for c in crops], 5)
    assert chosen == [1, 3, 4]


def test_different_fields_under_one_lamp_are_different() -> None:
    lamp = 400 * np.linspace(0, 1, 96) ** 2
    crops = [scene(seed) + lamp for seed in range(4)]
    assert len(choose([0.5] * 4, [describe(c) for c in crops], 4)) == 4


def test_of_equally_uncertain_crops_the_unlike_come_first() -> None:
    crops = [scene(1), scene(2), scene(3), scene(4, size=30)]
    chosen = choose([0.5, 0.49, 0.49, 0.48], [describe(c) for c in crops], 4)
    assert chosen[:2] == [0, 3]


def test_worthless_crops_are_never_chosen() -> None:
    looks = [describe(scene(seed)) for seed in range(3)]
    assert choose([0.0, 0.2, 0.0], looks, 3) == [1]
    assert choose([], [], 3) == []
