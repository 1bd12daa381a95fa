"""Streaming gives the numbers of the whole volume; neighbours, borders, intensities and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box, VoxelSize
from noyau.measurement import Table, boxes_in, columns_for, concatenate, measure, measure_volume, objects_of

SPACING = VoxelSize(1.5, 0.6, 0.6)


def crowd(shape: tuple[int, ...] = (20, 60, 70), objects: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Touching balls of random labels, and an image."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    labels = np.zeros(shape, np.uint32)
    for label in rng.choice(np.arange(1, 1000), objects, replace=False):
        centre = [rng.uniform(0, n) for n in shape]
        scale = np.array([2.5, 1, 1])[-len(shape) :]
        labels[(((grid - centre) * scale) ** 2).sum(-1) < rng.uniform(4, 9) ** 2] = label
    image = rng.normal(100, 5, shape) + 400 * (labels > 0)
    return labels, image.astype(np.float32)


def assert_same(one: Table, other: Table) -> None:
    assert list(one.columns) == list(other.columns)
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("shape", [(20, 60, 70), (1, 150, 160)])
@pytest.mark.parametrize("max_voxels", [20_000, 40_000])
def test_streaming_gives_the_same_numbers_whatever_the_group(shape: tuple[int, ...], max_voxels: int) -> None:
    labels, image = crowd(shape)
    channels = {"DAPI": image, "red": (image * 7).astype(np.uint16)}
    whole = measure(labels, channels, SPACING)
    read: list[int] = []

    def reader(array: np.ndarray):
        def read_box(box: Box) -> np.ndarray:
            assert Box.of(shape).contains(box)
            read.append(box.voxels)
            return array[box.slices].copy()

        return read_box

    objects = objects_of(reader(labels), shape, (7, 19, 23))
    assert objects == boxes_in(labels)
    read.clear()
    readers = {name: reader(array) for name, array in channels.items()}
    seen: list[tuple[int, int]] = []
    streamed = measure_volume(
        reader(labels),
        readers,
        dict(reversed(objects.items())),
        SPACING,
        image_shape=shape,
        max_voxels=max_voxels,
        threads=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert_same(whole, streamed)
    assert max(read) <= max_voxels
    assert len(seen) > 1 and seen[-1] == (len(objects), len(objects))
    assert np.array_equal(whole["label"], np.unique(labels)[1:])


def test_part_of_an_image_keeps_image_coordinates() -> None:
    labels, image = crowd()
    whole = measure(labels, {"a": image}, SPACING)
    origin = (0, 10, 15)
    part = (slice(0, 20), slice(10, 60), slice(15, 70))
    inside = [
        label
        for label, box in boxes_in(labels).items()
        if box.start[1] >= 22 and box.start[2] >= 27  # further from the cut than gap and shell
    ]
    assert inside
    table = measure(labels[part], {"a": image[part]}, SPACING, origin=origin, image_shape=(20, 60, 70), ids=inside)
    rows = np.isin(whole["label"], inside)
    for name in whole.columns:
        if not name.startswith(("nearest", "local")):
            np.testing.assert_array_equal(whole[name][rows], table[name], err_msg=name)


def test_neighbours_and_contact() -> None:
    labels = np.zeros((4, 9, 12), np.uint32)
    labels[1:3, 2:5, 2:4] = 10
    labels[1:3, 2:5, 4:6] = 20  # a face of 2 x 3 voxels, normal to x
    labels[3, 2:5, 2:6] = 30  # below both: 3 x 2 voxels each, normal to z
    labels[1, 7, 9] = 40
    table = measure(labels, {}, VoxelSize(2.0, 0.5, 0.25))
    side, below = 6 * 2.0 * 0.5, 6 * 0.5 * 0.25
    assert list(table["touching_neighbours"]) == [2, 2, 2, 0]
    np.testing.assert_allclose(table["contact_area_um2"], [side + below, side + below, 2 * below, 0])
    assert list(table["touches_border"]) == [False, False, True, False]


def test_pixel_neighbours_in_2d() -> None:
    labels = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 2, 0], [0, 1, 1, 2, 0], [0, 0, 0, 0, 0], [3, 0, 0, 0, 0]], np.uint8)
    table = measure(labels, {}, VoxelSize(1.0, 0.5, 0.25))
    np.testing.assert_allclose(table["contact_length_um"], [1.0, 1.0, 0.0])
    assert list(table["touches_border"]) == [False, False, True]


def test_distances_and_density() -> None:
    labels = np.zeros((9, 9, 40), np.uint32)
    for k, x in enumerate((5, 10, 20)):
        labels[4, 4, x] = k + 1
    table = measure(labels, {}, VoxelSize(1.0, 1.0, 0.5))
    np.testing.assert_allclose(table["nearest_distance_um"], [2.5, 2.5, 5.0])
    np.testing.assert_allclose(table["nearest5_distance_um"], [5.0, 3.75, 6.25])
    ball = 4 / 3 * np.pi * np.array([7.5, 5.0, 7.5]) ** 3
    np.testing.assert_allclose(table["local_density_per_mm3"], 2 / ball * 1e9)


def test_intensity_of_known_values() -> None:
    labels = np.zeros((9, 30, 30), np.uint32)
    labels[4, 15, 10:14] = 5
    image = np.full(labels.shape, 100, np.uint16)
    image[4, 15, 10:14] = [200, 400, 250, 350]
    image[4, 15, 9] = 60_000  # blurred light right beside the object is no background
    image[:, :3] = 9_999  # nor is what lies far away
    row = measure(labels, {"far red (1)": image}, VoxelSize(1.0, 0.5, 0.5)).row(5)
    values = {k.removesuffix("_far_red_1"): v for k, v in row.items() if k.endswith("_far_red_1")}
    assert values["intensity_mean"] == 300
    assert values["intensity_sd"] == pytest.approx(np.std([200, 400, 250, 350]))
    assert (values["intensity_min"], values["intensity_max"], values["intensity_median"]) == (200, 400, 300)
    assert values["intensity_sum"] == 1200
    assert values["background_mean"] == 100
    assert values["intensity_integrated"] == 800
    assert np.isnan(values["snr"])  # a background without noise has no signal-to-noise ratio


def test_enclosed_object_takes_the_background_of_the_others() -> None:
    labels = np.ones((15, 15, 40), np.uint32)
    labels[..., 15:] = 0
    labels[6:9, 6:9, 6:9] = 2
    image = np.where(labels > 0, 50.0, 10.0) + np.arange(40) % 2
    table = measure(labels, {"c": image}, VoxelSize(1, 1, 1))
    assert table.row(2)["background_mean_c"] == table.row(1)["background_mean_c"] == pytest.approx(10.5, abs=0.3)
    assert table.row(2)["intensity_integrated_c"] == pytest.approx(27 * 40, rel=0.03)


def test_object_too_large_for_a_read_is_sampled() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(n) - n / 2 for n in (60, 80, 80)], indexing="ij"), axis=-1)
    labels = ((grid**2).sum(-1) < 26**2).astype(np.uint32)
    labels[2:5, 2:5, 2:5] = 9
    image = np.where(labels == 1, 70, 20).astype(np.uint8)
    exact = measure(labels, {"c": image}, SPACING)
    reads: list[int] = []

    def read(box: Box) -> np.ndarray:
        reads.append(box.voxels)
        return labels[box.slices]

    sampled = measure_volume(
        read,
        {"c": lambda box: image[box.slices]},
        boxes_in(labels),
        SPACING,
        image_shape=labels.shape,
        max_voxels=50_000,
    )
    assert list(sampled["sampling_step"]) == [2, 1]
    for name, tolerance in (("volume_um3", 0.02), ("surface_um2", 0.03), ("feret_max_um", 0.05), ("elongation", 0.03)):
        assert sampled[name][0] == pytest.approx(exact[name][0], rel=tolerance), name
    for axis in "zyx":
        assert sampled[f"centroid_{axis}_voxel"][0] == pytest.approx(exact[f"centroid_{axis}_voxel"][0], abs=0.6)
    assert sampled["intensity_mean_c"][0] == 70
    assert sampled.row(9)["volume_um3"] == exact.row(9)["volume_um3"]


def test_scattered_voxels_of_one_label_are_no_failure() -> None:
    labels = np.zeros((60, 61, 62), np.uint32)
    labels[1, 1, 1] = labels[57, 59, 61] = 4
    table = measure_volume(
        lambda box: labels[box.slices], {}, boxes_in(labels), SPACING, image_shape=labels.shape, max_voxels=10_000
    )
    row = table.row(4)
    assert row["sampling_step"] > 1
    assert row["feret_max_um"] == pytest.approx(np.linalg.norm([56 * 1.5, 58 * 0.6, 60 * 0.6]), rel=0.1)


def test_progress_can_stop_the_work() -> None:
    labels, image = crowd()
    calls: list[int] = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        raise InterruptedError

    readers = {"c": lambda box: image[box.slices]}
    with pytest.raises(InterruptedError):
        measure_volume(
            lambda box: labels[box.slices],
            readers,
            boxes_in(labels),
            SPACING,
            image_shape=labels.shape,
            threads=2,
            progress=stop,
        )
    assert calls == [16]


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 5, 6)])
def test_no_objects_give_an_empty_table_with_all_columns(shape: tuple[int, int, int]) -> None:
    table = measure(np.zeros(shape, np.uint32), {"c": np.zeros(shape)}, SPACING)
    assert len(table) == 0
    ndim = 2 if shape[0] == 1 else 3
    assert list(table.columns) == [c.name for c in columns_for(ndim, ["c"])]


@pytest.mark.parametrize("ndim", [2, 3])
def test_dictionary_describes_exactly_the_columns(ndim: int) -> None:
    shape = (30, 40) if ndim == 2 else (12, 30, 40)
    labels, image = crowd(shape, 5)
    table = measure(labels, {"c": image}, SPACING)
    dictionary = {c.name: c for c in columns_for(ndim, ["c"])}
    assert list(table.columns) == list(dictionary)
    for name, values in table.columns.items():
        column = dictionary[name]
        assert values.dtype == column.dtype and column.description
        # Every column was filled: a name that no stage writes would be NaN throughout.
        assert not np.isnan(values.astype(float)).all(), name
        for unit in ("um3", "um2", "um", "deg", "voxel"):
            if name.endswith(f"_{unit}"):
                assert column.unit == {"deg": "degree"}.get(unit, unit)
                break


def test_large_sparse_labels_are_kept() -> None:
    labels = np.zeros((3, 6, 6), np.uint32)
    labels[1, 2:4, 2:4] = 4_294_967_295
    assert list(measure(labels, {}, SPACING)["label"]) == [4_294_967_295]


def test_tables_are_put_together() -> None:
    labels, image = crowd(objects=3)
    table = measure(labels, {"c": image}, SPACING)
    timed = [table.with_columns({"time": np.full(len(table), t)}) for t in (0, 1)]
    assert list(concatenate(timed)["time"]) == [0] * len(table) + [1] * len(table)
    with pytest.raises(InvalidInput, match="same columns"):
        concatenate([table, timed[0]])
    with pytest.raises(InvalidInput, match="differ in length"):
        Table({"a": np.zeros(2), "b": np.zeros(3)})


def test_bad_input_is_named() -> None:
    labels = np.zeros((3, 6, 6), np.uint32)
    labels[1, 2, 2] = 1
    with pytest.raises(InvalidInput, match="Channel 'c'"):
        measure(labels, {"c": np.zeros((3, 6, 5))}, SPACING)
    with pytest.raises(InvalidInput, match="no object 8"):
        measure(labels, {}, SPACING, ids=[1, 8])
    with pytest.raises(InvalidInput, match="same column names"):
        measure(labels, {"a b": labels, "a-b": labels}, SPACING)
    wrong = {1: Box((0, 4, 4), (1, 5, 5))}
    with pytest.raises(InvalidInput, match="Object 1 has no voxel"):
        measure_volume(lambda box: labels[box.slices], {}, wrong, SPACING, image_shape=labels.shape)
