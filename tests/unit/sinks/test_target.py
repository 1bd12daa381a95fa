"""Finding out before any work whether results can be written, and cleaning up after killed jobs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidInput,
    LimitExceeded,
    PermissionRefused,
)
from noyau.domain.geometry import Box
from noyau.domain.image import ImageInfo
from noyau.pipelines.staging import remove_staging
from noyau.sinks import LabelSink, ResultSink, preflight, target_for
from noyau.sources import open_labels

Snapshot = Callable[[Path], dict[str, bytes]]


def test_a_good_target_passes_and_is_left_as_it_was(
    image: Path, access: AccessPolicy, snapshot: Snapshot, tmp_path: Path
) -> None:
    before = snapshot(tmp_path)
    preflight(str(image), "nuclei", access=access)
    preflight(str(tmp_path / "new" / "deep"), "nuclei", access=access, image=str(image))
    assert snapshot(tmp_path) == before


def test_existing_results_are_found_in_every_room(image: Path, info: ImageInfo, access: AccessPolicy) -> None:
    sink = ResultSink.create(str(image), "nuclei", access=access, job="job1")
    sink.write_provenance({})
    sink.commit()
    with pytest.raises(AlreadyExists, match="noyau/nuclei"):
        preflight(str(image), "nuclei", access=access)
    preflight(str(image), "nuclei", access=access, overwrite=True)
    preflight(str(image), "nuclei", access=access, job="job1")
    preflight(str(image), "cells", access=access)
    preflight(str(image), "nuclei", access=access, rooms=("labels",))


def test_what_a_killed_process_began_is_not_in_the_way(image: Path, access: AccessPolicy, tmp_path: Path) -> None:
    place = tmp_path / "begun.ome.zarr"
    place.mkdir()
    for name in ("zarr.json.__lock", ".noyau-0123.probe", ".noyau-4567.probe.__lock"):
        (place / name).write_bytes(b"half")
    preflight(str(place), "nuclei", access=access, image=str(image))
    sink = ResultSink.create(str(place), "nuclei", access=access, job="job1", image=str(image))
    sink.write_provenance({})
    sink.commit()
    assert (place / "noyau" / "nuclei" / "provenance.json").exists()


def test_places_that_cannot_take_results(image: Path, access: AccessPolicy, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_bytes(b"dear")
    for bad in ("file", "full"):
        with pytest.raises(InvalidInput):
            preflight(str(tmp_path / bad), "nuclei", access=access, image=str(image))
    with pytest.raises(FailedPrecondition, match="--output"):
        preflight("http://example.org/a.zarr", "nuclei", access=access)
    with pytest.raises(PermissionRefused):
        preflight(str(tmp_path / "other"), "nuclei", access=AccessPolicy(roots=(str(image),)), image=str(image))


@pytest.mark.parametrize(
    ("image", "output", "many", "want"),
    [
        ("/data/a.ome.zarr", None, True, "/data/a.ome.zarr"),
        ("/data/a.ome.zarr", "/out/b.zarr", False, "/out/b.zarr"),
        ("/data/a.ome.zarr", "/out/", True, "/out/a.ome.zarr"),
        ("/data/plate.zarr/A/1/0", "/out", True, "/out/plate_A_1_0.ome.zarr"),
        ("s3://bucket/a.zarr", "s3://bucket/out", True, "s3://bucket/out/a.ome.zarr"),
        ("/data/image", "/out", True, "/out/image.ome.zarr"),
    ],
)
def test_where_results_go(image: str, output: str | None, many: bool, want: str) -> None:
    assert target_for(image, output, many=many) == want


def test_leftovers_of_killed_jobs_are_removed_and_the_old_comes_back(
    image: Path, info: ImageInfo, access: AccessPolicy, snapshot: Snapshot
) -> None:
    sink = LabelSink.create(str(image), "nuclei", like=info, access=access, job="first")
    for time in range(2):
        sink.clear(time)
    sink.build_pyramid()
    sink.commit()
    before = snapshot(image)
    LabelSink.create(str(image), "nuclei", like=info, access=access, job="killed", overwrite=True)
    LabelSink.create(str(image), "cells", like=info, access=access, job="running")
    (image / "labels" / "nuclei").rename(image / "labels" / ".nuclei.killed.old")
    remove_staging(str(image), "nuclei", "killed", access, image=str(image))
    assert open_labels(str(image), name="nuclei", access=access).read(Box.of(info.shape)).max() == 0
    assert [path.name for path in (image / "labels").glob(".*.*")] == [".cells.running.partial"]
    remove_staging(str(image), "cells", "running", access, image=str(image))
    assert snapshot(image) == before


def test_a_full_disk_is_named_and_nothing_stays(
    small_disk: Path, image: Path, info: ImageInfo, access: AccessPolicy
) -> None:
    out = small_disk / "out.zarr"
    sink = LabelSink.create(str(out), "nuclei", like=info, access=access, job="j", image=str(image))
    noise = np.random.default_rng(0).integers(0, 2**32, sink.shape, np.uint32)
    with pytest.raises(LimitExceeded, match="no space left"):
        for time in range(2):
            for box in sink.units():
                sink.write(box, noise[box.slices], time=time)
    sink.abort()
    assert not any(small_disk.iterdir())


def test_a_disk_that_fills_up_while_results_are_written(small_disk: Path, image: Path, access: AccessPolicy) -> None:
    sink = ResultSink.create(str(small_disk / "out.zarr"), "nuclei", access=access, job="j", image=str(image))
    sink.write_provenance({"a": 1})
    with pytest.raises(LimitExceeded):
        sink.write_overview(bytes(2 * 2**20))
    sink.abort()
    assert not any(small_disk.iterdir())


def test_a_read_only_disk_is_refused_before_any_work(small_disk: Path, image: Path, access: AccessPolicy) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"tmpfs", bytes(small_disk), b"tmpfs", 32 | 1, b"size=256k") == 0  # MS_REMOUNT | MS_RDONLY
    with pytest.raises(FailedPrecondition, match="--output"):
        preflight(str(small_disk / "out.zarr"), "nuclei", access=access, image=str(image))


def test_a_room_that_is_a_link_out_of_the_root(image: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (image / "labels").symlink_to(outside)
    before = snapshot(tmp_path)
    with pytest.raises(PermissionRefused):
        preflight(str(image), "nuclei", access=AccessPolicy(roots=(str(image),)))
    assert snapshot(tmp_path) == before
