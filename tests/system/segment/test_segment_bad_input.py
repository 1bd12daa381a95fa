"""What cannot be segmented is refused with one clear sentence, the right kind, and nothing left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from noyau.domain.errors import (
    AlreadyExists,
    DamagedData,
    FailedPrecondition,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NoyauError,
    OutOfRange,
)
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import MeasureSpec
from noyau.pipelines import measure, segment
from noyau.pipelines.context import Limits


@pytest.fixture
def uri(workshop, worlds):
    return workshop.image(worlds((20, 40, 44)).image)


def refused(workshop, spec, kind, words, **context):
    """Runs a job that must be refused; checks that nothing is left beside the image or in the scratch."""
    folder = Path(spec.images[0].uri)
    before = sorted(folder.rglob("*")) if folder.exists() else []
    made = workshop.context(**context)
    run, cleanup = (measure.run, measure.cleanup) if isinstance(spec, MeasureSpec) else (segment.run, segment.cleanup)
    with pytest.raises(kind, match=words) as caught:
        run(spec, made)
    cleanup(spec, made)
    assert (sorted(folder.rglob("*")) if folder.exists() else []) == before
    assert isinstance(caught.value, NoyauError)
    return caught.value


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"model": "nuclei-4d"}, NotFound, "nuclei-4d"),
        ({"model": "nuclei-2d"}, InvalidInput, "20 planes"),
        ({"tile": (0, 8, 8)}, InvalidInput, "0,8,8"),
        ({"backend": "tensorrt"}, InvalidInput, "tensorrt"),
        ({"device": "tpu"}, InvalidInput, "tpu"),
        ({"device": "cuda", "backend": "openvino"}, (InvalidInput, FailedPrecondition), "cuda"),
        ({"foreground": 1.5}, InvalidInput, "1.5"),
        ({"diameter": -3.0}, InvalidInput, "-3"),
        ({"min_volume": float("nan")}, InvalidInput, "nan"),
        ({"batch": 0}, InvalidInput, "batch"),
        ({"labels": "../evil"}, InvalidInput, "evil"),
        ({"voxel_size": VoxelSize(900.0, 900.0, 900.0)}, LimitExceeded, "model's grid"),
    ],
)
def test_requests_that_make_no_sense(workshop, uri, changes, kind, words):
    refused(workshop, workshop.spec(uri, **changes), kind, words, limits=Limits(max_voxels=10**8))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent_is_never_replaced_by_the_cpu(workshop, uri):
    error = refused(workshop, workshop.spec(uri, device="cuda"), FailedPrecondition, "no usable GPU")
    assert "cpu" in error.remedy


def test_a_volume_without_voxel_size_asks_for_it(workshop, worlds):
    bare = workshop.image(worlds((20, 40, 44)).image, "bare", voxel_size=None)
    error = refused(workshop, workshop.spec(bare), FailedPrecondition, "how large its voxels are")
    assert "--voxel-size" in error.remedy
    segment.run(workshop.spec(bare, voxel_size=VoxelSize(1, 1, 1)), workshop.context())


def test_a_single_plane_is_not_a_volume(workshop, flat_world):
    plane = workshop.image(flat_world.image[0], "plane")
    refused(workshop, workshop.spec(plane, model="nuclei-3d"), InvalidInput, "single plane")


def test_limits_on_image_tile_and_number(workshop, uri):
    refused(workshop, workshop.spec(uri), LimitExceeded, "35,200 voxels", limits=Limits(max_voxels=35_199))
    small = Limits(max_tile_voxels=10_000)
    refused(workshop, workshop.spec(uri, tile=(64, 64, 64)), LimitExceeded, "tile", limits=small)
    refused(workshop, workshop.spec(uri, uri), InvalidInput, "Two images")
    refused(workshop, workshop.spec(uri, uri), LimitExceeded, "2 images", limits=Limits(max_images=1))


def test_an_image_that_is_not_there(workshop, uri, tmp_path):
    refused(workshop, workshop.spec(str(tmp_path / "nothing.ome.zarr")), NotFound, "nothing.ome.zarr")
    refused(workshop, workshop.spec(ImageRef(uri, channel="DAPI")), NotFound, "DAPI")
    refused(workshop, workshop.spec(ImageRef(uri, channel=3)), OutOfRange, "3")
    refused(workshop, workshop.spec(ImageRef(uri, level=9)), OutOfRange, "9")
    refused(workshop, workshop.spec(ImageRef(uri, time=(1, 2))), OutOfRange, "2")


def test_existing_labels_are_kept_unless_overwriting(workshop, uri):
    segment.run(workshop.spec(uri), workshop.context(job_id="one"))
    kept = workshop.labels(uri)
    refused(workshop, workshop.spec(uri, foreground=0.9), AlreadyExists, "nuclei", job_id="two")
    np.testing.assert_array_equal(workshop.labels(uri), kept)
    segment.run(workshop.spec(uri, overwrite=True), workshop.context(job_id="three"))


def test_a_missing_chunk_is_named_and_can_be_filled(workshop, worlds):
    gap = workshop.image(worlds((40, 40, 44)).image, "gap")
    chunk = next(p for p in sorted(Path(gap, "0", "c").rglob("*")) if p.is_file())
    chunk.unlink()
    refused(workshop, workshop.spec(gap), DamagedData, "missing")
    assert segment.run(workshop.spec(gap, fill_missing=True), workshop.context()).nuclei >= 0


def test_not_a_number_is_refused(workshop, worlds):
    image = worlds((20, 40, 44)).image.astype(np.float32)
    image[3, 4, 5] = np.nan
    path = Path(workshop.image(np.zeros_like(image), "nan"))
    shutil.rmtree(path)
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    group.create_array("0", data=image, chunks=(20, 40, 44))
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    refused(workshop, workshop.spec(str(path)), InvalidInput, "NaN")


def test_measuring_needs_labels_of_the_same_shape(workshop, uri):
    refused(workshop, MeasureSpec((ImageRef(uri),), labels="none"), NotFound, "none")
    segment.run(workshop.spec(uri), workshop.context(job_id="one"))
    refused(workshop, MeasureSpec((ImageRef(uri),), channels=("DAPI",), overwrite=True), NotFound, "DAPI")
    refused(workshop, MeasureSpec((ImageRef(uri),)), AlreadyExists, "nuclei", job_id="two")
