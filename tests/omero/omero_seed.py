"""Users, groups and images that every OMERO test may count on, made through the client's own interface.

The names carry a word that no other run has, so that a real server can be used again and again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import Glacier2
import numpy as np
import omero
from omero import model
from omero.rtypes import rbool, rdouble, rint, rstring, unwrap
from omero_place import Place

PASSWORD = "user-secret"
GROUPS = {"private": "rw----", "readonly": "rwr---", "lab": "rwra--", "open": "rwrw--"}

# Who is in which groups, the default one first.
MEMBERS = {
    "alice": ("lab", "readonly", "open", "private"),
    "bob": ("lab", "readonly", "open", "private"),
    "carol": ("private",),
}
WIRE_TYPES = {
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "f4": "float",
    "f8": "double",
}


@dataclass(frozen=True)
class Image:
    """An image of the seed.

    Attributes:
        id, pixels: Ids of the image and of its pixels.
        owner, group: Short names.
        array: Its values in the order t, c, z, y, x; no axis has the length of another and no plane is its own mirror.
        dataset, project: Ids of the containers.
    """

    id: int
    pixels: int
    owner: str
    group: str
    array: np.ndarray
    dataset: int
    project: int


@dataclass(frozen=True)
class Seed:
    """What is there.

    Attributes:
        users, groups: Short name to the name on the server.
        user_ids, group_ids: Short name to id.
        images: By the short name of the group that they are in; "private" is Carol's, "readonly" Bob's, the others
        Alice's. service: Name of an administrator who has the privilege Sudo and no other.
        powerless: Name of an administrator without any privilege.
    """

    users: Mapping[str, str]
    groups: Mapping[str, str]
    user_ids: Mapping[str, int]
    group_ids: Mapping[str, int]
    images: Mapping[str, Image]
    service: str
    powerless: str
    password: str = PASSWORD


def connect(place: Place, user: str, password: str, group: str | None = None, *, tls: bool = False) -> Any:
    """A client with a session of that user; plain TCP unless there is none or `tls` is asked for."""
    client = omero.client(place.host, place.port) if tls or not place.tcp else omero.client(place.tcp)
    if group is not None:
        client.ic.getImplicitContext().put("omero.group", group)
    try:
        client.createSession(user, password)
        if group is not None:
            client.ic.getImplicitContext().remove("omero.group")
    except BaseException:
        client.__del__()
        raise
    return client


def ends(place: Place, key: str) -> bool:
    """Whether a session ends by itself; closing it takes a moment, in which joining it would keep it alive."""
    for pause in (2, 3, 4, 5, 6, 7):
        time.sleep(pause)
        client = omero.client(place.tcp) if place.tcp else omero.client(place.host, place.port)
        try:
            client.joinSession(key)
        except Glacier2.PermissionDeniedException:
            return True
        finally:
            client.__del__()
    return False


def make_seed(place: Place) -> Seed:
    """Makes users, groups and images."""
    word = uuid.uuid4().hex[:6]
    root = connect(place, place.admin, place.password)
    try:
        admin = root.sf.getAdminService()
        groups = {name: f"{name}-{word}" for name in GROUPS}
        group_ids = {name: admin.createGroup(_group(groups[name], mode)) for name, mode in GROUPS.items()}
        users = {name: f"{name}-{word}" for name in MEMBERS}
        user_ids = {}
        for name, members in MEMBERS.items():
            rows = [model.ExperimenterGroupI(group_ids[g], False) for g in members]
            # The group of all users is among the others, or the user could not log in.
            rows.append(model.ExperimenterGroupI(admin.getSecurityRoles().userGroupId, False))
            user = _user(users[name], name)
            user_ids[name] = admin.createExperimenterWithPassword(user, rstring(PASSWORD), rows[0], rows[1:])
        service, powerless = f"noyau-{word}", f"powerless-{word}"
        for name, privileges in ((service, ["Sudo"]), (powerless, [])):
            granted = [_privilege(root, p) for p in privileges]
            admin.createRestrictedSystemUserWithPassword(_user(name, "Service"), granted, rstring(PASSWORD))
    finally:
        root.closeSession()
    images = {}
    for group, owner in (("lab", "alice"), ("readonly", "bob"), ("private", "carol"), ("open", "alice")):
        client = connect(place, users[owner], PASSWORD, groups[group])
        try:
            images[group] = _seed_image(client, owner, group)
        finally:
            client.closeSession()
    return Seed(users, groups, user_ids, group_ids, images, service, powerless)


def make_image(
    client: Any,
    array: np.ndarray,
    name: str = "cells",
    *,
    channels: Sequence[str] = (),
    pixel_size: Sequence[float] | None = (0.5, 0.25, 0.125),
    dataset: int | None = None,
) -> int:
    """A new image of the session's user and group.

    Args:
        client: A client with a session.
        array: Values in the order t, c, z, y, x.
        name: Of the image.
        channels: Their names.
        pixel_size: Micrometres in z, y, x; None for an image that does not say.
        dataset: Id of a dataset to put it into.

    Returns:
        Its id.
    """
    factory = client.sf
    wire = WIRE_TYPES[array.dtype.str[1:]]
    kind = factory.getTypesService().getEnumeration("PixelsType", wire)
    times, colours, planes, height, width = array.shape
    numbers = list(range(colours))
    image = factory.getPixelsService().createImage(width, height, planes, times, numbers, kind, name, "seeded").val
    write_pixels(client, pixels_id(client, image), array)
    if channels or pixel_size:
        _describe(client, image, channels, pixel_size)
    if dataset is not None:
        link = model.DatasetImageLinkI()
        link.setParent(model.DatasetI(dataset, False))
        link.setChild(model.ImageI(image, False))
        factory.getUpdateService().saveObject(link)
    return int(image)


def write_pixels(client: Any, pixels: int, array: np.ndarray) -> None:
    """Writes every plane; the store wants big-endian bytes."""
    store = client.sf.createRawPixelsStore()
    try:
        store.setPixelsId(pixels, False)
        big = array.astype(array.dtype.newbyteorder(">"))
        for t, c, z in np.ndindex(*array.shape[:3]):
            store.setPlane(big[t, c, z].tobytes(), z, c, t)
        store.save()
    finally:
        store.close()


def pixels_id(client: Any, image: int) -> int:
    """Id of the pixels of an image."""
    rows = client.sf.getQueryService().projection(
        "select p.id from Pixels p where p.image.id = :id", omero.sys.ParametersI().addId(image)
    )
    return int(unwrap(rows[0][0]))


def asymmetric(shape: Sequence[int], dtype: str, seed: int = 0) -> np.ndarray:
    """Values of all sizes in which every mistake of byte order, axis or direction shows."""
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return generator.normal(size=shape).astype(dtype)
    high = np.iinfo(dtype).max
    return generator.integers(0, high, size=shape, dtype=dtype, endpoint=True)


def _seed_image(client: Any, owner: str, group: str) -> Image:
    update = client.sf.getUpdateService()
    project, dataset = model.ProjectI(), model.DatasetI()
    project.setName(rstring(f"project of {owner}"))
    dataset.setName(rstring(f"dataset of {owner}"))
    link = model.ProjectDatasetLinkI()
    link.setParent(project)
    link.setChild(dataset)
    saved = update.saveAndReturnObject(link)
    project_id, dataset_id = saved.parent.id.val, saved.child.id.val
    array = asymmetric((2, 2, 3, 48, 64), "uint16", seed=len(group))
    image = make_image(client, array, f"cells of {owner}", channels=("DAPI", "GFP"), dataset=dataset_id)
    return Image(image, pixels_id(client, image), owner, group, array, dataset_id, project_id)


def _describe(client: Any, image: int, channels: Sequence[str], pixel_size: Sequence[float] | None) -> None:
    query, update = client.sf.getQueryService(), client.sf.getUpdateService()
    params = omero.sys.ParametersI().addId(image)
    text = "select p from Pixels p join fetch p.channels c join fetch c.logicalChannel where p.image.id = :id"
    pixels = query.findByQuery(text, params)
    if pixel_size is not None:
        unit = model.enums.UnitsLength.MICROMETER
        for axis, size in zip("ZYX", pixel_size, strict=True):
            getattr(pixels, f"setPhysicalSize{axis}")(model.LengthI(size, unit))
    for channel, name in zip(pixels.copyChannels(), channels, strict=False):
        channel.logicalChannel.setName(rstring(name))
    update.saveObject(pixels)


def _group(name: str, mode: str) -> Any:
    group = model.ExperimenterGroupI()
    group.setName(rstring(name))
    group.setLdap(rbool(False))
    group.details.permissions = model.PermissionsI(mode)
    return group


def _user(name: str, first: str) -> Any:
    user = model.ExperimenterI()
    user.setOmeName(rstring(name))
    user.setFirstName(rstring(first.title()))
    user.setLastName(rstring("Test"))
    user.setLdap(rbool(False))
    return user


def _privilege(client: Any, value: str) -> Any:
    return client.sf.getTypesService().getEnumeration("AdminPrivilege", value)


def roi_with_mask(image: int, x: int, y: int, mask: np.ndarray, z: int | None = 0, text: str = "") -> Any:
    """An unsaved ROI with one mask whose bounding box starts at x, y."""
    shape = model.MaskI()
    for name, value in (("X", x), ("Y", y), ("Width", mask.shape[1]), ("Height", mask.shape[0])):
        getattr(shape, f"set{name}")(rdouble(value))
    if z is not None:
        shape.setTheZ(rint(z))
    shape.setTextValue(rstring(text))
    shape.setBytes(np.packbits(mask.astype(bool)).tobytes())
    roi = model.RoiI()
    roi.setImage(model.ImageI(image, False))
    roi.addShape(shape)
    return roi
