"""Rules of the server about who may see and change what, in private, read-only, read-annotate and read-write groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import omero
import pytest
from omero import model
from omero.rtypes import rstring
from omero_seed import Seed, asymmetric, make_image, roi_with_mask

MASK = asymmetric((3, 5), "uint8") > 90
ALL_GROUPS = {"omero.group": "-1"}

# Group with somebody else's image -> the user who looks at it, and what that user may do.
RIGHTS = {
    "readonly": ("alice", {"canAnnotate": False, "canEdit": False, "canLink": False, "canDelete": False}),
    "lab": ("bob", {"canAnnotate": True, "canEdit": False, "canLink": False, "canDelete": False}),
    "open": ("bob", {"canAnnotate": True, "canEdit": True, "canLink": True, "canDelete": True}),
}


def comment_on(image: int, text: str = "note") -> Any:
    note = model.CommentAnnotationI()
    note.setTextValue(rstring(text))
    link = model.ImageAnnotationLinkI()
    link.setParent(model.ImageI(image, False))
    link.setChild(note)
    return link


def dataset_of(client: Any, name: str = "mine") -> int:
    dataset = model.DatasetI()
    dataset.setName(rstring(name))
    return int(client.sf.getUpdateService().saveAndReturnObject(dataset).id.val)


def dataset_link(dataset: int, image: int) -> Any:
    link = model.DatasetImageLinkI()
    link.setParent(model.DatasetI(dataset, False))
    link.setChild(model.ImageI(image, False))
    return link


@pytest.mark.parametrize("group", list(RIGHTS))
def test_the_rights_on_an_image_of_somebody_else(login: Callable[..., Any], seed: Seed, group: str) -> None:
    user, expected = RIGHTS[group]
    image = login(user, group).sf.getQueryService().get("Image", seed.images[group].id)
    rights = image.details.permissions
    assert {name: getattr(rights, name)() for name in expected} == expected


def test_an_owner_may_do_everything(login: Callable[..., Any], seed: Seed) -> None:
    rights = login("bob", "readonly").sf.getQueryService().get("Image", seed.images["readonly"].id).details.permissions
    assert rights.canAnnotate()
    assert rights.canEdit()
    assert rights.canLink()
    assert rights.canDelete()


@pytest.mark.parametrize("operation", ["find", "get"])
def test_asking_for_an_object_that_may_not_be_read_is_a_violation(
    login: Callable[..., Any], seed: Seed, operation: str
) -> None:
    query = login("alice", "private").sf.getQueryService()
    with pytest.raises(omero.SecurityViolation):
        getattr(query, operation)("Image", seed.images["private"].id)


def test_an_absent_object_is_none_to_find_and_an_error_to_get(login: Callable[..., Any]) -> None:
    query = login("alice", "lab").sf.getQueryService()
    assert query.find("Image", 10**9) is None
    with pytest.raises(omero.ValidationException):
        query.get("Image", 10**9)


def test_queries_leave_out_what_may_not_be_read(login: Callable[..., Any], seed: Seed) -> None:
    query = login("alice", "private").sf.getQueryService()
    wanted = omero.sys.ParametersI().addId(seed.images["private"].id)
    assert query.findAllByQuery("select i from Image i where i.id = :id", wanted) == []


def test_another_group_is_seen_in_its_context_only(login: Callable[..., Any], seed: Seed) -> None:
    query = login("alice", "lab").sf.getQueryService()
    wanted = omero.sys.ParametersI().addId(seed.images["readonly"].id)
    text = "select i from Image i where i.id = :id"
    assert query.findAllByQuery(text, wanted) == []
    assert len(query.findAllByQuery(text, wanted, {"omero.group": str(seed.group_ids["readonly"])})) == 1
    assert len(query.findAllByQuery(text, wanted, ALL_GROUPS)) == 1


def test_a_group_that_the_user_is_not_in(login: Callable[..., Any], seed: Seed) -> None:
    query = login("carol").sf.getQueryService()
    with pytest.raises(omero.SecurityViolation):
        query.findAll("Image", None, {"omero.group": str(seed.group_ids["lab"])})


def test_acting_as_somebody_else_is_a_violation(login: Callable[..., Any], seed: Seed) -> None:
    query = login("alice", "lab").sf.getQueryService()
    with pytest.raises(omero.SecurityViolation):
        query.findAll("Image", None, {"omero.user": str(seed.user_ids["bob"])})


def test_an_administrator_reads_every_group(login: Callable[..., Any], seed: Seed) -> None:
    client = login(seed.powerless)
    assert client.sf.getQueryService().find("Image", seed.images["private"].id, ALL_GROUPS) is not None


def test_an_administrator_without_privileges_changes_nothing(login: Callable[..., Any], seed: Seed) -> None:
    client = login(seed.powerless)
    here = {"omero.group": str(seed.group_ids["lab"])}
    image = client.sf.getQueryService().get("Image", seed.images["lab"].id, here)
    image.setName(rstring("changed"))
    with pytest.raises(omero.SecurityViolation):
        client.sf.getUpdateService().saveObject(image, here)


@pytest.mark.parametrize(("group", "allowed"), [("readonly", False), ("lab", True), ("open", True)])
def test_roi_on_an_image_of_somebody_else(login: Callable[..., Any], seed: Seed, group: str, allowed: bool) -> None:
    update = login(RIGHTS[group][0], group).sf.getUpdateService()
    roi = roi_with_mask(seed.images[group].id, 1, 2, MASK)
    if allowed:
        assert update.saveAndReturnObject(roi).id.val > 0
    else:
        with pytest.raises(omero.SecurityViolation):
            update.saveObject(roi)


@pytest.mark.parametrize(("group", "allowed"), [("readonly", False), ("lab", True), ("open", True)])
def test_annotation_on_an_image_of_somebody_else(
    login: Callable[..., Any], seed: Seed, group: str, allowed: bool
) -> None:
    update = login(RIGHTS[group][0], group).sf.getUpdateService()
    if allowed:
        assert update.saveAndReturnObject(comment_on(seed.images[group].id)).id.val > 0
    else:
        with pytest.raises(omero.SecurityViolation):
            update.saveObject(comment_on(seed.images[group].id))


@pytest.mark.parametrize(("group", "allowed"), [("readonly", False), ("lab", False), ("open", True)])
def test_own_image_into_a_dataset_of_somebody_else(
    login: Callable[..., Any], seed: Seed, group: str, allowed: bool
) -> None:
    client = login(RIGHTS[group][0], group)
    image = make_image(client, asymmetric((1, 1, 1, 4, 6), "uint8"))
    link = dataset_link(seed.images[group].dataset, image)
    if allowed:
        client.sf.getUpdateService().saveObject(link)
    else:
        with pytest.raises(omero.SecurityViolation):
            client.sf.getUpdateService().saveObject(link)


@pytest.mark.parametrize(("group", "allowed"), [("readonly", False), ("lab", False), ("open", True)])
def test_renaming_an_image_of_somebody_else(login: Callable[..., Any], seed: Seed, group: str, allowed: bool) -> None:
    owner = login(seed.images[group].owner, group)
    image = make_image(owner, asymmetric((1, 1, 1, 4, 6), "uint8"), "before")
    client = login(RIGHTS[group][0], group)
    loaded = client.sf.getQueryService().get("Image", image)
    loaded.setName(rstring("after"))
    if allowed:
        client.sf.getUpdateService().saveObject(loaded)
    else:
        with pytest.raises(omero.SecurityViolation):
            client.sf.getUpdateService().saveObject(loaded)
    name = owner.sf.getQueryService().get("Image", image).name.val
    assert name == ("after" if allowed else "before")


def test_joining_objects_of_different_groups_is_refused(login: Callable[..., Any], seed: Seed) -> None:
    client = login("alice", "lab")
    here = dataset_of(client)
    with pytest.raises(omero.SecurityViolation):
        client.sf.getUpdateService().saveObject(dataset_link(here, seed.images["open"].id), ALL_GROUPS)
    with pytest.raises(omero.SecurityViolation):
        client.sf.getUpdateService().saveObject(dataset_link(here, seed.images["open"].id))


def test_in_all_groups_at_once_an_update_is_a_wrong_use(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    dataset = client.sf.getQueryService().get("Dataset", dataset_of(client))
    dataset.setName(rstring("renamed"))
    with pytest.raises(omero.ApiUsageException):
        client.sf.getUpdateService().saveObject(dataset, ALL_GROUPS)


@pytest.mark.parametrize("what", ["roi", "link"])
def test_in_all_groups_at_once_a_roi_or_link_is_a_violation(login: Callable[..., Any], seed: Seed, what: str) -> None:
    image = seed.images["lab"].id
    new = roi_with_mask(image, 0, 0, MASK) if what == "roi" else comment_on(image)
    with pytest.raises(omero.SecurityViolation, match="Group is ------"):
        login("alice", "lab").sf.getUpdateService().saveObject(new, ALL_GROUPS)


def test_in_all_groups_at_once_nothing_new_is_made(login: Callable[..., Any]) -> None:
    dataset = model.DatasetI()
    dataset.setName(rstring("nowhere"))
    with pytest.raises(omero.ServerError):
        login("alice", "lab").sf.getUpdateService().saveObject(dataset, ALL_GROUPS)


def test_objects_belong_to_who_made_them(login: Callable[..., Any], seed: Seed) -> None:
    dataset = model.DatasetI()
    dataset.setName(rstring("theirs"))
    dataset.details.owner = model.ExperimenterI(seed.user_ids["bob"], False)
    with pytest.raises(omero.SecurityViolation):
        login("alice", "lab").sf.getUpdateService().saveObject(dataset)


def test_the_context_of_a_call_decides_the_group_of_what_it_makes(login: Callable[..., Any], seed: Seed) -> None:
    client = login("alice", "lab")
    dataset = model.DatasetI()
    dataset.setName(rstring("elsewhere"))
    there = {"omero.group": str(seed.group_ids["open"])}
    saved = client.sf.getUpdateService().saveAndReturnObject(dataset, there)
    assert saved.details.group.id.val == seed.group_ids["open"]
