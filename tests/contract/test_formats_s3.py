"""OME-Zarr on S3: read, converted to, labelled, against a real S3 server process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import (
    AlreadyExists,
    DamagedData,
    FailedPrecondition,
    NotFound,
    NoyauError,
    PermissionRefused,
    Unavailable,
)
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.pipelines.staging import remove_staging
from noyau.sinks import LabelSink, ResultSink, preflight
from noyau.sources import list_labels, open_image, open_labels
from noyau.sources.convert import convert
from noyau.storage.options import StorageOptions
from noyau.storage.store import Store

pytestmark = pytest.mark.s3
SHAPE = (5, 300, 70)


@pytest.fixture
def access(s3_server: str) -> AccessPolicy:
    return AccessPolicy.everything(s3_endpoint=s3_server)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 60000, SHAPE, np.uint16)


@pytest.fixture(params=["0.4", "0.5"])
def image(
    request: pytest.FixtureRequest, tmp_path: Path, s3_bucket: str, access: AccessPolicy, pixels: np.ndarray
) -> str:
    """A converted image in the bucket."""
    np.savez(tmp_path / "a.npz", image=pixels)
    uri = f"s3://{s3_bucket}/data/a.ome.zarr"
    return convert(str(tmp_path / "a.npz"), uri, voxel_size=VoxelSize(2, 1, 1), ngff=request.param, access=access).uri


def keys(access: AccessPolicy, uri: str) -> list[str]:
    return sorted(Store(uri, StorageOptions.of(access)).names())


def write_labels(image: str, access: AccessPolicy, labels: np.ndarray, job: str, overwrite: bool = False) -> LabelSink:
    info = open_image(ImageRef(image), access=access).info
    sink = LabelSink.create(image, "nuclei", like=info, access=access, job=job, overwrite=overwrite)
    for box in sink.units():
        sink.write(box, labels[box.slices])
    sink.build_pyramid()
    return sink


def test_an_image_goes_there_and_comes_back(image: str, access: AccessPolicy, pixels: np.ndarray) -> None:
    with open_image(ImageRef(image), access=access) as source:
        assert source.info.voxel_size == VoxelSize(2, 1, 1) and source.info.levels == 2
        np.testing.assert_array_equal(source.read(Box.of(SHAPE)), pixels)
        box = Box((1, 200, 10), (3, 290, 60))
        np.testing.assert_array_equal(source.read(box), pixels[box.slices])


def test_labels_and_results_appear_in_one_step(image: str, access: AccessPolicy, pixels: np.ndarray) -> None:
    before = keys(access, image)
    preflight(image, "nuclei", access=access)
    assert keys(access, image) == before
    sink = write_labels(image, access, pixels.astype(np.uint32), "job1")
    assert list_labels(image, access=access) == ()
    results = ResultSink.create(image, "nuclei", access=access, job="job1")
    results.write_table({"label": np.array([1, 2]), "volume_um3": np.array([1.0, 2.0])})
    uris = results.commit()
    sink.commit({"model": "m"})
    np.testing.assert_array_equal(open_labels(image, access=access).read(Box.of(SHAPE)), pixels)
    store = Store(image, StorageOptions.of(access))
    assert (store.read("noyau/nuclei/nuclei.csv") or b"").startswith(b"label,volume_um3")
    assert uris.csv == f"{image}/noyau/nuclei/nuclei.csv"
    assert not [key for key in keys(access, image) if ".partial" in key or ".old" in key]


def test_labels_are_replaced_and_an_abort_keeps_the_old(image: str, access: AccessPolicy, pixels: np.ndarray) -> None:
    labels = pixels.astype(np.uint32)
    write_labels(image, access, labels, "job1").commit()
    before = keys(access, image)
    with pytest.raises(AlreadyExists):
        write_labels(image, access, labels, "job2")
    write_labels(image, access, labels + 1, "job2", overwrite=True).abort()
    assert keys(access, image) == before
    np.testing.assert_array_equal(open_labels(image, access=access).read(Box.of(SHAPE)), labels)
    write_labels(image, access, labels + 1, "job3", overwrite=True).commit()
    assert keys(access, image) == before
    np.testing.assert_array_equal(open_labels(image, access=access).read(Box.of(SHAPE)), labels + 1)


def test_what_a_killed_job_left_is_found_again_and_can_be_cleaned(
    image: str, access: AccessPolicy, pixels: np.ndarray
) -> None:
    before = keys(access, image)
    write_labels(image, access, pixels.astype(np.uint32), "job1")
    info = open_image(ImageRef(image), access=access).info
    again = LabelSink.create(image, "nuclei", like=info, access=access, job="job1")
    assert again.resumed
    np.testing.assert_array_equal(again.read(Box.of(SHAPE)), pixels)
    remove_staging(image, "nuclei", "job1", access, image=image)
    assert [key for key in keys(access, image) if not key.startswith("labels/")] == before


def test_converting_again(tmp_path: Path, image: str, access: AccessPolicy, pixels: np.ndarray) -> None:
    np.savez(tmp_path / "b.npz", image=pixels[:2] + 1)
    with pytest.raises(AlreadyExists):
        convert(str(tmp_path / "b.npz"), image, access=access)
    convert(str(tmp_path / "b.npz"), image, access=access, overwrite=True)
    with open_image(ImageRef(image), access=access) as source:
        np.testing.assert_array_equal(source.read(Box.of((2, 300, 70))), pixels[:2] + 1)


def test_refusals(image: str, access: AccessPolicy, s3_bucket: str, s3_server: str) -> None:
    def refused(kind: type[NoyauError], uri: str, policy: AccessPolicy) -> str:
        with pytest.raises(kind) as caught:
            open_image(ImageRef(uri), access=policy)
        return str(caught.value)

    assert "There is nothing at" in refused(NotFound, f"s3://{s3_bucket}/absent", access)
    refused(NotFound, "s3://no-such-bucket-here/a", access)
    only = AccessPolicy(remote_hosts=("s3://other",), s3_endpoint=s3_server)
    assert "remote_hosts" in refused(PermissionRefused, image, only)


def test_a_missing_chunk_is_named(image: str, access: AccessPolicy) -> None:
    store = Store(image, StorageOptions.of(access))
    chunk = next(key for key in store.names() if key.startswith("0/") and key.endswith("/1/0"))
    store.remove(chunk)
    with pytest.raises(DamagedData, match=chunk), open_image(ImageRef(image), access=access) as source:
        source.read(Box.of(SHAPE))


def test_a_server_that_does_not_answer(s3_bucket: str) -> None:
    gone = AccessPolicy.everything(s3_endpoint="http://127.0.0.1:9")
    options = StorageOptions.of(gone, retries=1)
    with pytest.raises(Unavailable, match="could not be read"):
        open_image(ImageRef(f"s3://{s3_bucket}/a"), access=gone, options=options)
    with pytest.raises((Unavailable, FailedPrecondition)):
        Store(f"s3://{s3_bucket}/a", options).write("x", b"")
