"""Label images: written completely or not at all, resumable, replaceable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, InvalidInput, JobCancelled, OutOfRange
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageInfo, ImageRef
from noyau.sinks import LabelSink
from noyau.sources import list_labels, open_image, open_labels

Snapshot = Callable[[Path], dict[str, bytes]]


def truth(sink: LabelSink, time: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, time])
    return rng.integers(0, 2**32, sink.shape, np.uint32)


def create(image: Path, info: ImageInfo, access: AccessPolicy, job: str = "job1", **options: Any) -> LabelSink:
    return LabelSink.create(str(image), "nuclei", like=info, access=access, job=job, **options)


def fill(sink: LabelSink, seed: int = 0) -> LabelSink:
    for time in range(sink.times):
        labels = truth(sink, time, seed)
        for box in sink.units():
            sink.write(box, labels[box.slices], time=time)
    sink.build_pyramid()
    return sink


def attributes(group: Path) -> dict[str, Any]:
    if (group / "zarr.json").exists():
        return json.loads((group / "zarr.json").read_text())["attributes"]["ome"]
    return json.loads((group / ".zattrs").read_text())


def test_labels_come_back_with_pyramid_and_metadata(
    image: Path, info: ImageInfo, access: AccessPolicy, version: str
) -> None:
    sink = fill(create(image, info, access))
    assert list_labels(str(image), access=access) == ()
    assert sink.commit({"model": "m@1"}, labels=[1, 2]) == f"{image}/labels/nuclei"
    assert list_labels(str(image), access=access) == ("nuclei",)
    source = open_labels(str(image), name="nuclei", access=access)
    assert (source.info.axes.names, source.info.shape, source.info.times) == ("tzyx", info.shape, 2)
    assert source.info.voxel_size == VoxelSize(2, 0.5, 0.5) and source.info.levels == 2
    for time in range(2):
        np.testing.assert_array_equal(source.read(Box.of(info.shape), time=time), truth(sink, time))
    coarse = open_labels(f"{image}/labels/nuclei", level=1, access=access)
    np.testing.assert_array_equal(coarse.read(Box.of((2, 150, 30)), time=1), truth(sink, 1)[::2, ::2, ::2])
    ngff = attributes(image / "labels" / "nuclei")
    assert ngff["image-label"]["source"] == {"image": "../../"}
    assert [c["label-value"] for c in ngff["image-label"]["colors"]] == [1, 2]
    stored = ngff["version"] if version == "0.5" else ngff["multiscales"][0]["version"]
    assert stored == version
    assert sorted(p.name for p in (image / "labels").iterdir() if p.is_dir()) == ["nuclei"]


def test_units_partition_the_volume_and_only_whole_units_are_taken(
    image: Path, info: ImageInfo, access: AccessPolicy
) -> None:
    sink = create(image, info, access)
    count = np.zeros(sink.shape, int)
    for box in sink.units():
        count[box.slices] += 1
    assert (count == 1).all() and len(sink.units()) > 1
    unit = sink.units()[0]
    for bad in (unit.shifted((0, 1, 0)), Box(unit.start, (3, 10, 60)), Box((0, 0, 0), (4, 300, 60))):
        with pytest.raises(OutOfRange):
            sink.write(bad, np.zeros(bad.shape, np.uint32))
    with pytest.raises(InvalidInput):
        sink.write(unit, np.zeros((1, 1, 1), np.uint32))
    with pytest.raises(OutOfRange):
        sink.write(unit, np.zeros(unit.shape, np.uint32), time=2)
    sink.abort()


def test_writing_a_unit_again_changes_nothing(
    image: Path, info: ImageInfo, access: AccessPolicy, snapshot: Snapshot
) -> None:
    sink = fill(create(image, info, access))
    before = snapshot(image)
    fill(sink)
    assert snapshot(image) == before


def test_zeros_are_stored_so_that_strict_readers_find_every_chunk(
    image: Path, info: ImageInfo, access: AccessPolicy
) -> None:
    sink = create(image, info, access)
    for time in range(2):
        sink.clear(time)
    sink.build_pyramid()
    sink.commit()
    assert not open_labels(str(image), access=access).read(Box.of(info.shape), time=1).any()


def test_abort_leaves_the_image_as_it_was(
    image: Path, info: ImageInfo, access: AccessPolicy, snapshot: Snapshot
) -> None:
    before = snapshot(image)
    fill(create(image, info, access)).abort()
    assert snapshot(image) == before


def test_a_failing_pyramid_can_be_stopped_and_aborted(
    image: Path, info: ImageInfo, access: AccessPolicy, snapshot: Snapshot
) -> None:
    before = snapshot(image)
    sink = create(image, info, access)

    def stop() -> None:
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        sink.build_pyramid(stop)
    sink.abort()
    assert snapshot(image) == before


def test_labels_of_the_name_are_refused_unless_overwritten(
    image: Path, info: ImageInfo, access: AccessPolicy, snapshot: Snapshot
) -> None:
    fill(create(image, info, access)).commit()
    before = snapshot(image)
    with pytest.raises(AlreadyExists, match="--overwrite"):
        create(image, info, access, job="job2")
    assert snapshot(image) == before
    again = fill(create(image, info, access, job="job2", overwrite=True), seed=5)
    old = open_labels(str(image), access=access).read(Box.of(info.shape))
    np.testing.assert_array_equal(old, truth(again, 0))
    again.commit()
    new = open_labels(str(image), access=access).read(Box.of(info.shape))
    np.testing.assert_array_equal(new, truth(again, 0, seed=5))
    assert list_labels(str(image), access=access) == ("nuclei",)
    assert sorted(p.name for p in (image / "labels").iterdir() if p.is_dir()) == ["nuclei"]


def test_aborting_an_overwrite_keeps_the_old_labels(
    image: Path, info: ImageInfo, access: AccessPolicy, snapshot: Snapshot
) -> None:
    fill(create(image, info, access)).commit()
    before = snapshot(image)
    fill(create(image, info, access, job="job2", overwrite=True), seed=5).abort()
    assert snapshot(image) == before


def test_a_killed_job_finds_its_units_again(image: Path, info: ImageInfo, access: AccessPolicy) -> None:
    first = create(image, info, access)
    unit = first.units()[1]
    first.write(unit, truth(first, 1)[unit.slices], time=1)
    second = create(image, info, access)
    assert second.resumed and not second.committed
    np.testing.assert_array_equal(second.read(unit, time=1), truth(first, 1)[unit.slices])
    other = create(image, info, access, job="job2")
    assert not other.resumed
    other.abort()
    fill(second).commit()


def test_a_job_killed_after_the_switch_only_lists(image: Path, info: ImageInfo, access: AccessPolicy) -> None:
    fill(create(image, info, access)).commit()
    for name in (".zattrs", "zarr.json"):
        listing = image / "labels" / name
        if listing.exists():
            listing.write_text(listing.read_text().replace('"nuclei"', ""))
    assert list_labels(str(image), access=access) == ()
    again = create(image, info, access)
    assert again.committed
    again.commit()
    again.abort()
    assert list_labels(str(image), access=access) == ("nuclei",)


def test_a_job_killed_between_setting_aside_and_the_switch(image: Path, info: ImageInfo, access: AccessPolicy) -> None:
    fill(create(image, info, access)).commit()
    fill(create(image, info, access, job="job2", overwrite=True), seed=5)
    (image / "labels" / "nuclei").rename(image / "labels" / ".nuclei.job2.old")
    again = create(image, info, access, job="job2", overwrite=True)
    assert again.resumed and not again.committed
    again.commit()
    new = open_labels(str(image), access=access).read(Box.of(info.shape))
    np.testing.assert_array_equal(new, truth(again, 0, seed=5))
    assert sorted(p.name for p in (image / "labels").iterdir() if p.is_dir()) == ["nuclei"]


def test_another_plan_of_the_same_job_starts_afresh(image: Path, info: ImageInfo, access: AccessPolicy) -> None:
    create(image, info, access)
    coarse = open_image(ImageRef(str(image), level=1), access=access).info
    sink = create(image, coarse, access, level=1)
    assert not sink.resumed and sink.shape == (2, 150, 30)
    fill(sink).commit()
    assert open_labels(str(image), access=access).info.voxel_size == VoxelSize(4, 1, 1)


def test_several_jobs_list_their_labels_beside_each_other(image: Path, info: ImageInfo, access: AccessPolicy) -> None:
    sinks = [LabelSink.create(str(image), f"n{i}", like=info, access=access, job=f"job{i}") for i in range(3)]
    for sink in sinks:
        fill(sink).commit()
    assert list_labels(str(image), access=access) == ("n0", "n1", "n2")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", ".hidden", "a b", "a" * 101, "ä"])
def test_names_that_cannot_be_a_group(
    image: Path, info: ImageInfo, access: AccessPolicy, name: str, snapshot: Snapshot
) -> None:
    before = snapshot(image)
    with pytest.raises(InvalidInput):
        LabelSink.create(str(image), name, like=info, access=access, job="job1")
    assert snapshot(image) == before


def test_an_output_of_its_own_gets_the_version_of_the_image(
    image: Path, info: ImageInfo, access: AccessPolicy, tmp_path: Path, version: str, snapshot: Snapshot
) -> None:
    before, out = snapshot(image), tmp_path / "out" / "a.zarr"
    sink = fill(LabelSink.create(str(out), "nuclei", like=info, access=access, job="j", image=str(image)))
    sink.commit()
    assert snapshot(image) == before
    assert (out / ("zarr.json" if version == "0.5" else ".zgroup")).exists()
    assert attributes(out / "labels" / "nuclei")["image-label"]["source"]["image"] == str(image)
    got = open_labels(str(out), access=access)
    np.testing.assert_array_equal(got.read(Box.of(info.shape), time=1), truth(sink, 1))


def test_aborting_takes_back_an_output_that_was_made(
    image: Path, info: ImageInfo, access: AccessPolicy, tmp_path: Path
) -> None:
    out = tmp_path / "out.zarr"
    LabelSink.create(str(out), "nuclei", like=info, access=access, job="j", image=str(image)).abort()
    assert not out.exists()


@pytest.mark.parametrize("axes", ["yx", "cyx", "yxc", "zyx", "xyz", "zyxt"])
def test_labels_have_the_axes_of_the_image_without_channels(
    make_image: Callable[..., Path], tmp_path: Path, access: AccessPolicy, axes: str, version: str
) -> None:
    sizes = {"t": 2, "c": 2, "z": 3, "y": 5, "x": 6}
    path = make_image(tmp_path / "a", np.zeros([sizes[a] for a in axes], np.uint8), axes, version=version)
    like = open_image(ImageRef(str(path)), access=access).info
    sink = fill(create(path, like, access))
    sink.commit()
    source = open_labels(str(path), access=access)
    assert source.info.axes.names == {"cyx": "yx", "yxc": "yx", "zyxt": "tzyx"}.get(axes, axes)
    np.testing.assert_array_equal(source.read(Box.of(like.shape)), truth(sink, 0))


def test_two_jobs_for_the_same_name_do_not_replace_each_other(
    image: Path, info: ImageInfo, access: AccessPolicy
) -> None:
    first, second = create(image, info, access), create(image, info, access, job="job2")
    fill(first).commit()
    fill(second, seed=5)
    with pytest.raises(AlreadyExists):
        second.commit()
    second.abort()
    got = open_labels(str(image), access=access).read(Box.of(info.shape))
    np.testing.assert_array_equal(got, truth(first, 0))
