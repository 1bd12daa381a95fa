"""From what the data looks like to a configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.domain.errors import InvalidInput
from noyau.domain.model import Normalisation
from noyau.domain.training_jobs import TrainMode
from noyau.training.choosing import Budget, choose, working_grid
from noyau.training.dataset import Pair, load_pair
from noyau.training.export import VOTE_2D, VOTE_3D
from noyau.training.fingerprint import Fingerprint, take_fingerprint
from noyau.training.scaling import REFERENCE, scaled_vote
from noyau.training.targets import find_objects

STRIDE = (2, 4, 4)
PLENTY = Budget(64 * 2**30)
EMBRYO = Fingerprint(
    ndim=3, pairs=10, voxels=20_000_000, shape=(50, 200, 200), largest=(60, 220, 220), voxel_size=(1.75, 0.8, 0.8),
    objects=500, extent=(8.0, 17.0, 17.0), diameter=13.0, size=1150.0, foreground=0.2, known=1.0, contrast=8.0,
)  # fmt: skip


def ball_pair(radius: tuple[float, ...], shape: tuple[int, ...], **changes: Any) -> Pair:
    """One bright ellipsoid with these half axes in the middle of noise."""
    grid = np.indices(shape)
    inside = sum(((g - n // 2) / r) ** 2 for g, n, r in zip(grid, shape, radius, strict=True)) <= 1
    labels = inside.astype(np.uint16)
    image = np.random.default_rng(0).normal(100, 5, shape) + 60 * inside
    return replace(Pair("a/b", image, labels, 0.0, 1.0, find_objects(labels)), **changes)


def test_a_fingerprint_measures_size_contrast_and_spacing() -> None:
    pair = ball_pair((4.2, 8.2, 8.2), (24, 40, 40), voxel_size=(2.0, 1.0, 1.0))
    found = take_fingerprint([pair, pair])
    assert found.extent == (9.0, 17.0, 17.0) and found.voxel_size == (2.0, 1.0, 1.0)
    assert found.diameter == pytest.approx(2 * (4.2 * 8.2 * 8.2) ** (1 / 3), rel=0.03)
    assert found.contrast == pytest.approx(12, rel=0.15)
    assert found.foreground == pytest.approx(pair.labels.mean()) and found.known == 1.0
    assert (found.pairs, found.objects, found.shape, found.voxels) == (2, 2, (24, 40, 40), 2 * 24 * 40 * 40)
    assert found.record()["extent"] == [9.0, 17.0, 17.0]


def test_nothing_to_learn_from_is_told() -> None:
    pair = ball_pair((4.0, 4.0), (24, 24))
    with pytest.raises(InvalidInput, match="no pair"):
        take_fingerprint([])
    empty = replace(pair, labels=np.zeros_like(pair.labels), objects=find_objects(np.zeros_like(pair.labels)))
    with pytest.raises(InvalidInput, match="all 2 pairs are empty"):
        take_fingerprint([empty, empty])
    with pytest.raises(InvalidInput, match="unknown"):
        take_fingerprint([replace(pair, known=np.zeros(pair.labels.shape, bool))])
    assert take_fingerprint([empty], labelled=False).extent == (22.0, 22.0)


def test_the_shipped_data_gives_about_the_shipped_patch() -> None:
    chosen = choose(EMBRYO, "scratch", STRIDE, PLENTY, validated=500).values
    z, y, x = chosen["patch"]
    assert 28 <= z <= 40 and 68 <= y <= x <= 84 and not any(p % s for p, s in zip((z, y, x), STRIDE, strict=True))
    assert chosen["batch"] == 2 and chosen["lr"] == 3e-3 and chosen["normalisation"]["low"] == 25.0
    assert chosen["keep"] == "best" and chosen["validate_every"] > 0 and 600 <= chosen["max_steps"] <= 20_000


def test_every_choice_has_a_reason() -> None:
    for mode in ("scratch", "finetune"):
        choice = choose(EMBRYO, mode, STRIDE, PLENTY, validated=0)
        decided = {"patch", "batch", "fragment", "lr", "max_steps", "warmup", "ema"}
        assert decided <= set(choice.values) and decided <= set(choice.reasons)


@pytest.mark.parametrize(
    ("change", "budget"),
    [
        ({"extent": (60.0, 200.0, 200.0), "largest": (500, 900, 900)}, PLENTY),
        ({"extent": (1.0, 2.0, 2.0)}, PLENTY),
        ({"largest": (3, 9, 9)}, PLENTY),
        ({}, Budget(200 * 2**20)),
        ({}, Budget(2**20)),
        ({}, Budget(80 * 2**30, gpu=True)),
    ],
)
def test_patches_fit_stride_image_and_memory(change: dict[str, Any], budget: Budget) -> None:
    found = replace(EMBRYO, **change)
    values = choose(found, "scratch", STRIDE, budget, validated=500).values
    patch, batch = values["patch"], values["batch"]
    assert batch >= 1 and all(p % s == 0 and p >= 2 * s for p, s in zip(patch, STRIDE, strict=True))
    assert all(p <= max(2 * s, n + s) for p, s, n in zip(patch, STRIDE, found.largest, strict=True))
    assert np.prod(patch) <= 1_000_000
    if budget.memory < 2**30:
        assert np.prod(patch) < np.prod(choose(found, "scratch", STRIDE, PLENTY, validated=500).values["patch"])
    if budget.gpu:
        assert batch == 16


def test_patches_of_small_nuclei_are_about_as_large_as_those_of_the_shipped_ones() -> None:
    small = replace(EMBRYO, extent=(4.0, 8.0, 8.0))
    patches = [choose(found, "finetune", STRIDE, PLENTY, validated=500).values["patch"] for found in (small, EMBRYO)]
    assert np.prod(patches[0]) >= 0.7 * np.prod(patches[1])


def test_a_few_nuclei_are_watched_but_do_not_decide_which_step_is_kept() -> None:
    few, many = (choose(EMBRYO, "finetune", STRIDE, PLENTY, validated=n).values for n in (20, 500))
    assert few["validate_every"] == many["validate_every"] > 0
    assert "keep" not in few and "patience" not in few and many["keep"] == "best"


def test_fine_tuning_takes_smaller_and_fewer_steps() -> None:
    tuned, scratch = (choose(EMBRYO, mode, STRIDE, PLENTY, validated=500).values for mode in ("finetune", "scratch"))
    assert tuned["lr"] < scratch["lr"] and tuned["max_steps"] < scratch["max_steps"]
    assert tuned["normalisation"] == {"inverted": False} and tuned["augment"]["zoom_wide_share"] < 0.2


def test_fine_tuning_looks_at_each_of_a_few_crops_as_often() -> None:
    crop = 48 * 128 * 128
    few = [replace(EMBRYO, pairs=n, voxels=n * crop, largest=(48, 128, 128)) for n in (1, 3, 5, 300)]
    one, three, five, many = (choose(f, "finetune", STRIDE, PLENTY, validated=500).values["max_steps"] for f in few)
    assert three == pytest.approx(3 * one, rel=0.01) and five == pytest.approx(5 * one, rel=0.01) and many == 2000


@pytest.mark.parametrize("mode", ["finetune", "scratch"])
def test_dark_nuclei_are_seen_as_bright_ones_and_dim_ones_are_not(mode: TrainMode) -> None:
    for contrast, dark in ((-8.0, True), (-0.3, False), (8.0, False)):
        choice = choose(replace(EMBRYO, contrast=contrast), mode, STRIDE, PLENTY, validated=0)
        assert choice.values["normalisation"]["inverted"] is dark
        assert f"{contrast:.1f}" in choice.reasons["normalisation.inverted"]


def test_the_users_budget_wins() -> None:
    timed = choose(EMBRYO, "scratch", STRIDE, Budget(2**33, minutes=5.0), validated=500).values
    assert (timed["minutes"], timed["max_steps"]) == (5.0, None)
    counted = choose(EMBRYO, "scratch", STRIDE, Budget(2**33, steps=40), validated=500).values
    assert (counted["minutes"], counted["max_steps"]) == (None, 40)
    assert counted["validate_every"] == 10 and counted["ema"] == 0.9


def test_dense_images_keep_their_dark_percentile_in_the_background() -> None:
    dense = choose(replace(EMBRYO, foreground=0.9), "scratch", STRIDE, PLENTY, validated=500).values
    assert dense["normalisation"]["low"] == pytest.approx(5.0)


def test_much_finer_or_coarser_data_is_resampled() -> None:
    assert working_grid(EMBRYO)[0] == (1.75, 0.8, 0.8)
    fine = replace(EMBRYO, voxel_size=(0.5, 0.1, 0.1), extent=(27.0, 144.0, 144.0))
    grid, reason = working_grid(fine)
    assert grid == pytest.approx((1.5, 0.6, 0.6)) and "resampled" in reason
    coarse = replace(EMBRYO, voxel_size=(4.0, 2.0, 2.0), extent=(3.0, 7.0, 7.0))
    assert working_grid(coarse)[0] == pytest.approx((2.0, 1.0, 1.0))
    assert working_grid(replace(EMBRYO, voxel_size=None))[0] is None
    assert working_grid(replace(EMBRYO, ndim=2, extent=(20.0, 20.0), voxel_size=(1.0, 0.3, 0.3)))[0] is None


def test_decoder_parameters_follow_the_size_of_the_nuclei() -> None:
    assert scaled_vote(VOTE_3D, 3, REFERENCE[3] * 1.2) is VOTE_3D
    double = scaled_vote(VOTE_3D, 3, 2 * REFERENCE[3])
    assert double.radius == 2 * VOTE_3D.radius and double.min_voxels == 8 * VOTE_3D.min_voxels
    assert double.nms == tuple(2 * n for n in VOTE_3D.nms) and max(double.max_offset) <= 63
    tiny = scaled_vote(VOTE_2D, 2, 3.0)
    assert tiny.nms[0] == 0 and min(tiny.nms[1:]) >= 1 and tiny.min_voxels >= 1 and tiny.radius >= 2


def test_fingerprints_of_files(pairs_folder: Path) -> None:
    pairs = [load_pair(path, 2, Normalisation()) for path in sorted(pairs_folder.glob("*.npz"))]
    found = take_fingerprint(pairs)
    assert (found.pairs, found.objects) == (6, 24) and 8 < found.diameter < 16 and found.contrast > 10
