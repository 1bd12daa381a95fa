"""What a person corrected stays: when results are removed, replaced, or written again after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import omero
import pytest
from noyau.domain.errors import AlreadyExists
from noyau.domain.omero_uri import OmeroUri
from noyau.omero.cleaning import remove_run, runs_about
from noyau.omero.edits import edited_rois
from noyau.omero.gateway import Gateway
from noyau.omero.masks import volume_masks
from noyau.omero.rois import ObjectCrop
from noyau.omero.runs import Run
from noyau.sinks.omero import OmeroFile, OmeroSink
from omero import model
from omero.rtypes import rdouble, rint, rstring
from omero_kit import ALIAS, PASSWORD_ENV, new_image, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed

Login = Callable[..., Any]
SHAPE = (3, 30, 40)


def move(client: Any, roi: int) -> None:
    """As a viewer does it: the ROI with its shapes is read, one shape changed, all of it saved."""
    loaded = load(client, roi)
    loaded.getShape(0).setX(rdouble(loaded.getShape(0).getX().getValue() + 1))
    client.sf.getUpdateService().saveAndReturnArray([loaded])


def add_a_shape(client: Any, roi: int) -> None:
    loaded = load(client, roi)
    ellipse = model.EllipseI()
    for name, value in (("X", 5), ("Y", 5), ("RadiusX", 2), ("RadiusY", 3)):
        getattr(ellipse, f"set{name}")(rdouble(value))
    ellipse.setTheZ(rint(0))
    loaded.addShape(ellipse)
    client.sf.getUpdateService().saveAndReturnArray([loaded])


def take_a_shape_out(client: Any, roi: int) -> None:
    shapes = rows(client, "select s.id from Shape s where s.roi.id = :id order by s.id", id=roi)
    client.submit(omero.cmd.Delete2(targetObjects={"Shape": [shapes[-1][0]]}), loops=50)


def rename(client: Any, roi: int) -> None:
    loaded = client.sf.getQueryService().get("Roi", roi)
    loaded.setName(rstring("two nuclei, really"))
    client.sf.getUpdateService().saveObject(loaded)


EDITS = (move, add_a_shape, take_a_shape_out, rename)


def load(client: Any, roi: int) -> Any:
    hql = "select r from Roi r join fetch r.shapes where r.id = :id"
    return client.sf.getQueryService().findByQuery(hql, omero.sys.ParametersI().addId(roi))


@pytest.fixture
def gateway(omero_place: Place, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed)]) as opened:
        yield opened


@pytest.fixture
def image(login: Login) -> int:
    return new_image(login, "alice", "lab", np.zeros((1, 1, *SHAPE), np.uint8))


def objects() -> list[ObjectCrop]:
    """Three objects over two planes each."""
    volume = np.zeros(SHAPE, np.uint32)
    for label in (1, 2, 3):
        volume[0:2, 3:9, 8 * label : 8 * label + 5] = label
    return [ObjectCrop(n, 0, volume, (0, 0, 0), (255, 0, 0, 110)) for n, _ in volume_masks(volume)]


def sink_of(gateway: Gateway, seed: Seed, image: int, job: str) -> OmeroSink:
    uri = OmeroUri(ALIAS, "image", image)
    return OmeroSink(visitor_of(gateway, seed, "alice").at(uri), uri, Run(job, "nuclei"))


def written(gateway: Gateway, seed: Seed, image: int, job: str) -> list[int]:
    sink = sink_of(gateway, seed, image, job)
    assert not sink.begin()
    rois = sink.write_rois(objects(), "masks")
    sink.write_file(OmeroFile("overview.png", b"png", "image/png"))
    assert sink.is_whole()
    sink.finish({"nuclei": "3"})
    return list(rois.values())


def call(gateway: Gateway, seed: Seed, image: int, work: Callable[[Any], Any]) -> Any:
    return visitor_of(gateway, seed, "alice").at(OmeroUri(ALIAS, "image", image)).call(work, "testing")


def ids(client: Any, image: int) -> list[int]:
    return [i for (i,) in rows(client, "select r.id from Roi r where r.image.id = :id order by r.id", id=image)]


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_by_hand_is_seen(
    gateway: Gateway, seed: Seed, image: int, login: Login, edit: Callable[[Any, int], None]
) -> None:
    rois = written(gateway, seed, image, "a1")
    find = partial(edited_rois, rois=rois)
    assert call(gateway, seed, image, find) == ()
    edit(login("alice", "lab"), rois[1])
    assert call(gateway, seed, image, find) == (rois[1],)


def test_looking_at_a_roi_or_tagging_it_changes_nothing(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    rois = written(gateway, seed, image, "a1")
    bob = login("bob", "lab")
    tag = model.TagAnnotationI()
    tag.setTextValue(rstring("odd"))
    link = model.RoiAnnotationLinkI()
    link.setParent(model.RoiI(rois[0], False))
    link.setChild(tag)
    bob.sf.getUpdateService().saveObject(link)
    load(bob, rois[1])
    assert call(gateway, seed, image, partial(edited_rois, rois=rois)) == ()


def test_removing_keeps_what_was_corrected(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    rois = written(gateway, seed, image, "a1")
    client = login("alice", "lab")
    move(client, rois[1])
    uri = OmeroUri(ALIAS, "image", image)
    ((_, run, found),) = call(gateway, seed, image, partial(runs_about, uri=uri))
    assert found.edited == (rois[1],)
    done = call(gateway, seed, image, partial(remove_run, parent=uri, run=run))
    assert (done.objects, done.kept) == (4, (rois[1],))
    assert results_on(client, image) == {"rois": 1, "annotations": 0, "label_images": 0}
    ((_, run, found),) = call(gateway, seed, image, partial(runs_about, uri=uri))
    assert found.is_only_edited
    done = call(gateway, seed, image, partial(remove_run, parent=uri, run=run, edited=True))
    assert (done.objects, done.kept) == (1, ())
    assert ids(client, image) == []


def test_corrected_results_are_not_replaced(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    rois = written(gateway, seed, image, "a1")
    again = sink_of(gateway, seed, image, "b2")
    again.require_free(overwrite=True)
    client = login("alice", "lab")
    rename(client, rois[0])
    with pytest.raises(AlreadyExists, match=r"(?s)changed 1 of the ROIs.*a1.*--edited"):
        again.require_free(overwrite=True)
    assert ids(client, image) == rois


def test_a_correction_made_while_the_job_ran_stays(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    rois = written(gateway, seed, image, "a1")
    again = sink_of(gateway, seed, image, "b2")
    again.require_free(overwrite=True)
    client = login("alice", "lab")
    move(client, rois[2])
    new = written(gateway, seed, image, "b2")
    assert "1 ROIs of earlier results" in sink_of(gateway, seed, image, "b2").replace_others()
    assert ids(client, image) == [rois[2], *new]


def test_a_correction_of_an_interrupted_run_stays(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    client = login("alice", "lab")
    broken = sink_of(gateway, seed, image, "a1")
    broken.begin()
    first = list(broken.write_rois(objects()[:2], "masks").values())
    move(client, first[0])
    new = written(gateway, seed, image, "a1")
    assert ids(client, image) == [first[0], *new]
