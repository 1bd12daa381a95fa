"""Segmenting images in OMERO: the same labels as from OME-Zarr, results beside the image, and what can go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import omero
import pytest
from noyau.domain.errors import (
    AlreadyExists,
    InvalidInput,
    JobCancelled,
    NotFound,
    NoyauError,
    PermissionRefused,
    Unauthenticated,
)
from noyau.domain.image import ImageRef
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.omero.budget import RoiBudget
from noyau.omero.gateway import Gateway
from noyau.omero.runs import BULK_NAMESPACE, FILE_NAMESPACE, RUN_NAMESPACE
from noyau.omero.truth import read_truth
from noyau.omero.visitor import Visitor
from noyau.pipelines import segment
from omero_kit import ALIAS, PASSWORD_ENV, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed
from omero_segment_kit import Bench, world

Login = Callable[..., Any]
NOTHING = {"rois": 0, "annotations": 0, "label_images": 0}


@pytest.fixture(scope="module")
def networks() -> Iterable[Any]:
    yield from world.warm_networks.__wrapped__()


@pytest.fixture
def gateway(omero_place: Place, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed)]) as opened:
        yield opened


@pytest.fixture
def bench(gateway: Gateway, seed: Seed, login: Login, tmp_path: Path, networks: Any) -> Bench:
    return Bench(world.Workshop(tmp_path, networks), gateway, seed, login)


@pytest.fixture(scope="module")
def blobs() -> Any:
    return world.make_world((14, 40, 44))


def drawn(bench: Bench, image: int, shape: tuple[int, int, int], time: int = 0) -> np.ndarray:
    uri = OmeroUri(ALIAS, "image", image)
    return read_truth(visitor_of(bench.gateway, bench.seed, "alice").at(uri), uri, shape, time).labels


def test_omero_and_ome_zarr_give_the_same_labels(bench: Bench, blobs: Any) -> None:
    zarr = bench.workshop.image(blobs.image)
    segment.run(bench.workshop.spec(zarr), bench.workshop.context())
    image = bench.image(blobs.image)
    result = segment.run(bench.spec(image), bench.context())
    expected = bench.workshop.labels(zarr)
    assert result.nuclei == expected.max() > 5
    assert (drawn(bench, image, blobs.image.shape) == expected).all()


def test_the_results_are_where_the_job_says(bench: Bench, blobs: Any, login: Login) -> None:
    image = bench.image(blobs.image)
    context = bench.context(job_id="0a1b")
    result = segment.run(bench.spec(image, measure=True, min_volume=20), context)
    one = result.images[0]
    client = login("alice", "lab")
    assert one.uri == one.labels_uri == f"omero://{ALIAS}/image/{image}"
    assert results_on(client, image) == {"rois": result.nuclei, "annotations": 4, "label_images": 0}
    for uri, namespace in (
        (one.table_uri, BULK_NAMESPACE),
        (one.overview_uri, FILE_NAMESPACE),
        (one.provenance_uri, RUN_NAMESPACE),
    ):
        found = rows(client, "select a.ns, a.description from Annotation a where a.id = :id", id=parse_omero(uri).id)
        assert found[0][0] == namespace
        assert found[0][1].startswith("noyau run 0a1b/nuclei ")
    marker = client.sf.getQueryService().get("MapAnnotation", parse_omero(one.provenance_uri).id)
    values = {pair.name: pair.value for pair in marker.getMapValue()}
    assert values["model.name"] == "nuclei-3d@1"
    assert values["model.digest"] == "sha256:3"
    assert values["request.min_volume"] == "20"
    assert values["nuclei"] == str(result.nuclei)
    assert not list(context.workdir.glob("omero/*.zarr"))


def test_above_the_budget_a_label_image_and_points_carry_the_result(
    omero_place: Place, bench: Bench, seed: Seed, blobs: Any, login: Login
) -> None:
    with Gateway([server_of(omero_place, seed, budget=RoiBudget(rois=3))]) as small:
        image = bench.image(blobs.image, dataset=seed.images["lab"].dataset)
        result = segment.run(bench.spec(image), replace(bench, gateway=small).context())
    assert "more than a viewer can show" in result.warnings[0]
    client = login("alice", "lab")
    assert results_on(client, image) == {"rois": result.nuclei, "annotations": 2, "label_images": 1}
    number = parse_omero(result.images[0].labels_uri).id
    assert number != image
    points = drawn(bench, image, blobs.image.shape)
    assert (points > 0).sum() == result.nuclei


@pytest.mark.parametrize(("rois", "label_image", "expected"), [("none", "always", (0, 1)), ("none", "never", (0, 0))])
def test_the_caller_says_what_is_written(
    bench: Bench, blobs: Any, login: Login, rois: str, label_image: str, expected: tuple[int, int]
) -> None:
    image = bench.image(blobs.image)
    segment.run(bench.spec(image, rois=rois, label_image=label_image), bench.context())
    found = results_on(login("alice", "lab"), image)
    assert (found["rois"], found["label_images"]) == expected


def test_a_series_has_rois_at_its_time_points(bench: Bench, blobs: Any) -> None:
    movie = np.stack([blobs.image, blobs.image[:, ::-1]])
    image = bench.image(movie)
    result = segment.run(bench.spec(image), bench.context())
    first, second = (drawn(bench, image, blobs.image.shape, time) for time in (0, 1))
    assert len(np.unique(first)) + len(np.unique(second)) == result.nuclei + 2
    assert not set(np.unique(first[first > 0])) & set(np.unique(second[second > 0]))


def test_an_image_without_nuclei_has_results_that_say_so(bench: Bench, login: Login) -> None:
    image = bench.image(np.full((6, 30, 32), 100, np.uint16))
    result = segment.run(bench.spec(image, measure=True), bench.context())
    assert result.nuclei == 0
    assert results_on(login("alice", "lab"), image) == {"rois": 0, "annotations": 4, "label_images": 0}


def test_a_plane_needs_no_size(bench: Bench) -> None:
    image = bench.image(world.make_world((1, 90, 100)).image, pixel_size=None)
    assert segment.run(bench.spec(image), bench.context()).nuclei > 10


def test_a_dataset_gets_a_table_and_a_figure(bench: Bench, blobs: Any, seed: Seed, login: Login) -> None:
    client = login("alice", "lab")
    dataset = _dataset(client)
    images = [bench.image(p, dataset=dataset) for p in (blobs.image, blobs.image[:, ::-1])]
    result = segment.run(bench.spec(f"omero://{ALIAS}/dataset/{dataset}"), bench.context())
    assert [one.uri for one in result.images] == [f"omero://{ALIAS}/image/{i}" for i in images]
    hql = "select a.ns from DatasetAnnotationLink l join l.child a where l.parent.id = :id"
    assert sorted(ns for (ns,) in rows(client, hql, id=dataset)) == sorted(
        [BULK_NAMESPACE, FILE_NAMESPACE, RUN_NAMESPACE]
    )
    hql = (
        "select a.file.id from DatasetAnnotationLink l, FileAnnotation a "
        "where l.child.id = a.id and a.ns = :ns and l.parent.id = :id"
    )
    ((file,),) = rows(client, hql, ns=BULK_NAMESPACE, id=dataset)
    table = client.sf.sharedResources().openTable(omero.model.OriginalFileI(file, False))
    data = {c.name: c.values for c in table.readCoordinates([0, 1]).columns}
    table.close()
    assert data["Image"] == images
    assert data["nuclei"] == [one.nuclei for one in result.images]


def test_what_could_not_be_saved_is_refused_before_the_work(bench: Bench, seed: Seed, blobs: Any) -> None:
    image = bench.image(blobs.image, user="bob", group="readonly")
    with pytest.raises(PermissionRefused, match=rf"(?s)Image:{image}.*--output"):
        segment.run(bench.spec(image), bench.context())
    target = bench.workshop.folder / "elsewhere.ome.zarr"
    result = segment.run(bench.spec(image, output=str(target)), bench.context())
    assert bench.workshop.labels(str(target)).max() == result.nuclei > 5
    assert results_on(bench.login("bob", "readonly"), image) == NOTHING


def test_in_a_shared_group_the_results_are_the_callers(bench: Bench, blobs: Any, seed: Seed, login: Login) -> None:
    image = bench.image(blobs.image)
    result = segment.run(bench.spec(image, label_image="always"), bench.context(user="bob"))
    owners = rows(login("alice", "lab"), "select r.details.owner.id from Roi r where r.image.id = :id", id=image)
    assert {owner for (owner,) in owners} == {seed.user_ids["bob"]}
    assert any("orphaned" in warning for warning in result.warnings)


def test_results_are_kept_unless_they_may_be_replaced(bench: Bench, blobs: Any, login: Login) -> None:
    image = bench.image(blobs.image)
    first = segment.run(bench.spec(image), bench.context(job_id="one"))
    with pytest.raises(AlreadyExists, match="one"):
        segment.run(bench.spec(image), bench.context(job_id="two"))
    again = segment.run(bench.spec(image, overwrite=True), bench.context(job_id="two"))
    found = results_on(login("alice", "lab"), image)
    assert found == {"rois": again.nuclei, "annotations": 2, "label_images": 0}
    assert again.nuclei == first.nuclei
    segment.run(bench.spec(image, labels="others"), bench.context(job_id="three"))
    assert results_on(login("alice", "lab"), image)["rois"] == 2 * again.nuclei


def test_the_same_job_again_writes_nothing_new(bench: Bench, blobs: Any, login: Login) -> None:
    image = bench.image(blobs.image)
    ledger = MemoryLedger()
    context = bench.context(ledger=ledger)
    first = segment.run(bench.spec(image), context)
    assert segment.run(bench.spec(image), context) == first
    # A worker that died after the marker, before it could note so: everything is found in OMERO.
    lost = replace(context, ledger=MemoryLedger(), workdir=bench.context().workdir)
    assert segment.run(bench.spec(image), lost) == first
    assert results_on(login("alice", "lab"), image)["rois"] == first.nuclei


def test_a_job_that_is_cancelled_while_it_saves_leaves_nothing(bench: Bench, blobs: Any, login: Login) -> None:
    class Impatient(SilentReporter):
        saving = False
        asked = 0

        def stage(self, name: str) -> None:
            self.saving = name == "save"

        def check(self) -> None:
            self.asked += self.saving
            if self.asked > 12:
                raise JobCancelled("cancelled")

    image = bench.image(blobs.image)
    spec, context = bench.spec(image, label_image="always"), bench.context(reporter=Impatient())
    with pytest.raises(JobCancelled):
        segment.run(spec, context)
    assert results_on(login("alice", "lab"), image) != NOTHING
    segment.cleanup(spec, replace(context, reporter=SilentReporter()))
    assert results_on(login("alice", "lab"), image) == NOTHING


def test_a_refused_write_fails_the_job_and_can_be_taken_back(
    bench: Bench, blobs: Any, login: Login, faults: Callable[..., Any]
) -> None:
    image = bench.image(blobs.image)
    faults(kind="refuse", operation="IUpdate.saveAndReturnObject")
    spec, context = bench.spec(image), bench.context()
    with pytest.raises(PermissionRefused):
        segment.run(spec, context)
    segment.cleanup(spec, context)
    assert results_on(login("alice", "lab"), image) == NOTHING


def test_an_image_that_is_deleted_meanwhile_is_told(bench: Bench, blobs: Any, login: Login) -> None:
    image = bench.image(blobs.image)
    client = login("alice", "lab")

    class Deleting(SilentReporter):
        def stage(self, name: str) -> None:
            if name == "write":
                client.submit(omero.cmd.Delete2(targetObjects={"Image": [image]}), loops=50)

    spec, context = bench.spec(image), bench.context(reporter=Deleting())
    with pytest.raises(NoyauError, match=f"Image:{image}"):
        segment.run(spec, context)
    segment.cleanup(spec, context)


def test_an_owner_who_proved_nothing_reaches_nothing(bench: Bench, seed: Seed) -> None:
    image = seed.images["lab"].id
    for owner in ("", "alice", f"omero:{ALIAS}:nobody-of-that-name"):
        context = bench.workshop.context(omero=Visitor(bench.gateway, owner))
        with pytest.raises((Unauthenticated, PermissionRefused)):
            segment.run(bench.spec(image), context)


def test_what_makes_no_sense_is_refused(bench: Bench, seed: Seed) -> None:
    image = seed.images["lab"].id
    context = bench.context()
    with pytest.raises(InvalidInput, match="contradicts"):
        segment.run(bench.workshop.spec(ImageRef(f"omero://{ALIAS}/image/{image}?c=0", channel=1)), context)
    with pytest.raises(NotFound, match="elsewhere"):
        segment.run(bench.spec(f"omero://elsewhere/image/{image}"), context)
    with pytest.raises(InvalidInput, match="would write to"):
        two = (ImageRef(f"omero://{ALIAS}/image/{image}"), ImageRef(f"omero://{ALIAS}/image/{image}?c=1"))
        segment.run(bench.workshop.spec(*two), context)


def test_names_of_any_kind_are_taken(bench: Bench, blobs: Any, login: Login) -> None:
    name = '[it\'s] "é" 🔬 ' + "x" * 300
    image = bench.image(blobs.image, name=name, channels=("DAPI [405]",))
    segment.run(bench.spec(image, measure=True, label_image="always"), bench.context())
    texts = rows(login("alice", "lab"), "select i.name from Image i where i.description like :t", t=f"%Image:{image}")
    assert texts[0][0].endswith("[nuclei]")


def test_the_restarted_server_is_waited_for(bench: Bench, blobs: Any, omero_place: Place, login: Login) -> None:
    if not omero_place.control:
        pytest.skip("a real server is not restarted by a test")
    image = bench.image(blobs.image)

    class Restarting(SilentReporter):
        def stage(self, name: str) -> None:
            if name in ("predict", "save"):
                omero_place.order("/restart")

    result = segment.run(bench.spec(image), bench.context(reporter=Restarting()))
    assert results_on(login("alice", "lab"), image) == {"rois": result.nuclei, "annotations": 2, "label_images": 0}


def _dataset(client: Any) -> int:
    dataset = omero.model.DatasetI()
    dataset.setName(omero.rtypes.rstring("to segment"))
    return client.sf.getUpdateService().saveAndReturnObject(dataset).id.val


def test_the_marker_holds_what_the_job_needs_to_find_its_result(bench: Bench, blobs: Any, login: Login) -> None:
    image = bench.image(blobs.image)
    result = segment.run(bench.spec(image), bench.context())
    number = parse_omero(result.images[0].provenance_uri).id
    marker = login("alice", "lab").sf.getQueryService().get("MapAnnotation", number)
    values = {pair.name: pair.value for pair in marker.getMapValue()}
    assert json.loads(values["noyau.result"])["nuclei"] == result.nuclei
