"""The whole generator: reproducible, sound labels, ideal truth, every recipe and voxel size."""

from __future__ import annotations

import json
from dataclasses import replace

import cc3d
import numpy as np
import pytest
from noyau.domain.errors import InvalidInput, LimitExceeded, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic import Recipe, SyntheticVolume, generate, recipe_named, recipe_names
from noyau.training.synthetic.optics import expose
from noyau.training.synthetic.recipe import OpticsRanges
from noyau.training.synthetic.volume import LEAST_VOXELS
from noyau.training.synthetic.voxels import draw_voxel_size

SHAPE = (24, 72, 80)
VOXEL = VoxelSize(1.75, 0.8, 0.8)


def check_labels(volume: SyntheticVolume) -> None:
    labels = volume.labels
    assert labels.dtype == np.uint32
    assert labels.shape == volume.image.shape
    ids = np.unique(labels)
    np.testing.assert_array_equal(ids[ids > 0], np.arange(1, volume.count + 1))
    pieces, count = cc3d.connected_components(labels, connectivity=26, return_N=True)
    assert count == volume.count, "a label has several pieces"
    assert pieces.max() == volume.count
    if volume.count:
        assert np.bincount(labels.ravel())[1:].min() >= LEAST_VOXELS
    assert volume.record["nuclei"] == volume.count
    json.dumps(volume.record)


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_recipe_gives_sound_labels_in_3d(name: str, seed: int) -> None:
    volume = generate(SHAPE, VOXEL, seed, recipe_named(name))
    check_labels(volume)
    assert volume.record["recipe"] == name


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_every_recipe_gives_sound_labels_in_2d(name: str, seed: int) -> None:
    check_labels(generate((1, 160, 180), VoxelSize(1, 0.65, 0.65), seed, recipe_named(name)))


@pytest.mark.parametrize("shape", [SHAPE, (1, 120, 100)])
def test_one_seed_gives_the_same_bytes_and_another_seed_others(shape: tuple[int, int, int]) -> None:
    first, again, other = (generate(shape, VOXEL, seed) for seed in (5, 5, 6))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.record == again.record
    assert first.labels.tobytes() != other.labels.tobytes()


def test_ideal_truth_knows_nothing_of_the_optics() -> None:
    recipe = Recipe.tissue().with_scene(outline=(0.0, 0.0), outline_axial=(0.0, 0.0))
    blurred = replace(recipe, optics=OpticsRanges(psf=(1.0, 1.2), photons=(3.0, 4.0), background=(0.5, 0.5)))
    sharp, dull = generate(SHAPE, VOXEL, 3, recipe), generate(SHAPE, VOXEL, 3, blurred)
    np.testing.assert_array_equal(sharp.labels, dull.labels)
    assert sharp.image.tobytes() != dull.image.tobytes()


def test_annotators_outline_what_the_lens_shows() -> None:
    ideal = Recipe.embryo().with_scene(outline=(0.0, 0.0), outline_axial=(0.0, 0.0), touching=(0.0, 0.0))
    seen = ideal.with_scene(outline_axial=(1.0, 1.0))
    small, large = (generate((48, 96, 96), VOXEL, 11, recipe, count=2) for recipe in (ideal, seen))
    assert small.image.tobytes() == large.image.tobytes() and small.count == large.count > 0
    optics = small.record["optics"]
    grown = 2 * optics["psf"] * optics["elongation"]
    for one, other in zip(_extents(small), _extents(large), strict=True):
        assert other[0] - one[0] == pytest.approx(grown, abs=2 * VOXEL.z)
        assert other[1:] == pytest.approx(one[1:], abs=VOXEL.x)


def _extents(volume: SyntheticVolume) -> list[np.ndarray]:
    """Widths z/y/x of the objects, micrometres."""
    places = (np.argwhere(volume.labels == i + 1) for i in range(volume.count))
    return [(np.ptp(where, axis=0) + 1) * np.array(tuple(volume.voxel_size)) for where in places]


@pytest.mark.parametrize(
    "voxel",
    [(0.3, 0.3, 0.3), (1.0, 0.2, 0.2), (5.0, 0.5, 0.5), (2.0, 2.0, 2.0), (0.5, 1.0, 1.0), (1.0, 0.5, 0.7)],
)
def test_any_voxel_size(voxel: tuple[float, float, float]) -> None:
    volume = generate((20, 64, 64), VoxelSize(*voxel), 2, Recipe.wide(), density=0.2)
    check_labels(volume)
    assert volume.record["z_subsampling"] == max(1, min(10, round(voxel[0] / voxel[1])))
    diameter = volume.record["scene"]["diameter_um"]
    assert diameter >= 6 * max(voxel[1:])
    assert diameter >= min(8 * max(voxel[1:]), 0.7 * 64 * min(voxel[1:]))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 4), (2, 8, 300), (64, 8, 8), (3, 5, 7)])
def test_tiny_and_thin_volumes_do_not_fail(shape: tuple[int, int, int]) -> None:
    for seed in range(4):
        check_labels(generate(shape, VOXEL, seed))


def test_nuclei_are_where_the_light_is() -> None:
    for seed in range(4):
        volume = generate(SHAPE, VOXEL, seed, Recipe.embryo(), count=12)
        image = volume.image.astype(float)
        assert image[volume.labels > 0].mean() > image[volume.labels == 0].mean() + image[volume.labels == 0].std()


def test_count_and_density_are_followed() -> None:
    assert generate(SHAPE, VOXEL, 1, count=0).count == 0
    assert generate(SHAPE, VOXEL, 1, Recipe.embryo(), count=1).count in (1, 2)  # a plate may have a sister
    sparse, dense = (generate(SHAPE, VOXEL, 1, Recipe.tissue(), density=d) for d in (0.02, 0.3))
    assert (dense.labels > 0).mean() > 3 * (sparse.labels > 0).mean() > 0


@pytest.mark.parametrize("name", recipe_names())
def test_few_scenes_are_empty(name: str) -> None:
    counts = [generate((12, 56, 56), VOXEL, seed, recipe_named(name)).count for seed in range(12)]
    assert counts.count(0) <= 3
    assert max(counts) > 5


def test_an_empty_scene_is_an_image_all_the_same() -> None:
    volume = generate(SHAPE, VOXEL, 1, Recipe.embryo(), count=0)
    assert volume.image.std() > 0


@pytest.mark.slow
def test_nuclei_touch_as_often_as_in_the_recipe() -> None:
    shares = [generate((32, 96, 96), VoxelSize(1, 0.8, 0.8), s, Recipe.tissue()).record["touching"] for s in range(12)]
    assert 0.3 < np.mean(shares) < 0.7


def test_all_kinds_of_nuclei_come_up() -> None:
    many = Recipe.wide().with_scene(mitotic=(0.3, 0.3), pyknotic=(0.3, 0.3), debris=(0.3, 0.3))
    volume = generate(SHAPE, VOXEL, 1, many, count=30)
    assert volume.record["scene"]["mitotic"] == 0.3
    plain = generate(SHAPE, VOXEL, 1, many.with_scene(mitotic=(0.0, 0.0), pyknotic=(0.0, 0.0)), count=30)
    assert (volume.labels > 0).sum() < (plain.labels > 0).sum()


def test_z_is_blurred_before_it_is_subsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def spy(rng: object, signal: np.ndarray, *rest: object) -> np.ndarray:
        shapes.append(signal.shape)
        return expose(rng, signal, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("noyau.training.synthetic.volume.expose", spy)
    volume = generate((6, 48, 48), VoxelSize(4.0, 1.0, 1.0), 1)
    assert shapes == [(24, 48, 48)]
    assert volume.image.shape == (6, 48, 48)


@pytest.mark.parametrize(
    ("shape", "seed", "options", "word"),
    [
        ((0, 5, 5), 0, {}, "shape"),
        ((5, 5), 0, {}, "shape"),
        ((5, 5, 5), -1, {}, "seed"),
        ((5, 5, 5), 0, {"count": -1}, "number"),
        ((5, 5, 5), 0, {"density": 0.9}, "density"),
    ],
)
def test_nonsense_is_refused(shape: tuple[int, ...], seed: int, options: dict, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        generate(shape, VOXEL, seed, **options)


def test_too_large_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(LimitExceeded, match="memory"):
        generate((4096, 4096, 4096), VOXEL, 0)


def test_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="culture_2d"):
        recipe_named("soup")


def test_voxel_sizes_are_drawn_from_those_of_microscopes() -> None:
    sizes = [draw_voxel_size(seed) for seed in range(200)]
    assert draw_voxel_size(3) == sizes[3]
    assert 0.1 <= min(v.y for v in sizes) < 0.15 and 1.5 < max(v.y for v in sizes) <= 2.0
    ratios = [v.z / v.y for v in sizes]
    assert min(ratios) >= 0.99 and 6 < max(ratios) <= 10.01
    assert draw_voxel_size(3, flat=True).z == 1.0
