"""Rules of the server that OMERO.web and OMERO.iviewer rely on when they show an image."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import omero
import pytest
from omero import model
from omero.rtypes import rlong, rstring, unwrap
from omero_seed import Seed, make_image, pixels_id
from PIL import Image

Login = Callable[..., Any]
LABELS = (
    "select lc.name, lc.emissionWave.value, index(chan) from Pixels p join p.image as img join p.channels as chan"
    " join chan.logicalChannel as lc where img.id = :id order by index(chan)"
)


def comment(client: Any, image: int, text: str) -> int:
    """A comment on an image; its id."""
    note = model.CommentAnnotationI()
    note.setTextValue(rstring(text))
    link = model.ImageAnnotationLinkI()
    link.setParent(model.ImageI(image, False))
    link.setChild(note)
    return int(client.sf.getUpdateService().saveAndReturnObject(link).child.id.val)


def test_a_quantity_that_is_not_there_leaves_the_row(login: Login, seed: Seed) -> None:
    params = omero.sys.ParametersI().addId(seed.images["lab"].id)
    rows = login("alice", "lab").sf.getQueryService().projection(LABELS, params)
    assert [[unwrap(cell) for cell in row] for row in rows] == [["DAPI", None, 0], ["GFP", None, 1]]


def test_annotations_come_by_the_object_that_they_are_on(login: Login) -> None:
    client = login("alice", "lab")
    first, second = (make_image(client, np.zeros((1, 1, 1, 4, 6), np.uint8)) for _ in range(2))
    note = comment(client, first, "good")
    metadata = client.sf.getMetadataService()
    found = metadata.loadAnnotations("Image", [first, second], None, None, None)
    assert {image: [a.id.val for a in notes] for image, notes in found.items()} == {first: [note], second: []}
    kinds = metadata.loadAnnotations("Image", [first], ["ome.model.annotations.MapAnnotation"], None, None)
    assert kinds == {first: []}


def test_annotations_of_what_may_not_be_read_are_not_told(login: Login, seed: Seed) -> None:
    image = seed.images["private"].id
    comment(login("carol", "private"), image, "mine")
    found = login("bob", "lab").sf.getMetadataService().loadAnnotations("Image", [image], None, None, None)
    assert found == {}


def test_what_is_fetched_once_is_loaded_wherever_it_is_mentioned(login: Login) -> None:
    client = login("alice", "lab")
    image = make_image(client, np.zeros((1, 1, 1, 4, 6), np.uint8))
    note = comment(client, image, "good")
    text = (
        "select i from Image i left outer join fetch i.annotationLinks links left outer join fetch links.child"
        " join fetch links.details.owner join fetch links.details.creationEvent where i.id = :id"
    )
    found = client.sf.getQueryService().findByQuery(text, omero.sys.ParametersI().addId(image))
    (link,) = found.copyAnnotationLinks()
    assert link.child.id.val == note
    assert unwrap(link.details.owner.firstName) == "Alice"
    assert unwrap(link.child.details.owner.firstName) == "Alice"
    assert not found.details.group.loaded


@pytest.fixture
def engine(login: Login) -> Iterator[Any]:
    """A rendering engine with an image of one channel that grows brighter to the right."""
    client = login("alice", "lab")
    ramp = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
    image = make_image(client, ramp[np.newaxis, np.newaxis, np.newaxis])
    number = pixels_id(client, image)
    rendering = client.sf.createRenderingEngine()
    rendering.lookupPixels(number)
    rendering.resetDefaultSettings(True)
    rendering.lookupRenderingDef(number)
    rendering.load()
    yield rendering
    rendering.close()


def shown(engine: Any) -> np.ndarray:
    """The first plane as the engine shows it: height x width x 3."""
    engine.setCompressionLevel(1.0)
    plane = omero.romio.PlaneDef(omero.romio.XY, 0, 0, 0, 0, None, -1)
    return np.asarray(Image.open(io.BytesIO(engine.renderCompressed(plane)))).astype(int)


def test_one_channel_is_shown_in_grey(engine: Any) -> None:
    assert unwrap(engine.getModel().value) == "greyscale"
    picture = shown(engine)
    assert np.ptp(picture, axis=2).max() <= 2
    assert picture[0, 0, 0] < 10 and picture[0, -1, 0] > 245


def test_a_channel_can_be_reversed_and_back(engine: Any) -> None:
    before = shown(engine)
    reverse = omero.romio.ReverseIntensityMapContext()
    engine.removeCodomainMapFromChannel(reverse, 0)
    assert engine.getCodomainMapContext(0) == []
    engine.addCodomainMapToChannel(reverse, 0)
    assert [type(m).__name__ for m in engine.getCodomainMapContext(0)] == ["ReverseIntensityContextI"]
    assert np.abs(shown(engine) - (255 - before)).max() <= 4
    engine.removeCodomainMapFromChannel(reverse, 0)
    assert np.array_equal(shown(engine), before)


@pytest.mark.unknown_on_purpose
def test_index_of_what_has_no_order_is_refused(login: Login, omero_place: Any) -> None:
    if not omero_place.control:
        pytest.skip("a real server knows it")
    text = "select index(r) from Image i join i.rois r join r.shapes s where r.id > :id"
    query = login("alice", "lab").sf.getQueryService()
    params = omero.sys.ParametersI()
    params.map["id"] = rlong(-1)
    client = login("alice", "lab")
    roi = model.RoiI()
    roi.setImage(model.ImageI(make_image(client, np.zeros((1, 1, 1, 4, 6), np.uint8)), False))
    roi.addShape(model.PointI())
    client.sf.getUpdateService().saveObject(roi)
    with pytest.raises(omero.ServerError):
        query.projection(text, params)
    assert omero_place.order("/violations", method="GET") == ["HQL function index() of anything but channels"]
