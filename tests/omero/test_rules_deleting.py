"""Rules of the server about deleting: what goes along, what stays, and that it is all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import omero
import omero.callbacks
import pytest
from omero import model
from omero.cmd import graphs
from omero.rtypes import rstring
from omero_seed import Seed, asymmetric, make_image, pixels_id, roi_with_mask

MASK = asymmetric((3, 5), "uint8") > 90
SMALL = asymmetric((1, 1, 2, 4, 6), "uint8")


@pytest.fixture
def client(login: Callable[..., Any]) -> Any:
    return login("alice", "lab")


def command(client: Any, targets: dict[str, list[int]], *, dry_run: bool = False, options: Any = None) -> Any:
    request = omero.cmd.Delete2(targetObjects=targets, dryRun=dry_run)
    request.childOptions = options or []
    handle = client.sf.submit(request)
    callback = omero.callbacks.CmdCallbackI(client, handle)
    try:
        callback.loop(100, 100)
        return callback.getResponse()
    finally:
        callback.close(True)


def annotate(client: Any, image: int, note: Any) -> int:
    link = model.ImageAnnotationLinkI()
    link.setParent(model.ImageI(image, False))
    link.setChild(note)
    return int(client.sf.getUpdateService().saveAndReturnObject(link).child.id.val)


def comment(text: str = "note") -> Any:
    note = model.CommentAnnotationI()
    note.setTextValue(rstring(text))
    return note


def there(client: Any, entity: str, number: int) -> bool:
    return client.sf.getQueryService().find(entity, number) is not None


def container(client: Any, name: str = "set") -> int:
    made = model.DatasetI()
    made.setName(rstring(name))
    return int(client.sf.getUpdateService().saveAndReturnObject(made).id.val)


def test_an_image_goes_with_pixels_rois_and_links(client: Any) -> None:
    dataset = container(client)
    image = make_image(client, SMALL, dataset=dataset)
    pixels = pixels_id(client, image)
    roi = client.sf.getUpdateService().saveAndReturnObject(roi_with_mask(image, 0, 0, MASK))
    response = command(client, {"Image": [image]})
    assert response.deletedObjects["ome.model.core.Image"] == [image]
    assert response.deletedObjects["ome.model.core.Pixels"] == [pixels]
    assert response.deletedObjects["ome.model.roi.Roi"] == [roi.id.val]
    assert not there(client, "Image", image)
    assert not there(client, "Pixels", pixels)
    assert not there(client, "Shape", roi.copyShapes()[0].id.val)
    assert there(client, "Dataset", dataset)


def test_danger_annotations_of_others_go_with_an_image(client: Any, login: Callable[..., Any]) -> None:
    image = make_image(client, SMALL)
    bob = login("bob", "lab")
    note = annotate(bob, image, comment("of bob"))
    command(client, {"Image": [image]})
    assert not there(bob, "Annotation", note)


def test_an_annotation_on_something_else_stays(client: Any) -> None:
    first, second = make_image(client, SMALL), make_image(client, SMALL)
    note = annotate(client, first, comment())
    annotate(client, second, model.CommentAnnotationI(note, False))
    command(client, {"Image": [first]})
    assert there(client, "Annotation", note)


def test_danger_a_dataset_goes_with_images_that_are_nowhere_else(client: Any) -> None:
    doomed, other = container(client, "doomed"), container(client, "other")
    lonely = make_image(client, SMALL, dataset=doomed)
    shared = make_image(client, SMALL, dataset=doomed)
    link = model.DatasetImageLinkI()
    link.setParent(model.DatasetI(other, False))
    link.setChild(model.ImageI(shared, False))
    client.sf.getUpdateService().saveObject(link)
    command(client, {"Dataset": [doomed]})
    assert not there(client, "Image", lonely)
    assert there(client, "Image", shared)


def test_excluded_classes_stay(client: Any) -> None:
    dataset = container(client)
    image = make_image(client, SMALL, dataset=dataset)
    command(client, {"Dataset": [dataset]}, options=[graphs.ChildOption(excludeType=["Image"])])
    assert not there(client, "Dataset", dataset)
    assert there(client, "Image", image)


def test_a_dry_run_says_what_would_go_and_changes_nothing(client: Any) -> None:
    image = make_image(client, SMALL)
    note = annotate(client, image, comment())
    response = command(client, {"Image": [image]}, dry_run=True)
    assert response.deletedObjects["ome.model.core.Image"] == [image]
    assert response.deletedObjects["ome.model.annotations.CommentAnnotation"] == [note]
    assert len(response.deletedObjects["ome.model.annotations.ImageAnnotationLink"]) == 1
    assert there(client, "Image", image)
    assert there(client, "Annotation", note)


def test_an_annotation_goes_with_its_links(client: Any) -> None:
    image = make_image(client, SMALL)
    note = annotate(client, image, comment())
    command(client, {"Annotation": [note]})
    text = "select l from ImageAnnotationLink l where l.parent.id = :id"
    assert client.sf.getQueryService().findAllByQuery(text, omero.sys.ParametersI().addId(image)) == []
    assert there(client, "Image", image)


def test_a_file_goes_with_its_annotation(client: Any) -> None:
    file = model.OriginalFileI()
    file.setName(rstring("a.csv"))
    file.setPath(rstring("/"))
    attached = model.FileAnnotationI()
    attached.setFile(file)
    image = make_image(client, SMALL)
    link = model.ImageAnnotationLinkI()
    link.setParent(model.ImageI(image, False))
    link.setChild(attached)
    saved = client.sf.getUpdateService().saveAndReturnObject(link)
    command(client, {"Annotation": [saved.child.id.val]})
    assert not there(client, "OriginalFile", saved.child.file.id.val)


def test_something_that_is_not_there_is_an_error_and_nothing_is_deleted(client: Any) -> None:
    image = make_image(client, SMALL)
    response = command(client, {"Image": [image, 10**9]})
    assert isinstance(response, omero.cmd.GraphException)
    assert there(client, "Image", image)


def test_deleting_twice_is_an_error(client: Any) -> None:
    image = make_image(client, SMALL)
    assert isinstance(command(client, {"Image": [image]}), omero.cmd.Delete2Response)
    assert isinstance(command(client, {"Image": [image]}), omero.cmd.GraphException)


@pytest.mark.parametrize(("group", "allowed"), [("readonly", False), ("lab", False), ("open", True)])
def test_deleting_an_image_of_somebody_else(login: Callable[..., Any], seed: Seed, group: str, allowed: bool) -> None:
    owner = login(seed.images[group].owner, group)
    image = make_image(owner, SMALL)
    other = login("alice" if seed.images[group].owner == "bob" else "bob", group)
    response = command(other, {"Image": [image]})
    assert isinstance(response, omero.cmd.Delete2Response) == allowed
    assert there(owner, "Image", image) != allowed


def test_own_annotations_on_images_of_others_may_be_deleted(login: Callable[..., Any], seed: Seed) -> None:
    bob = login("bob", "lab")
    note = annotate(bob, seed.images["lab"].id, comment("mine"))
    assert isinstance(command(bob, {"Annotation": [note]}), omero.cmd.Delete2Response)


def test_annotations_of_others_may_not(client: Any, login: Callable[..., Any], seed: Seed) -> None:
    bob = login("bob", "lab")
    note = annotate(client, seed.images["lab"].id, comment("of alice"))
    assert isinstance(command(bob, {"Annotation": [note]}), omero.cmd.GraphException)
    assert there(bob, "Annotation", note)


def test_rois_are_deleted_with_their_shapes(client: Any) -> None:
    update = client.sf.getUpdateService()
    image = make_image(client, SMALL)
    ids = update.saveAndReturnIds([roi_with_mask(image, n, 0, MASK) for n in range(5)])
    response = command(client, {"Roi": list(ids)})
    assert sorted(response.deletedObjects["ome.model.roi.Roi"]) == sorted(ids)
    assert client.sf.getRoiService().findByImage(image, None).rois == []


def test_an_image_in_a_plate_is_not_deleted_alone(client: Any) -> None:
    image = make_image(client, SMALL)
    plate, well, sample = model.PlateI(), model.WellI(), model.WellSampleI()
    plate.setName(rstring("plate"))
    sample.setImage(model.ImageI(image, False))
    well.addWellSample(sample)
    plate.addWell(well)
    saved = client.sf.getUpdateService().saveAndReturnObject(plate)
    assert isinstance(command(client, {"Image": [image]}), omero.cmd.GraphException)
    assert isinstance(command(client, {"Plate": [saved.id.val]}), omero.cmd.Delete2Response)
    assert not there(client, "Image", image)


def test_giving_away_needs_the_privilege_and_changes_the_owner(
    login: Callable[..., Any], seed: Seed, omero_place: Any
) -> None:
    alice, root = login("alice", "lab"), login(omero_place.admin)
    image = make_image(alice, SMALL)
    request = omero.cmd.Chown2(targetObjects={"Image": [image]}, userId=seed.user_ids["bob"])
    here = {"omero.group": str(seed.group_ids["lab"])}
    for client, dry_run, owner in ((alice, False, "alice"), (root, True, "alice"), (root, False, "bob")):
        request.dryRun = dry_run
        handle = client.sf.submit(request, here)
        callback = omero.callbacks.CmdCallbackI(client, handle)
        callback.loop(100, 100)
        assert isinstance(callback.getResponse(), omero.cmd.ERR) == (client is alice)
        callback.close(True)
        found = alice.sf.getQueryService().get("Image", image)
        assert found.details.owner.id.val == seed.user_ids[owner]


@pytest.mark.unknown_on_purpose
def test_a_command_that_is_not_simulated_is_refused_and_remembered(client: Any, omero_place: Any) -> None:
    if not omero_place.control:
        pytest.skip("a real server knows it")
    response = client.sf.submit(omero.cmd.DiskUsage2()).getResponse()
    assert isinstance(response, omero.cmd.ERR)
    assert response.name == "not-simulated"
    assert omero_place.order("/violations", method="GET") == ["command DiskUsage2"]
