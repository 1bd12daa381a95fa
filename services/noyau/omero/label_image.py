"""Labels as a new image in OMERO beside the one they are about, in a pixel type that holds every label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from noyau.domain.geometry import VoxelSize
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import queries
from noyau.omero.bindings import omero_library
from noyau.omero.images import OmeroImage
from noyau.omero.line import Line
from noyau.omero.pixels import encode, label_type, stored_type

STRIP_BYTES = 32 * 2**20
"""A message may not be larger than 256 MB; planes beyond this size go in strips of rows."""
LONGEST_NAME = 255
_ORPHANED = "among your orphaned images"

ReadPlane = Callable[[int, int], np.ndarray]
"""Labels (y/x) of a time point and plane."""


@dataclass(frozen=True)
class LabelImage:
    """What is to be written.

    Attributes:
        source: the image that the labels are about.
        name: of the labels.
        description: by which the new image is found again.
        largest: the largest label.
        voxel_size: micrometres z/y/x, None where it is not known.
        read: gives the planes.
    """

    source: OmeroImage
    name: str
    description: str
    largest: int
    voxel_size: VoxelSize | None
    read: ReadPlane


def create_label_image(line: Line, wanted: LabelImage) -> int:
    """Makes the image, without pixels yet; returns its id."""
    rtypes = omero_library().rtypes
    depth, height, width = wanted.source.shape
    kind = label_type(wanted.largest)
    found = line.query.findByQuery("select t from PixelsType t where t.value = :value", queries.parameters(value=kind))
    name = f"{wanted.source.name[: LONGEST_NAME - len(wanted.name) - 3]} [{wanted.name}]"
    service = line.images
    number = service.createImage(
        width, height, depth, wanted.source.times, [0], found, name.replace("\0", ""), wanted.description
    )
    return int(rtypes.unwrap(number))


def write_planes(line: Line, image: int, wanted: LabelImage, check: Callable[[], None]) -> None:
    """Writes all planes; doing it again changes nothing. `check` raises when the work should stop."""
    pixels = pixels_of(line, image)
    dtype = stored_type(label_type(wanted.largest))
    depth, height, width = wanted.source.shape
    rows = max(1, STRIP_BYTES // (width * dtype.itemsize))
    line.drop_pixels(pixels)  # one that an earlier try left may be in any state
    store = line.pixels(pixels)
    try:
        for time in range(wanted.source.times):
            for z in range(depth):
                check()
                plane = wanted.read(time, z)
                for y in range(0, height, rows):
                    strip = plane[y : y + rows]
                    store.setTile(encode(strip, dtype), z, 0, time, 0, y, width, len(strip))
        store.save()
    finally:
        line.drop_pixels(pixels)


def place_beside(line: Line, image: int, source: OmeroUri) -> str:
    """Puts a new image into the datasets of its source; may be repeated.

    Returns:
        A sentence that says what could not be done, else an empty text.
    """
    omero = omero_library()
    datasets = queries.ids(line, "select l.parent.id from DatasetImageLink l where l.child.id = :id", id=source.id)
    there = queries.ids(line, "select l.parent.id from DatasetImageLink l where l.child.id = :id", id=image)
    refused = False
    for dataset in datasets:
        found = line.query.findByQuery("select d from Dataset d where d.id = :id", queries.parameters(id=dataset))
        if found is None or not found.getDetails().getPermissions().canLink():
            refused = True
        elif dataset not in there:
            link = omero.model.DatasetImageLinkI()
            link.setParent(omero.model.DatasetI(dataset, False))
            link.setChild(omero.model.ImageI(image, False))
            line.update.saveAndReturnObject(link)
    if refused:
        return f"You may not put the label image Image:{image} into the dataset of {source.title}; it is {_ORPHANED}."
    return "" if datasets else f"{source.title} is in no dataset; its label image Image:{image} is {_ORPHANED}."


def pixels_of(line: Line, image: int) -> int:
    """Id of an image's primary pixels."""
    return queries.ids(line, "select p.id from Pixels p where p.image.id = :id order by p.id", id=image)[0]


def describe(line: Line, image: int, wanted: LabelImage) -> None:
    """Physical sizes, the channel's name and its range; may be repeated.

    What is saved came whole from the server, with its collections unloaded.
    """
    omero = omero_library()
    pixels = pixels_of(line, image)
    if wanted.voxel_size is not None:
        unit = omero.model.enums.UnitsLength.MICROMETER
        found = line.query.get("Pixels", pixels)
        for axis, value in zip("ZYX", wanted.voxel_size, strict=True):
            if axis != "Z" or wanted.source.voxel_size is None or wanted.source.shape[0] > 1:
                getattr(found, f"setPhysicalSize{axis}")(omero.model.LengthI(float(value), unit))
        line.update.saveObject(found)
    hql = "select l from Channel c join c.logicalChannel l where c.pixels.id = :id"
    logical: Any = line.query.findByQuery(hql, queries.parameters(id=pixels))
    if logical is not None:
        logical.setName(omero.rtypes.rstring(wanted.name))
        line.update.saveObject(logical)
    line.images.setChannelGlobalMinMax(pixels, 0, 0.0, float(max(1, wanted.largest)))
