"""What may go wrong around a job: rights of three users in four groups, sizes, very many nuclei, jobs that meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import omero
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.axes import Axes
from noyau.domain.errors import AlreadyExists, FailedPrecondition, NotFound, PermissionRefused
from noyau.domain.image import ImageInfo, ImageRef
from noyau.domain.jobs import ImageResult
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.domain.progress import SilentReporter
from noyau.omero.gateway import Gateway
from noyau.omero.runs import Run
from noyau.pipelines import segment
from noyau.pipelines.publication import publish
from noyau.pipelines.targets import Item, staging
from noyau.sinks import LabelSink
from noyau.sinks.omero import OmeroSink
from omero.rtypes import rstring
from omero_kit import ALIAS, PASSWORD_ENV, new_image, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed
from omero_segment_kit import Bench, world

Login = Callable[..., Any]
NOTHING = {"rois": 0, "annotations": 0, "label_images": 0}
OWNERS = {"lab": "alice", "readonly": "bob", "private": "carol", "open": "alice"}
"""Who owns the image in each group."""
OUTCOMES = {
    ("alice", "lab"): None,
    ("alice", "readonly"): PermissionRefused,
    ("alice", "private"): NotFound,
    ("alice", "open"): None,
    ("bob", "lab"): None,
    ("bob", "readonly"): None,
    ("bob", "private"): NotFound,
    ("bob", "open"): None,
    ("carol", "lab"): NotFound,
    ("carol", "readonly"): NotFound,
    ("carol", "private"): None,
    ("carol", "open"): NotFound,
}
"""What each user's job about it comes to; the jobs of Alice and Bob start in their default group, lab."""


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


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    return np.asarray(world.make_world((1, 26, 30)).image)


@pytest.mark.parametrize("group", OWNERS)
def test_each_user_gets_what_the_group_allows(bench: Bench, plane: np.ndarray, seed: Seed, group: str) -> None:
    for user in ("alice", "bob", "carol"):
        image = bench.image(plane, user=OWNERS[group], group=group)
        expected = OUTCOMES[user, group]
        if expected is not None:
            with pytest.raises(expected, match=f"Image:{image}"):
                segment.run(bench.spec(image), bench.context(user=user))
            assert results_on(bench.login(OWNERS[group], group), image) == NOTHING
            continue
        done = segment.run(bench.spec(image), bench.context(user=user))
        assert results_on(bench.login(user, group), image) == {"rois": done.nuclei, "annotations": 2, "label_images": 0}
        hql = "select r.details.owner.id, r.details.group.id from Roi r where r.image.id = :id"
        made = {tuple(row) for row in rows(bench.login(user, group), hql, id=image)}
        assert made == {(seed.user_ids[user], seed.group_ids[group])}, user


def test_everything_is_written_over_tls_too(bench: Bench, plane: np.ndarray, omero_place: Place, seed: Seed) -> None:
    image = bench.image(plane)
    with Gateway([server_of(omero_place, seed, tls=True)]) as secure:
        context = replace(bench.context(), omero=visitor_of(secure, seed, "alice"))
        done = segment.run(bench.spec(image, measure=True, label_image="always"), context)
    found = results_on(bench.login("alice", "lab"), image)
    assert found == {"rois": done.nuclei, "annotations": 4, "label_images": 1}


@pytest.mark.parametrize("kind", ["expire", "kill"])
@pytest.mark.parametrize("operation", ["RawPixelsStore.get*", "IUpdate.saveAndReturnIds", "Table.addData"])
def test_a_session_that_ends_under_the_job_is_opened_again(
    bench: Bench, plane: np.ndarray, faults: Callable[..., Any], kind: str, operation: str
) -> None:
    image = bench.image(plane)
    faults(kind=kind, operation=operation)
    done = segment.run(bench.spec(image, measure=True), bench.context())
    found = results_on(bench.login("alice", "lab"), image)
    assert found == {"rois": done.nuclei, "annotations": 4, "label_images": 0}


def test_a_volume_without_sizes_is_refused_with_a_remedy(bench: Bench) -> None:
    image = bench.image(np.zeros((4, 20, 20), np.uint16), pixel_size=None)
    with pytest.raises(FailedPrecondition, match=r"(?s)how large.*--voxel-size"):
        segment.run(bench.spec(image), bench.context())


def test_a_summary_that_cannot_be_saved_is_told_and_the_rest_is_there(
    bench: Bench, plane: np.ndarray, faults: Callable[..., Any]
) -> None:
    client = bench.login("alice", "lab")
    dataset = omero.model.DatasetI()
    dataset.setName(rstring("half"))
    dataset = client.sf.getUpdateService().saveAndReturnObject(dataset).id.val
    image = bench.image(plane, dataset=dataset)
    # Of the image: the picture's file, its annotation and the marker. Then the annotation of the set's table.
    faults(kind="refuse", operation="IUpdate.saveAndReturnObject", at=4)
    done = segment.run(bench.spec(f"omero://{ALIAS}/dataset/{dataset}"), bench.context())
    assert f"The summary of Dataset:{dataset} could not be saved" in done.warnings[0]
    assert results_on(client, image) == {"rois": done.nuclei, "annotations": 2, "label_images": 0}
    files = rows(client, "select f.id from OriginalFile f where f.name like :t", t=f"noyau-dataset-{dataset}-%")
    links = rows(client, "select l.id from DatasetAnnotationLink l where l.parent.id = :id", id=dataset)
    assert files == links == []


def test_a_hundred_thousand_nuclei_become_a_label_image(bench: Bench) -> None:
    shape = (1, 640, 640)
    labels = np.zeros(shape, np.uint32)
    labels[0, ::2, ::2] = np.arange(1, 320 * 320 + 1).reshape(320, 320)
    image = new_image(bench.login, "alice", "lab", np.zeros((1, 1, *shape), np.uint8))
    context = bench.context()
    ref = ImageRef(f"omero://{ALIAS}/image/{image}")
    item = Item(0, ref, staging(0, context), staged=True)
    info = ImageInfo(shape, "uint8", Axes("zyx"), shape, None, ("0",), 1, 1, shape)
    sink = LabelSink.create(item.target, "nuclei", like=info, access=AccessPolicy.everything(), job=context.job_id)
    for box in sink.units():
        sink.write(box, labels[box.slices])
    sink.build_pyramid()
    sink.commit()
    staged = ImageResult(ref.uri, "", "", "", "", 102_400, 1.0)
    done = publish(bench.spec(image, measure=False), item, info, staged, context)
    assert "102,400 nuclei in 102,400 masks are more than a viewer can show" in done.told[0]
    client = bench.login("alice", "lab")
    assert results_on(client, image) == {"rois": 0, "annotations": 1, "label_images": 1}
    beside = parse_omero(done.result.labels_uri).id
    pixels = rows(client, "select p.id from Pixels p where p.image.id = :id", id=beside)[0][0]
    store = client.sf.createRawPixelsStore()
    store.setPixelsId(pixels, False)
    stored = np.frombuffer(store.getPlane(0, 0, 0), ">u4").reshape(shape[1:])
    store.close()
    assert (stored == labels[0]).all()


def test_of_two_jobs_that_meet_on_an_image_the_later_leaves_nothing(bench: Bench, plane: np.ndarray) -> None:
    image = bench.image(plane)

    class Overtaken(SilentReporter):
        def stage(self, name: str) -> None:
            if name == "save":
                segment.run(bench.spec(image), bench.context(job_id="first"))

    spec, context = bench.spec(image), bench.context(job_id="second", reporter=Overtaken())
    with pytest.raises(AlreadyExists, match="first"):
        segment.run(spec, context)
    segment.cleanup(spec, replace(context, reporter=SilentReporter()))
    client = bench.login("alice", "lab")
    texts = rows(client, "select distinct r.description from Roi r where r.image.id = :id", id=image)
    assert texts and all(text.startswith("noyau run first/") for (text,) in texts)
    assert results_on(client, image)["annotations"] == 2


def test_of_jobs_that_replace_each_other_the_last_one_stays(bench: Bench) -> None:
    image = new_image(bench.login, "alice", "lab", np.zeros((1, 1, 1, 20, 20), np.uint8))
    uri = OmeroUri(ALIAS, "image", image)
    session = visitor_of(bench.gateway, bench.seed, "alice").at(uri)
    first, second = (OmeroSink(session, uri, Run(job, "nuclei")) for job in ("first", "second"))
    for sink in (first, second):
        sink.begin()
        sink.finish({"nuclei": "0"})
    first.replace_others()
    assert (first.is_complete(), second.is_complete()) == (True, True)
    second.replace_others()
    assert (first.is_complete(), second.is_complete()) == (False, True)
