"""Results in OMERO: complete or not at all, found again, replaced, removed, and nobody else's things touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from noyau.domain.errors import AlreadyExists, FailedPrecondition, InternalError, PermissionRefused
from noyau.domain.omero_uri import OmeroUri
from noyau.omero.gateway import Gateway
from noyau.omero.images import read_image
from noyau.omero.label_image import LabelImage, pixels_of
from noyau.omero.removing import remove
from noyau.omero.rois import ObjectCrop
from noyau.omero.runs import BULK_NAMESPACE, RUN_NAMESPACE, Run
from noyau.omero.truth import read_truth
from noyau.sinks.omero import OmeroFile, OmeroSink
from omero import model
from omero.rtypes import rdouble, rint, rstring, unwrap
from omero_kit import ALIAS, PASSWORD_ENV, count, new_image, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed, pixels_id, roi_with_mask

Login = Callable[..., Any]
SHAPE = (3, 40, 50)
NOTHING = {"rois": 0, "annotations": 0, "label_images": 0}


@pytest.fixture
def gateway(omero_place: Place, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed)]) as opened:
        yield opened


@pytest.fixture
def image(login: Login, seed: Seed) -> int:
    """A new image of Alice's, in her dataset of the group lab."""
    dataset = seed.images["lab"].dataset
    return new_image(login, "alice", "lab", np.zeros((2, 1, *SHAPE), np.uint8), dataset=dataset)


def labels() -> np.ndarray:
    """Four objects: over planes, at the border, in two parts, one pixel."""
    volume = np.zeros(SHAPE, np.uint32)
    volume[0:2, 3:9, 4:11] = 1
    volume[1, 5:7, 11:13] = 1
    volume[2, 0, 0:6] = 2
    volume[0, 20:25, 40:50] = 3
    volume[0, 30:33, 40:42] = 3
    volume[1, 39, 49] = 70_000
    return volume


def objects(volume: np.ndarray, time: int = 0) -> list[ObjectCrop]:
    found = []
    for label in np.unique(volume[volume > 0]):
        low = np.argwhere(volume == label).min(axis=0)
        high = np.argwhere(volume == label).max(axis=0) + 1
        crop = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        found.append(ObjectCrop(int(label), time, crop, tuple(int(v) for v in low), (255, 0, 128, 110)))
    return found


def sink_of(gateway: Gateway, seed: Seed, image: int, job: str, user: str = "alice", name: str = "nuclei") -> OmeroSink:
    uri = OmeroUri(ALIAS, "image", image)
    return OmeroSink(visitor_of(gateway, seed, user).at(uri), uri, Run(job, name))


def label_image(gateway: Gateway, seed: Seed, image: int, job: str, user: str = "alice") -> LabelImage:
    uri = OmeroUri(ALIAS, "image", image)
    known = visitor_of(gateway, seed, user).at(uri).call(lambda line: read_image(line, uri), "reading")
    return LabelImage(
        source=known,
        name="nuclei",
        description=Run(job, "nuclei").image_description(uri),
        largest=70_000,
        voxel_size=known.voxel_size,
        read=lambda time, z: labels()[z] if time == 0 else np.zeros(SHAPE[1:], np.uint32),
    )


def write(gateway: Gateway, seed: Seed, image: int, job: str) -> OmeroSink:
    """A complete run with everything."""
    sink = sink_of(gateway, seed, image, job)
    assert not sink.begin()
    sink.write_label_image(label_image(gateway, seed, image, job))
    rois = sink.write_rois(objects(labels()), "masks")
    columns = {
        "Image": np.full(4, image),
        "Roi": np.array(list(rois.values())),
        "label": np.array(list(rois)),
        "volume_um3": np.array([1.5, np.nan, 3.0, 4.0]),
        "touches_border": np.array([True, False, True, False]),
        "kind": np.array(["a", "böse", "", "d"]),
    }
    sink.write_table("objects", columns)
    sink.write_file(OmeroFile("overview.png", b"\x89PNG" * 5000, "image/png"))
    assert sink.is_whole()
    sink.finish({"model": "nuclei-3d@1", "nuclei": "4"})
    return sink


FULL = {"rois": 4, "annotations": 3, "label_images": 1}


def test_everything_is_there_and_marked_last(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    sink = write(gateway, seed, image, "a1")
    client = login("alice", "lab")
    assert results_on(client, image) == FULL
    marker, values = sink.marker()
    assert values["model"] == "nuclei-3d@1"
    newest = rows(client, "select max(l.child.id) from ImageAnnotationLink l where l.parent.id = :id", id=image)
    assert newest == [[marker]]
    namespaces = rows(client, "select a.ns from ImageAnnotationLink l join l.child a where l.parent.id = :id", id=image)
    assert sorted(ns for (ns,) in namespaces) == sorted(["noyau/file", RUN_NAMESPACE, BULK_NAMESPACE])


def test_masks_come_back_exactly(gateway: Gateway, seed: Seed, image: int) -> None:
    sink_of(gateway, seed, image, "a1").write_rois(objects(labels()), "masks")
    uri = OmeroUri(ALIAS, "image", image)
    session = visitor_of(gateway, seed, "alice").at(uri)
    truth = read_truth(session, uri, SHAPE)
    assert (truth.labels == labels()).all()
    assert truth.ignored == 0
    assert not read_truth(session, uri, SHAPE, time=1).labels.any()


def test_polygons_and_points_come_back_within_what_they_state(gateway: Gateway, seed: Seed, image: int) -> None:
    uri = OmeroUri(ALIAS, "image", image)
    session = visitor_of(gateway, seed, "alice").at(uri)
    sink = sink_of(gateway, seed, image, "a1")
    sink.write_rois(objects(labels()), "polygons")
    found = read_truth(session, uri, SHAPE).labels
    assert set(np.unique(found)) == set(np.unique(labels()))
    assert (found != labels()).sum() <= 4
    sink.abort()
    sink.begin()
    sink.write_rois(objects(labels()), "points")
    points = read_truth(session, uri, SHAPE).labels
    assert (points > 0).sum() == 4
    assert (labels()[points > 0] == points[points > 0]).all()


def test_what_people_draw_becomes_labels(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    client = login("alice", "lab")
    _draw(client, image, [_polygon("2,2 8,2 8,6 2,6", 0), _rectangle(10, 10, 4, 3, None)])
    _draw(client, image, [_ellipse(30.5, 20.5, 3, 3, 2), _point(44.2, 7.9, 1), _line()])
    uri = OmeroUri(ALIAS, "image", image)
    truth = read_truth(visitor_of(gateway, seed, "alice").at(uri), uri, SHAPE)
    assert truth.ignored == 1
    assert (truth.labels[0, 2:6, 2:8] == 1).all()
    assert (truth.labels[:, 10:13, 10:14] == 1).all()
    assert truth.labels[2, 20, 30] == truth.labels[1, 7, 44] == 2
    assert (truth.labels == 1).sum() == 24 + 3 * 12


def test_a_label_image_holds_what_does_not_fit_the_source(
    gateway: Gateway, seed: Seed, image: int, login: Login
) -> None:
    sink = sink_of(gateway, seed, image, "a1")
    number, told = sink.write_label_image(label_image(gateway, seed, image, "a1"))
    assert told == ""
    client = login("alice", "lab")
    store = client.sf.createRawPixelsStore()
    store.setPixelsId(pixels_id(client, number), False)
    planes = [np.frombuffer(store.getPlane(z, 0, 0), ">u4").reshape(SHAPE[1:]) for z in range(SHAPE[0])]
    assert (np.stack(planes) == labels()).all()
    assert not any(store.getPlane(1, 0, 1))
    store.close()
    dataset = rows(client, "select l.parent.id from DatasetImageLink l where l.child.id = :id", id=number)
    assert dataset == [[seed.images["lab"].dataset]]
    found = client.sf.getPixelsService().retrievePixDescription(pixels_id(client, number))
    assert found.getPhysicalSizeX().getValue() == 0.125
    assert unwrap(found.getChannel(0).getLogicalChannel().getName()) == "nuclei"


def test_the_table_links_rois_and_keeps_every_type(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    write(gateway, seed, image, "a1")
    client = login("alice", "lab")
    hql = (
        "select a.file.id from ImageAnnotationLink l, FileAnnotation a "
        "where l.child.id = a.id and l.parent.id = :id and a.ns = :ns"
    )
    ((file,),) = rows(client, hql, id=image, ns=BULK_NAMESPACE)
    table = client.sf.sharedResources().openTable(model.OriginalFileI(file, False))
    try:
        headers = [(type(c).__name__, c.name) for c in table.getHeaders()]
        assert headers[:3] == [("ImageColumn", "Image"), ("RoiColumn", "Roi"), ("LongColumn", "label")]
        data = {c.name: c.values for c in table.readCoordinates(range(4)).columns}
        assert table.getNumberOfRows() == 4
    finally:
        table.close()
    ids = rows(client, "select r.id from Roi r where r.image.id = :id order by r.id", id=image)
    assert data["Roi"] == [i for (i,) in ids]
    assert data["label"] == [1, 2, 3, 70_000]
    assert data["kind"] == ["a", "böse", "", "d"]
    assert data["touches_border"] == [True, False, True, False]
    assert np.isnan(data["volume_um3"][1])


def test_an_interrupted_run_is_taken_back_and_redone(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    sink = sink_of(gateway, seed, image, "a1")
    sink.write_label_image(label_image(gateway, seed, image, "a1"))
    sink.write_rois(objects(labels())[:2], "masks")
    sink.write_file(OmeroFile("overview.png", b"abc", "image/png"))
    client = login("alice", "lab")
    assert results_on(client, image) == {"rois": 2, "annotations": 1, "label_images": 1}
    write(gateway, seed, image, "a1")
    assert results_on(client, image) == FULL
    assert sink_of(gateway, seed, image, "a1").begin()
    assert results_on(client, image) == FULL


def test_results_of_a_name_are_replaced_only_on_request(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    write(gateway, seed, image, "a1")
    again = sink_of(gateway, seed, image, "b2")
    with pytest.raises(AlreadyExists, match="a1"):
        again.require_free(overwrite=False)
    again.require_free(overwrite=True)
    sink_of(gateway, seed, image, "b2", name="other").require_free(overwrite=False)
    write(gateway, seed, image, "b2").replace_others()
    client = login("alice", "lab")
    assert results_on(client, image) == FULL
    texts = rows(client, "select r.description from Roi r where r.image.id = :id", id=image)
    assert {text.split("/")[0] for (text,) in texts} == {"noyau run b2"}


def test_nothing_of_others_is_touched(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    bob = login("bob", "lab")
    theirs = bob.sf.getUpdateService().saveAndReturnObject(roi_with_mask(image, 1, 1, np.ones((3, 3)))).id.val
    tag = _annotate(bob, "Image", image, "noyau run a1/nuclei table")  # even when it looks like ours
    sink = write(gateway, seed, image, "a1")
    client = login("alice", "lab")
    mine = rows(client, "select r.id from Roi r where r.description like :t and r.image.id = :id", t="noyau%", id=image)
    comment = _annotate(bob, "Roi", mine[0][0], "a remark on a ROI of Noyau's")
    write(gateway, seed, image, "b2").replace_others()
    with pytest.raises(Exception, match="not complete"):
        sink.marker()
    assert rows(client, "select r.id from Roi r where r.id = :id", id=theirs) == [[theirs]]
    for annotation in (tag, comment):
        assert rows(client, "select a.id from Annotation a where a.id = :id", id=annotation) == [[annotation]]


def test_a_label_image_on_which_somebody_drew_stays(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    sink = sink_of(gateway, seed, image, "a1")
    number, _ = sink.write_label_image(label_image(gateway, seed, image, "a1"))
    bob = login("bob", "lab")
    roi = bob.sf.getUpdateService().saveAndReturnObject(roi_with_mask(number, 1, 1, np.ones((3, 3)))).id.val
    with pytest.raises(FailedPrecondition, match="Roi"):
        sink.abort()
    client = login("alice", "lab")
    assert rows(client, "select r.image.id from Roi r where r.id = :id", id=roi) == [[number]]


def test_the_image_keeps_its_pixels_and_links(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    client = login("alice", "lab")

    def belongings() -> list[list[list[Any]]]:
        project = seed.images["lab"].project
        return [
            rows(client, "select p.id from Pixels p where p.image.id = :id", id=image),
            rows(client, "select l.parent.id from DatasetImageLink l where l.child.id = :id", id=image),
            rows(client, "select l.child.id from ProjectDatasetLink l where l.parent.id = :id", id=project),
        ]

    before = belongings()
    write(gateway, seed, image, "a1").replace_others()
    assert belongings() == before
    assert all(before)


def test_in_a_group_where_others_may_annotate_results_are_the_callers(
    gateway: Gateway, seed: Seed, image: int, login: Login
) -> None:
    sink = sink_of(gateway, seed, image, "a1", user="bob")
    sink.write_rois(objects(labels()), "masks")
    _, told = sink.write_label_image(label_image(gateway, seed, image, "a1", user="bob"))
    assert "may not put" in told
    owners = rows(login("bob", "lab"), "select r.details.owner.id from Roi r where r.image.id = :id", id=image)
    assert {owner for (owner,) in owners} == {seed.user_ids["bob"]}
    sink_of(gateway, seed, image, "a1", user="alice").abort()
    assert count(login("bob", "lab"), "select r.id from Roi r where r.image.id = :id", id=image) == 4


def test_a_group_that_only_reads_takes_nothing(gateway: Gateway, seed: Seed) -> None:
    image = seed.images["readonly"].id
    with pytest.raises(PermissionRefused):
        sink_of(gateway, seed, image, "a1").write_rois(objects(labels()), "masks")


def test_many_objects_are_saved_in_batches(
    gateway: Gateway, seed: Seed, image: int, omero_place: Place, login: Login
) -> None:
    volume = np.arange(1, np.prod(SHAPE) + 1).reshape(SHAPE).astype(np.uint32)
    volume[volume > 450] = 0
    rois = sink_of(gateway, seed, image, "a1").write_rois(objects(volume), "masks")
    assert list(rois) == list(range(1, 451))
    names = dict(rows(login("alice", "lab"), "select r.id, r.name from Roi r where r.image.id = :id", id=image))
    assert {names[roi] for roi in rois.values()} == {f"nucleus {label}" for label in rois}
    assert all(names[roi] == f"nucleus {label}" for label, roi in rois.items())


@pytest.mark.parametrize("kind", ["drop", "drop after"])
@pytest.mark.parametrize(
    "operation",
    [
        "IUpdate.saveAndReturnIds",
        "IUpdate.saveAndReturnObject",
        "IUpdate.saveObject",
        "IPixels.createImage",
        "RawPixelsStore.*",
        "RawFileStore.write",
        "SharedResources.newTable",
        "Table.*",
        "IQuery.projection",
    ],
)
def test_a_lost_connection_leaves_one_complete_set(
    gateway: Gateway, seed: Seed, image: int, login: Login, faults: Callable[..., Any], kind: str, operation: str
) -> None:
    faults(kind=kind, at=1, operation=operation)
    write(gateway, seed, image, "a1")
    client = login("alice", "lab")
    assert results_on(client, image) == FULL
    files = rows(client, "select f.name from OriginalFile f where f.name like :t", t=f"noyau-image-{image}-%")
    assert sorted(name for (name,) in files) == [
        f"noyau-image-{image}-nuclei-objects-a1.h5",
        f"noyau-image-{image}-nuclei-overview-a1.png",
    ]


def test_a_refused_write_is_told_and_can_be_taken_back(
    gateway: Gateway, seed: Seed, image: int, login: Login, faults: Callable[..., Any]
) -> None:
    faults(kind="refuse", at=1, operation="IUpdate.saveAndReturnIds")
    sink = sink_of(gateway, seed, image, "a1")
    sink.write_file(OmeroFile("overview.png", b"abc", "image/png"))
    with pytest.raises(PermissionRefused, match=f"Image:{image}"):
        sink.write_rois(objects(labels()), "masks")
    sink.abort()
    assert results_on(login("alice", "lab"), image) == NOTHING


def test_a_dry_run_that_names_strangers_deletes_nothing(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    client = login("alice", "lab")
    roi = client.sf.getUpdateService().saveAndReturnObject(roi_with_mask(image, 1, 1, np.ones((3, 3)))).id.val
    session = visitor_of(gateway, seed, "alice").at(OmeroUri(ALIAS, "image", image))
    with pytest.raises(FailedPrecondition, match=f"Roi \\[{roi}\\]"):
        session.call(lambda line: remove(line, {"Image": [image]}), "removing")
    assert pixels_id(client, image)
    with pytest.raises(InternalError):
        session.call(lambda line: remove(line, {"Roi": [10**9]}), "removing")


def test_pixels_of_is_the_primary(gateway: Gateway, seed: Seed, image: int, login: Login) -> None:
    session = visitor_of(gateway, seed, "alice").at(OmeroUri(ALIAS, "image", image))
    assert session.call(lambda line: pixels_of(line, image), "x") == pixels_id(login("alice", "lab"), image)


def _annotate(client: Any, kind: str, number: int, text: str) -> int:
    annotation = model.CommentAnnotationI()
    annotation.setTextValue(rstring("mine"))
    annotation.setDescription(rstring(text))
    link = getattr(model, f"{kind}AnnotationLinkI")()
    link.setParent(getattr(model, f"{kind}I")(number, False))
    link.setChild(annotation)
    return client.sf.getUpdateService().saveAndReturnObject(link).child.id.val


def _draw(client: Any, image: int, shapes: list[Any]) -> None:
    roi = model.RoiI()
    roi.setImage(model.ImageI(image, False))
    for shape in shapes:
        roi.addShape(shape)
    client.sf.getUpdateService().saveObject(roi)


def _placed(shape: Any, z: int | None, **values: float) -> Any:
    for name, value in values.items():
        getattr(shape, f"set{name}")(rdouble(value))
    if z is not None:
        shape.setTheZ(rint(z))
    return shape


def _polygon(points: str, z: int) -> Any:
    shape = model.PolygonI()
    shape.setPoints(rstring(points))
    return _placed(shape, z)


def _rectangle(x: float, y: float, width: float, height: float, z: int | None) -> Any:
    return _placed(model.RectangleI(), z, X=x, Y=y, Width=width, Height=height)


def _ellipse(x: float, y: float, rx: float, ry: float, z: int) -> Any:
    return _placed(model.EllipseI(), z, X=x, Y=y, RadiusX=rx, RadiusY=ry)


def _point(x: float, y: float, z: int) -> Any:
    return _placed(model.PointI(), z, X=x, Y=y)


def _line() -> Any:
    return _placed(model.LineI(), 0, X1=0, X2=5, Y1=0, Y2=5)
