"""What a segmented image holds at the end: nuclei where the blobs are, table, provenance; 2D, time, scale, channel."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import MeasureSpec
from noyau.pipelines import measure, preview, segment, statistics


def found_centres(labels, centres):
    """The labels under the centres, without background."""
    at = np.clip(np.rint(centres).astype(int), 0, np.array(labels.shape) - 1)
    hits = labels[tuple(at.T)]
    return hits[hits > 0]


def test_every_blob_becomes_one_nucleus(workshop, world):
    uri = workshop.image(world.image)
    result = segment.run(workshop.spec(uri), workshop.context())
    labels = workshop.labels(uri)
    hits = found_centres(labels, world.centres)
    assert labels.dtype == np.uint32
    assert len(hits) == len(set(hits.tolist())) >= 0.95 * len(world.centres)
    assert result.nuclei == labels.max() == len(np.unique(labels)) - 1
    assert result.model == "nuclei-3d@1"


def test_numbers_follow_the_raster_order_of_the_centres(workshop, world):
    uri = workshop.image(world.image)
    segment.run(workshop.spec(uri), workshop.context())
    labels = workshop.labels(uri)
    middle = np.array([np.argwhere(labels == n)[:, 0].mean() for n in range(1, labels.max() + 1)])
    assert np.corrcoef(middle, np.arange(len(middle)))[0, 1] > 0.95


def test_table_and_provenance_tell_what_was_done(workshop, world):
    uri = workshop.image(world.image, voxel_size=VoxelSize(1.05, 1.0, 1.0))
    result = segment.run(workshop.spec(uri, min_volume=20, measure=True), workshop.context(job_id="job7"))
    one = result.images[0]
    rows = list(csv.DictReader(StringIO(Path(one.table_uri).read_text())))
    labels = workshop.labels(uri)
    counts = np.bincount(labels.ravel())[1:]
    seen = preview.run(
        world.image, registry=workshop.registry, backends=workshop.backends, voxel_size=VoxelSize(1.05, 1.0, 1.0),
        labels=False, probability=True, backend="torch",
    )  # fmt: skip
    sure = np.bincount(labels.ravel(), np.asarray(seen.probability).ravel())[1:] / counts
    np.testing.assert_allclose([float(row["certainty"]) for row in rows], sure, atol=0.01)
    assert sure.min() > 0.5 and sure.max() <= 1.0
    assert [int(row["label"]) for row in rows] == list(range(1, result.nuclei + 1))
    np.testing.assert_allclose([float(row["volume_um3"]) for row in rows], counts * 1.05)
    assert one.median_volume_um3 == pytest.approx(np.median(counts) * 1.05)
    told = json.loads(Path(one.provenance_uri).read_text())
    assert told["job"] == "job7"
    assert told["model"] == {"name": "nuclei-3d@1", "digest": "sha256:3", "description": ""}
    assert told["parameters"]["min_voxels_in_image"] == 20  # 20 um3 are 19.05 voxels
    assert told["normalisation"]["values"]["0"]["low"] == pytest.approx(np.percentile(world.image, 50))
    assert told["normalisation"]["values"]["0"]["high"] == pytest.approx(np.percentile(world.image, 99.9))
    assert told["request"]["min_volume"] == 20
    assert told["software"]["torch"]
    assert told["result"]["nuclei"] == result.nuclei


def test_the_intensity_is_measured_once_though_the_size_of_nuclei_is_found_out_first(workshop, worlds, monkeypatch):
    calls = []

    def counted(*args):
        calls.append(args[1])
        return known(*args)

    known = statistics.measure_intensity
    monkeypatch.setattr(statistics, "measure_intensity", counted)
    uri = workshop.image(worlds((12, 28, 32)).image)
    segment.run(workshop.spec(uri, fit_diameter=True), workshop.context())
    assert calls == [0]


def test_the_scratch_is_empty_when_the_image_is_done(workshop, world):
    uri = workshop.image(world.image)
    context = workshop.context()
    segment.run(workshop.spec(uri), context)
    assert list(context.workdir.iterdir()) == []


def test_a_plane_is_segmented_by_the_2d_model(workshop, flat_world):
    uri = workshop.image(flat_world.image[0], voxel_size=None)
    result = segment.run(workshop.spec(uri), workshop.context())
    hits = found_centres(workshop.labels(uri), flat_world.centres)
    assert len(set(hits.tolist())) >= 0.9 * len(flat_world.centres)
    assert result.model == "nuclei-2d@1"
    assert result.images[0].flat
    assert "no voxel size" in result.warnings[0]


def test_an_image_of_another_scale_is_rescaled(workshop, world):
    fine = np.kron(world.image, np.ones((1, 2, 2), np.uint16))
    uri = workshop.image(fine, voxel_size=VoxelSize(1.0, 0.5, 0.5))
    result = segment.run(workshop.spec(uri), workshop.context())
    labels = workshop.labels(uri)
    assert labels.shape == fine.shape
    hits = found_centres(labels, world.centres * [1, 2, 2] + [0, 0.5, 0.5])
    assert len(set(hits.tolist())) >= 0.93 * len(world.centres)
    assert result.nuclei == labels.max() == len(np.unique(labels)) - 1


def test_the_diameter_sets_the_scale_of_a_2d_image(workshop, flat_world):
    coarse = np.kron(flat_world.image[0], np.ones((2, 2), np.uint16))
    uri = workshop.image(coarse, voxel_size=VoxelSize(1.0, 0.25, 0.25))
    # Blobs of 5.9 pixels are now 11.8 pixels of a quarter micrometre.
    spec = workshop.spec(uri, diameter=2.35 * 2.5 * 2 * 0.25)
    segment.run(spec, workshop.context())
    hits = found_centres(workshop.labels(uri), flat_world.centres * [1, 2, 2] + [0, 0.5, 0.5])
    assert len(set(hits.tolist())) >= 0.9 * len(flat_world.centres)


def test_results_can_go_elsewhere(workshop, world, tmp_path):
    uri = workshop.image(world.image)
    before = sorted(p.name for p in Path(uri).rglob("*"))
    result = segment.run(workshop.spec(uri, output=str(tmp_path / "out.ome.zarr")), workshop.context())
    assert sorted(p.name for p in Path(uri).rglob("*")) == before
    assert result.images[0].labels_uri == str(tmp_path / "out.ome.zarr/labels/nuclei")
    assert workshop.labels(str(tmp_path / "out.ome.zarr")).max() == result.nuclei


def test_many_images_are_one_job(workshop, worlds, tmp_path):
    uris = [workshop.image(worlds((20, 40, 40), seed=i).image, f"image{i}") for i in range(3)]
    spec = workshop.spec(*uris, output=str(tmp_path / "many"))
    result = segment.run(spec, workshop.context())
    assert [one.uri for one in result.images] == uris
    assert result.nuclei == sum(one.nuclei for one in result.images) > 3
    assert all(Path(one.labels_uri).is_dir() for one in result.images)


def test_labels_of_time_points_are_unique_and_the_table_has_the_time(workshop, worlds):
    frames = [worlds((16, 40, 40), seed=i).image for i in range(3)]
    uri = workshop.movie(np.stack(frames))
    result = segment.run(workshop.spec(ImageRef(uri, time=(1, 2)), measure=True), workshop.context())
    first, second = workshop.labels(uri, time=1), workshop.labels(uri, time=2)
    assert workshop.labels(uri, time=0).max() == 0
    assert second[second > 0].min() == first.max() + 1
    rows = list(csv.DictReader(StringIO(Path(result.images[0].table_uri).read_text())))
    assert {row["time"] for row in rows} == {"1", "2"}
    assert [int(row["label"]) for row in rows] == list(range(1, result.nuclei + 1))


@pytest.mark.parametrize("value", [0, 700])
@pytest.mark.parametrize("shape", [(20, 40, 40), (2, 1, 1), (30, 1, 1), (2, 3, 50)])
def test_images_without_contrast_and_thin_ones_have_no_nuclei(workshop, shape, value):
    uri = workshop.image(np.full(shape, value, np.uint16))
    result = segment.run(workshop.spec(uri), workshop.context())
    assert result.nuclei == 0
    assert result.median_volume_um3 == 0
    assert workshop.labels(uri).max() == 0


def test_one_voxel_has_no_nuclei(workshop):
    uri = workshop.image(np.full((1, 1), 9, np.uint8))
    assert segment.run(workshop.spec(uri), workshop.context()).nuclei == 0


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">u2", "float32", "uint32", "int32"])
def test_pixel_types_do_not_matter(workshop, world, dtype):
    image = (world.image // 4 if dtype == "uint8" else world.image).astype(dtype)
    uri = workshop.image(image)
    result = segment.run(workshop.spec(uri), workshop.context())
    assert abs(result.nuclei - len(world.centres)) <= 0.06 * len(world.centres)


def test_measuring_again_gives_the_same_table_but_for_what_the_network_said(workshop, world):
    uri = workshop.image(world.image)
    first = segment.run(workshop.spec(uri, measure=True), workshop.context(job_id="a"))
    lines = Path(first.images[0].table_uri).read_text().splitlines()
    assert lines[0].endswith(",certainty")
    again = measure.run(MeasureSpec((ImageRef(uri),), overwrite=True), workshop.context(job_id="b"))
    assert Path(again.images[0].table_uri).read_text().splitlines() == [line.rpartition(",")[0] for line in lines]
    assert again.nuclei == first.nuclei
    assert again.median_volume_um3 == first.median_volume_um3


def test_segmenting_without_measuring_leaves_the_table_out(workshop, world):
    uri = workshop.image(world.image)
    result = segment.run(workshop.spec(uri), workshop.context())
    assert result.images[0].table_uri == ""
    assert not (Path(uri) / "tables").exists()
    assert result.median_volume_um3 == np.median(np.bincount(workshop.labels(uri).ravel())[1:])
