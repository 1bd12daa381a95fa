"""Measuring what is outlined in OMERO already: Noyau's ROIs, what people corrected, and label images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import omero
import pytest
from noyau.domain.errors import AlreadyExists, InvalidInput, JobCancelled, NotFound, PermissionRefused
from noyau.domain.image import ImageRef
from noyau.domain.jobs import MeasureSpec
from noyau.domain.omero_uri import parse_omero
from noyau.domain.progress import SilentReporter
from noyau.omero.gateway import Gateway
from noyau.omero.runs import BULK_NAMESPACE
from noyau.omero.truth import read_truth
from noyau.pipelines import measure, segment
from noyau.sinks.tables import from_parquet
from omero_kit import ALIAS, PASSWORD_ENV, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed, roi_with_mask
from omero_segment_kit import Bench, world

Login = Callable[..., Any]
SHAPE = (3, 30, 40)


@pytest.fixture(scope="module")
def networks() -> Iterable[Any]:
    yield from world.warm_networks.__wrapped__()


@pytest.fixture
def bench(
    omero_place: Place, seed: Seed, login: Login, tmp_path: Path, networks: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed)]) as gateway:
        yield Bench(world.Workshop(tmp_path, networks), gateway, seed, login)


def spec(*images: int | str, **changes: Any) -> MeasureSpec:
    uris = [f"omero://{ALIAS}/image/{image}" if isinstance(image, int) else image for image in images]
    return MeasureSpec(tuple(ImageRef(uri) for uri in uris), **changes)


def two_channels() -> np.ndarray:
    """Pixels t/c/z/y/x whose channels differ everywhere, and no plane is its own mirror."""
    z, y, x = np.indices(SHAPE)
    first = 1000 * z + 10 * y + x
    return np.stack([first, 20_000 - 3 * first])[np.newaxis].astype(np.uint16)


def draw(client: Any, image: int, where: tuple[slice, slice], z: int) -> int:
    """A mask that a person drew; the id of its ROI."""
    mask = np.ones((where[0].stop - where[0].start, where[1].stop - where[1].start))
    roi = roi_with_mask(image, where[1].start, where[0].start, mask, z)
    return client.sf.getUpdateService().saveAndReturnObject(roi).id.val


def table_of(client: Any, kind: str, number: int) -> dict[str, list[Any]]:
    hql = (
        f"select a.file.id from {kind}AnnotationLink l, FileAnnotation a "
        "where l.child.id = a.id and a.ns = :ns and l.parent.id = :id order by a.id desc"
    )
    file = rows(client, hql, ns=BULK_NAMESPACE, id=number)[0][0]
    table = client.sf.sharedResources().openTable(omero.model.OriginalFileI(file, False))
    try:
        return {c.name: c.values for c in table.readCoordinates(range(table.getNumberOfRows())).columns}
    finally:
        table.close()


def test_what_a_person_drew_is_measured_on_the_right_channels(bench: Bench, login: Login) -> None:
    pixels = two_channels()
    image = bench.image(pixels, channels=("DAPI", "GFP"), pixel_size=(2.0, 0.5, 0.25))
    client = login("alice", "lab")
    places = [((slice(3, 9), slice(5, 12)), 1), ((slice(20, 25), slice(30, 40)), 2)]
    drawn = [draw(client, image, where, z) for where, z in places]
    done = measure.run(spec(image), bench.context(job_id="m1"))
    assert done.nuclei == 2
    table = table_of(client, "Image", image)
    assert table["Roi"] == drawn
    assert table["Image"] == [image, image]
    for channel, name in enumerate(("DAPI", "GFP")):
        expected = [pixels[0, channel, z][where].mean() for where, z in places]
        assert np.allclose(table[f"intensity_mean_{name}"], expected)
    assert np.allclose(table["volume_um3"], [42 * 0.25, 50 * 0.25])
    assert results_on(client, image) == {"rois": 2, "annotations": 4, "label_images": 0}
    one = done.images[0]
    marker = client.sf.getQueryService().get("MapAnnotation", parse_omero(one.provenance_uri).id)
    values = {pair.name: pair.value for pair in marker.getMapValue()}
    assert values["task"] == "measure"
    assert values["labels"] == f"ROIs of Image:{image}"


def test_nuclei_of_one_channel_are_measured_on_every_channel(bench: Bench, login: Login, seed: Seed) -> None:
    plane = np.asarray(world.make_world((1, 40, 50)).image)
    pixels = np.stack([plane[:, ::-1, ::-1] // 2, plane])
    image = bench.image(pixels[np.newaxis], channels=("DAPI", "GFP"))
    ref = ImageRef(f"omero://{ALIAS}/image/{image}", channel="GFP")
    done = segment.run(bench.workshop.spec(ref, measure=True), bench.context())
    uri = parse_omero(ref.uri)
    labels = read_truth(visitor_of(bench.gateway, seed, "alice").at(uri), uri, plane.shape).labels
    table = table_of(login("alice", "lab"), "Image", image)
    assert done.nuclei == len(table["label"]) > 3
    for channel, name in enumerate(("DAPI", "GFP")):
        expected = [pixels[channel][labels == label].mean() for label in table["label"]]
        assert np.allclose(table[f"intensity_mean_{name}"], expected)


def test_one_channel_and_the_results_elsewhere(bench: Bench, login: Login, tmp_path: Path) -> None:
    image = bench.image(two_channels(), channels=("DAPI", "GFP"))
    draw(login("alice", "lab"), image, (slice(3, 9), slice(5, 12)), 1)
    target = tmp_path / "out.ome.zarr"
    measure.run(spec(image, channels=("GFP",), output=str(target)), bench.context())
    columns = from_parquet((target / "noyau" / "nuclei" / "nuclei.parquet").read_bytes())
    assert "intensity_mean_GFP" in columns and "intensity_mean_DAPI" not in columns
    assert results_on(login("alice", "lab"), image)["annotations"] == 0


def test_corrected_results_are_measured_as_they_are_now(bench: Bench, login: Login) -> None:
    image = bench.image(world.make_world((1, 90, 100)).image)
    found = segment.run(bench.spec(image, measure=True), bench.context(job_id="one"))
    client = login("alice", "lab")
    gone = rows(client, "select r.id from Roi r where r.image.id = :id order by r.id", id=image)[0][0]
    client.submit(omero.cmd.Delete2(targetObjects={"Roi": [gone]}), loops=50)
    again = measure.run(spec(image), bench.context(job_id="two"))
    assert again.nuclei == found.nuclei - 1
    labels = table_of(client, "Image", image)["label"]
    assert len(labels) == again.nuclei and 1 not in labels
    assert results_on(client, image) == {"rois": again.nuclei, "annotations": 8, "label_images": 0}
    with pytest.raises(AlreadyExists, match="two"):
        measure.run(spec(image), bench.context(job_id="three"))
    measure.run(spec(image, overwrite=True), bench.context(job_id="three"))
    assert results_on(client, image)["annotations"] == 8


def test_a_label_image_is_measured_where_nothing_is_outlined(bench: Bench, login: Login) -> None:
    image = bench.image(world.make_world((1, 90, 100)).image)
    found = segment.run(bench.spec(image, rois="none", label_image="always"), bench.context(job_id="one"))
    assert measure.run(spec(image), bench.context(job_id="two")).nuclei == found.nuclei


def test_other_results_of_noyau_are_not_mixed_in(bench: Bench, login: Login) -> None:
    image = bench.image(world.make_world((1, 90, 100)).image)
    found = segment.run(bench.spec(image), bench.context(job_id="one"))
    segment.run(bench.spec(image, labels="others", min_volume=1e6), bench.context(job_id="two"))
    segment.run(bench.spec(image, labels="more"), bench.context(job_id="three"))
    assert measure.run(spec(image), bench.context(job_id="four")).nuclei == found.nuclei


def test_a_set_gets_a_summary_and_leaves_out_what_has_no_outlines(bench: Bench, login: Login) -> None:
    client = login("alice", "lab")
    dataset = omero.model.DatasetI()
    dataset.setName(omero.rtypes.rstring("to measure"))
    dataset = client.sf.getUpdateService().saveAndReturnObject(dataset).id.val
    images = [bench.image(two_channels(), dataset=dataset) for _ in range(2)]
    with pytest.raises(NotFound, match="None of the images"):
        measure.run(spec(f"omero://{ALIAS}/dataset/{dataset}"), bench.context())
    draw(client, images[1], (slice(3, 9), slice(5, 12)), 1)
    done = measure.run(spec(f"omero://{ALIAS}/dataset/{dataset}"), bench.context())
    assert [one.uri for one in done.images] == [f"omero://{ALIAS}/image/{images[1]}"]
    assert f"Image:{images[0]}" in done.warnings[0]
    table = table_of(client, "Dataset", dataset)
    assert (table["Image"], table["nuclei"]) == ([images[1]], [1])


def test_what_cannot_be_measured_or_saved_is_refused_before_the_work(bench: Bench, seed: Seed, login: Login) -> None:
    image = bench.image(two_channels())
    with pytest.raises(NotFound, match="no ROIs with an area"):
        measure.run(spec(image), bench.context())
    with pytest.raises(InvalidInput, match="finest"):
        measure.run(MeasureSpec((ImageRef(f"omero://{ALIAS}/image/{image}", level=1),)), bench.context())
    theirs = bench.image(two_channels(), user="bob", group="readonly")
    draw(login("bob", "readonly"), theirs, (slice(3, 9), slice(5, 12)), 1)
    with pytest.raises(PermissionRefused, match="--output"):
        measure.run(spec(theirs), bench.context())


def test_a_job_that_is_cancelled_leaves_the_labels_alone(bench: Bench, login: Login) -> None:
    class Impatient(SilentReporter):
        saving = False

        def stage(self, name: str) -> None:
            self.saving = name == "save"

        def check(self) -> None:
            if self.saving:
                raise JobCancelled("cancelled")

    image = bench.image(two_channels())
    client = login("alice", "lab")
    draw(client, image, (slice(3, 9), slice(5, 12)), 1)
    context = bench.context(reporter=Impatient())
    with pytest.raises(JobCancelled):
        measure.run(spec(image), context)
    assert results_on(client, image)["annotations"] == 3
    measure.cleanup(spec(image), bench.context(job_id=context.job_id))
    assert results_on(client, image) == {"rois": 1, "annotations": 0, "label_images": 0}
