"""Objects as ROIs: one Roi per object, with a Mask or Polygon per plane, or one Point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from noyau.domain.geometry import Index3
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import queries
from noyau.omero.bindings import omero_library
from noyau.omero.edits import with_count
from noyau.omero.images import MULTISCALES
from noyau.omero.line import Line
from noyau.omero.masks import object_masks
from noyau.omero.outlines import centre_of, object_outlines
from noyau.omero.removing import remove

BATCH_ROIS = 200
BATCH_BYTES = 16 * 2**20
_NAME = "nucleus "
_ENTITY = 3
"""Any number: ExternalInfo wants one."""
_OF_PART = (
    "select r.id, r.name, r.description from Roi r "
    "where r.image.id = :id and r.details.owner.id = :owner and r.description like :text order by r.id"
)


@dataclass(frozen=True)
class ObjectCrop:
    """An object with the labels around it.

    Attributes:
        label: its number.
        time: time point.
        crop: labels z/y/x of its bounding box; other numbers may be in it.
        origin: z/y/x of the crop's first voxel.
        colour: red, green, blue, alpha, 0 to 255.
    """

    label: int
    time: int
    crop: np.ndarray
    origin: Index3
    colour: tuple[int, int, int, int]


Kind = Literal["masks", "polygons", "points"]


def make_roi(item: ObjectCrop, kind: Kind, image: int, description: str) -> tuple[Any, int]:
    """A Roi that is not saved yet, and about how many bytes it takes on the way.

    Args:
        item: the object.
        kind: what its shapes are.
        image: id of the image.
        description: the run and the part of it.
    """
    omero = omero_library()
    rstring = omero.rtypes.rstring
    roi = omero.model.RoiI()
    roi.setImage(omero.model.ImageI(image, False))
    roi.setName(rstring(f"{_NAME}{item.label}"))
    shapes = list(_shapes(item, kind))
    roi.setDescription(rstring(with_count(description, len(shapes))))
    size = 400
    for shape, weight in shapes:
        shape.setTheT(omero.rtypes.rint(item.time))
        shape.setTextValue(rstring(str(item.label)))
        shape.setFillColor(omero.rtypes.rint(packed_colour(item.colour)))
        shape.setStrokeColor(omero.rtypes.rint(packed_colour((*item.colour[:3], 255))))
        roi.addShape(shape)
        size += weight + 200
    return roi, size


def make_reference(image: int, height: int, width: int, path: str, description: str) -> Any:
    """A Roi that is not saved yet and points to labels in an OME-Zarr: one empty Mask over the plane.

    Readers of Zarr-backed images find the labels by the mask's ExternalInfo (omero-zarr-pixel-buffer).

    Args:
        image: id of the image.
        height, width: of its planes.
        path: of the label group.
        description: the run and the part of it.
    """
    omero = omero_library()
    rtypes, model = omero.rtypes, omero.model
    info = model.ExternalInfoI()
    info.setEntityId(rtypes.rlong(_ENTITY))
    info.setEntityType(rtypes.rstring(MULTISCALES))
    info.setLsid(rtypes.rstring(path))
    mask = model.MaskI()
    for name, value in (("X", 0), ("Y", 0), ("Width", width), ("Height", height)):
        getattr(mask, f"set{name}")(rtypes.rdouble(float(value)))
    mask.setBytes(bytes(-(-height * width // 8)))
    mask.getDetails().setExternalInfo(info)
    roi = model.RoiI()
    roi.setImage(model.ImageI(image, False))
    roi.setName(rtypes.rstring("labels in the OME-Zarr"))
    roi.setDescription(rtypes.rstring(with_count(description, 1)))
    roi.addShape(mask)
    return roi


def save_rois(line: Line, rois: Sequence[Any]) -> list[int]:
    """Saves ROIs, all or none of them; returns their ids in the same order."""
    return [int(number) for number in line.update.saveAndReturnIds(list(rois))]


def saved_rois(line: Line, image: OmeroUri, description: str, count: int) -> dict[int, int] | None:
    """ROI ids by label of a part whose save may have got lost: None where it did, and then nothing of it is left.

    Args:
        line: the connection.
        image: the image.
        description: of the part.
        count: how many ROIs it has.
    """
    rows = queries.rows(line, _OF_PART, id=image.id, owner=line.user_id, text=f"{description} shapes %")
    # An underscore in the text stands for any character in the question.
    found = [(number, name) for number, name, text in rows if text.startswith(f"{description} ")]
    if len(found) == count:
        return {int(name.removeprefix(_NAME)): int(number) for number, name in found}
    remove(line, {"Roi": [int(number) for number, _ in found]})
    return None


def packed_colour(rgba: Sequence[int]) -> int:
    """Red, green, blue and alpha in one signed 32-bit number, as OMERO keeps colours."""
    red, green, blue, alpha = rgba
    value = red << 24 | green << 16 | blue << 8 | alpha
    return value - 2**32 if value >= 2**31 else value


def _shapes(item: ObjectCrop, kind: Kind) -> Iterator[tuple[Any, int]]:
    """Shapes and their size in bytes."""
    model, rtypes = omero_library().model, omero_library().rtypes
    if kind == "masks":
        for mask in object_masks(item.crop, item.label, item.origin):
            shape = model.MaskI()
            shape.setX(rtypes.rdouble(mask.x))
            shape.setY(rtypes.rdouble(mask.y))
            shape.setWidth(rtypes.rdouble(mask.width))
            shape.setHeight(rtypes.rdouble(mask.height))
            shape.setBytes(mask.data)
            shape.setTheZ(rtypes.rint(mask.z))
            yield shape, len(mask.data)
    elif kind == "polygons":
        for outline in object_outlines(item.crop, item.label, item.origin):
            shape = model.PolygonI()
            shape.setPoints(rtypes.rstring(outline.text))
            shape.setTheZ(rtypes.rint(outline.z))
            yield shape, len(outline.text)
    else:
        z, x, y = centre_of(item.crop, item.label, item.origin)
        shape = model.PointI()
        shape.setX(rtypes.rdouble(x))
        shape.setY(rtypes.rdouble(y))
        shape.setTheZ(rtypes.rint(z))
        yield shape, 0
