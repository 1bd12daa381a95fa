"""Rules of the server about saving, and the dangers in it: members that a loaded object lacks are deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import omero
import pytest
from omero import model
from omero.rtypes import rint, rlong, rstring, unwrap
from omero_seed import Seed, asymmetric, make_image, pixels_id, roi_with_mask

MASK = asymmetric((3, 5), "uint8") > 90
SMALL = asymmetric((1, 1, 2, 4, 6), "uint8")


@pytest.fixture
def client(login: Callable[..., Any]) -> Any:
    return login("alice", "lab")


@pytest.fixture
def update(client: Any) -> Any:
    return client.sf.getUpdateService()


@pytest.fixture
def query(client: Any) -> Any:
    return client.sf.getQueryService()


def dataset(update: Any, name: str = "set") -> Any:
    made = model.DatasetI()
    made.setName(rstring(name))
    return update.saveAndReturnObject(made)


def link(parent: int, child: int) -> Any:
    made = model.DatasetImageLinkI()
    made.setParent(model.DatasetI(parent, False))
    made.setChild(model.ImageI(child, False))
    return made


def count(query: Any, text: str, number: int) -> int:
    return int(unwrap(query.projection(text, omero.sys.ParametersI().addId(number))[0][0]))


# --- dangers


def test_danger_saving_an_empty_loaded_image_deletes_its_pixels(client: Any, update: Any, query: Any) -> None:
    image = make_image(client, SMALL)
    proxy = model.ImageI(image, True)
    proxy.setName(rstring("renamed"))
    update.saveObject(proxy)
    assert query.get("Image", image).name.val == "renamed"
    assert count(query, "select count(p) from Pixels p where p.image.id = :id", image) == 0


def test_danger_saving_an_empty_loaded_dataset_deletes_its_links(client: Any, update: Any, query: Any) -> None:
    number = dataset(update).id.val
    image = make_image(client, SMALL, dataset=number)
    proxy = model.DatasetI(number, True)
    proxy.setName(rstring("renamed"))
    update.saveObject(proxy)
    assert count(query, "select count(l) from DatasetImageLink l where l.parent.id = :id", number) == 0
    assert query.find("Image", image) is not None


def test_danger_saving_an_empty_loaded_roi_deletes_its_shapes(client: Any, update: Any, query: Any) -> None:
    saved = update.saveAndReturnObject(roi_with_mask(make_image(client, SMALL), 0, 0, MASK))
    update.saveObject(model.RoiI(saved.id.val, True))
    assert count(query, "select count(s) from Shape s where s.roi.id = :id", saved.id.val) == 0


def test_danger_a_loaded_parent_in_a_link_is_saved_too(client: Any, update: Any, query: Any) -> None:
    number = dataset(update).id.val
    first, second = make_image(client, SMALL, dataset=number), make_image(client, SMALL)
    made = link(number, second)
    parent = model.DatasetI(number, True)
    parent.setName(rstring("set"))
    made.setParent(parent)
    update.saveObject(made)
    rows = query.projection(
        "select l.child.id from DatasetImageLink l where l.parent.id = :id", omero.sys.ParametersI().addId(number)
    )
    assert [unwrap(r[0]) for r in rows] == [second]
    assert query.find("Image", first) is not None


def test_danger_saving_what_a_filtered_fetch_returned_deletes_the_rest(client: Any, update: Any, query: Any) -> None:
    number = dataset(update).id.val
    images = [make_image(client, SMALL, dataset=number) for _ in range(3)]
    params = omero.sys.ParametersI().addId(number)
    params.map["image"] = rlong(images[1])
    text = (
        "select d from Dataset d join fetch d.imageLinks l join fetch l.child where d.id = :id and l.child.id = :image"
    )
    found = query.findByQuery(text, params)
    found.setName(rstring("renamed"))
    update.saveObject(found)
    rows = query.projection(
        "select l.child.id from DatasetImageLink l where l.parent.id = :id", omero.sys.ParametersI().addId(number)
    )
    assert [unwrap(r[0]) for r in rows] == [images[1]]


def test_a_reference_by_id_changes_nothing(client: Any, update: Any, query: Any) -> None:
    number = dataset(update).id.val
    images = [make_image(client, SMALL, dataset=number) for _ in range(2)]
    assert count(query, "select count(l) from DatasetImageLink l where l.parent.id = :id", number) == 2
    assert all(count(query, "select count(p) from Pixels p where p.image.id = :id", i) == 1 for i in images)


def test_unloaded_collections_are_left_alone(client: Any, update: Any, query: Any) -> None:
    image = make_image(client, SMALL)
    found = query.get("Image", image)
    found.setName(rstring("renamed"))
    found.unloadCollections()
    update.saveObject(found)
    assert count(query, "select count(p) from Pixels p where p.image.id = :id", image) == 1


def test_a_property_that_is_none_becomes_null(client: Any, update: Any, query: Any) -> None:
    image = make_image(client, SMALL)
    assert query.get("Image", image).description.val == "seeded"
    found = query.get("Image", image)
    found.setDescription(None)
    update.saveObject(found)
    assert query.get("Image", image).description is None


# --- locks


def test_the_later_of_two_writers_is_refused(update: Any, query: Any) -> None:
    number = dataset(update).id.val
    first, second = query.get("Dataset", number), query.get("Dataset", number)
    assert first.version is None
    first.setName(rstring("first"))
    update.saveObject(first)
    second.setName(rstring("second"))
    with pytest.raises(omero.SecurityViolation, match="not authorized to change the update event"):
        update.saveObject(second)
    assert query.get("Dataset", number).name.val == "first"


def test_without_details_the_later_writer_wins(update: Any, query: Any) -> None:
    number = dataset(update).id.val
    first, second = query.get("Dataset", number), query.get("Dataset", number)
    first.setName(rstring("first"))
    update.saveObject(first)
    second.setName(rstring("second"))
    second.unloadDetails()
    update.saveObject(second)
    assert query.get("Dataset", number).name.val == "second"


# --- answers and transactions


def test_the_answer_has_what_was_sent_loaded(client: Any, update: Any, seed: Seed) -> None:
    note = model.MapAnnotationI()
    note.setNs(rstring("ns"))
    note.setMapValue([model.NamedValue("k", "v"), model.NamedValue("k", "w")])
    made = model.ImageAnnotationLinkI()
    made.setParent(model.ImageI(make_image(client, SMALL), False))
    made.setChild(note)
    saved = update.saveAndReturnObject(made)
    assert [(p.name, p.value) for p in saved.child.getMapValue()] == [("k", "v"), ("k", "w")]
    assert saved.details.owner.omeName.val == seed.users["alice"]
    assert saved.details.group.name.val == seed.groups["lab"]
    assert saved.details.updateEvent.time.val > 0
    assert not saved.parent.loaded


def test_the_shapes_of_a_roi_come_back_in_order(client: Any, update: Any) -> None:
    roi = roi_with_mask(make_image(client, SMALL), 0, 0, MASK, z=0)
    for z in (1, None):
        roi.addShape(roi_with_mask(1, z or 3, 1, MASK, z=z).copyShapes()[0])
    saved = update.saveAndReturnObject(roi)
    assert [s.theZ.val if s.theZ is not None else None for s in saved.copyShapes()] == [0, 1, None]
    assert all(bytes(s.getBytes()) == bytes(roi.copyShapes()[0].getBytes()) for s in saved.copyShapes())


def test_many_are_saved_or_none(update: Any, query: Any) -> None:
    good, bad = model.DatasetI(), model.DatasetI()
    good.setName(rstring("all-or-nothing"))
    with pytest.raises(omero.ValidationException):
        update.saveCollection([good, bad])
    params = omero.sys.ParametersI().addString("name", "all-or-nothing")
    assert query.findAllByQuery("select d from Dataset d where d.name = :name", params) == []


def test_ids_come_in_the_order_of_what_was_sent(client: Any, update: Any) -> None:
    image = make_image(client, SMALL)
    rois = [roi_with_mask(image, n, 0, MASK, text=str(n)) for n in range(4)]
    ids = update.saveAndReturnIds(rois)
    found = client.sf.getRoiService().findByImage(image, None).rois
    assert {r.id.val: r.copyShapes()[0].textValue.val for r in found} == dict(zip(ids, "0123", strict=True))


# --- what is not taken


def test_a_link_twice_is_refused(client: Any, update: Any) -> None:
    number = dataset(update).id.val
    image = make_image(client, SMALL, dataset=number)
    with pytest.raises(omero.ValidationException):
        update.saveObject(link(number, image))


def test_a_link_to_nothing_is_refused(update: Any) -> None:
    with pytest.raises(omero.ValidationException):
        update.saveObject(link(dataset(update).id.val, 10**9))


def test_a_name_is_needed(update: Any) -> None:
    with pytest.raises(omero.ValidationException):
        update.saveObject(model.DatasetI())


def test_long_names_and_namespaces_are_taken(update: Any, query: Any) -> None:
    name = "[\u00e4'\"\U0001f52c] " * 40
    note = model.CommentAnnotationI()
    note.setNs(rstring(name))
    number = dataset(update, name).id.val
    assert query.get("Dataset", number).name.val == name
    assert update.saveAndReturnObject(note).ns.val == name


def test_a_nul_in_a_text_is_refused(update: Any) -> None:
    with pytest.raises(omero.ServerError):
        dataset(update, "a\0b")


@pytest.mark.parametrize("size", [0.0, -0.5])
def test_a_physical_size_must_be_positive(client: Any, update: Any, query: Any, size: float) -> None:
    pixels = query.get("Pixels", pixels_id(client, make_image(client, SMALL)))
    pixels.setPhysicalSizeX(model.LengthI(size, model.enums.UnitsLength.MICROMETER))
    with pytest.raises(omero.ValidationException):
        update.saveObject(pixels)


def test_physical_sizes_keep_their_unit(client: Any, update: Any, query: Any) -> None:
    pixels = query.get("Pixels", pixels_id(client, make_image(client, SMALL)))
    pixels.setPhysicalSizeZ(model.LengthI(250.0, model.enums.UnitsLength.NANOMETER))
    update.saveObject(pixels)
    back = query.get("Pixels", pixels.id.val).physicalSizeZ
    assert (back.getValue(), back.getUnit()) == (250.0, model.enums.UnitsLength.NANOMETER)


def test_the_wrong_type_for_a_property_does_not_leave_the_client(update: Any) -> None:
    made = model.DatasetI()
    with pytest.raises(Exception, match="invalid value"):
        made.setName(rint(3))
        update.saveObject(made)


def test_external_info_is_kept(client: Any, update: Any, query: Any) -> None:
    roi = roi_with_mask(make_image(client, SMALL), 0, 0, MASK)
    info = model.ExternalInfoI()
    info.setEntityId(rlong(3))
    info.setEntityType(rstring("com.glencoesoftware.ngff:multiscales"))
    info.setLsid(rstring("/data/labels"))
    roi.copyShapes()[0].details.externalInfo = info
    shape = update.saveAndReturnObject(roi).copyShapes()[0].id.val
    text = "select s from Shape s join fetch s.details.externalInfo where s.id = :id"
    found = query.findByQuery(text, omero.sys.ParametersI().addId(shape))
    assert found.details.externalInfo.lsid.val == "/data/labels"
