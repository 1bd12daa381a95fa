"""What OMERO knows of an image, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import lengths, queries
from noyau.omero.line import Line

MULTISCALES = "com.glencoesoftware.ngff:multiscales"
"""`entityType` of the ExternalInfo of an image whose pixels are an OME-Zarr; its `lsid` is the path."""


@dataclass(frozen=True)
class OmeroImage:
    """An image with its primary pixels.

    Attributes:
        uri: of the image.
        name: as people see it; any text.
        pixels: id of the primary pixels.
        pixel_type: OMERO's name, e.g. `uint16`.
        shape: z/y/x of the finest level.
        channels: names in order, as given; empty texts where there is no name.
        times: number of time points.
        voxel_size: micrometres z/y/x, None where OMERO does not know.
        zarr: path of the OME-Zarr behind the image, None where there is none.
        may_annotate: the session's user may attach annotations and draw ROIs.
        may_link: the user may put it into containers of their own.
        may_edit: the user may change the image itself.
    """

    uri: OmeroUri
    name: str
    pixels: int
    pixel_type: str
    shape: Index3
    channels: tuple[str, ...]
    times: int
    voxel_size: VoxelSize | None
    zarr: str | None
    may_annotate: bool
    may_link: bool
    may_edit: bool = False


def read_image(line: Line, uri: OmeroUri) -> OmeroImage:
    """Reads the description of an image; no pixels.

    Raises:
        NotFound: it does not exist (any more) or may not be read.
        InvalidInput: it has no pixels.
    """
    image = line.query.findByQuery("select i from Image i where i.id = :id", queries.parameters(id=uri.id))
    if image is None:
        raise NotFound(f"{uri.title} no longer exists on the OMERO server '{uri.alias}', or may not be read.")
    found = queries.ids(line, "select p.id from Pixels p where p.image.id = :id order by p.id", id=uri.id)
    if not found:
        raise InvalidInput(
            f"{uri.title} on the OMERO server '{uri.alias}' has no pixels.", "Its import may be unfinished."
        )
    pixels = line.images.retrievePixDescription(found[0])
    depth = int(pixels.getSizeZ().getValue())
    z, y, x = (
        _length(pixels.getPhysicalSizeZ()),
        _length(pixels.getPhysicalSizeY()),
        _length(pixels.getPhysicalSizeX()),
    )
    permissions = image.getDetails().getPermissions()
    return OmeroImage(
        uri=uri,
        name=_text(image.getName()),
        pixels=found[0],
        pixel_type=str(pixels.getPixelsType().getValue().getValue()),
        shape=(depth, int(pixels.getSizeY().getValue()), int(pixels.getSizeX().getValue())),
        channels=tuple(_channel(channel) for channel in pixels.copyChannels()),
        times=int(pixels.getSizeT().getValue()),
        voxel_size=lengths.voxel_size(z, y, x, depth),
        zarr=_zarr(line, uri),
        may_annotate=bool(permissions.canAnnotate()),
        may_link=bool(permissions.canLink()),
        may_edit=bool(permissions.canEdit()),
    )


def _zarr(line: Line, uri: OmeroUri) -> str | None:
    hql = "select e.entityType, e.lsid from Image i join i.details.externalInfo e where i.id = :id"
    for kind, path in queries.rows(line, hql, id=uri.id):
        if kind == MULTISCALES and path:
            return str(path)
    return None


def _length(length: Any) -> float | None:
    if length is None:
        return None
    return lengths.micrometres(length.getValue(), str(length.getUnit()))


def _channel(channel: Any) -> str:
    logical = channel.getLogicalChannel()
    return _text(logical.getName()) if logical is not None else ""


def _text(value: Any) -> str:
    return "" if value is None else str(value.getValue() or "")


def wells_of(line: Line, images: list[int]) -> dict[int, int]:
    """Id of the well of each image that is in one."""
    hql = "select s.image.id, s.well.id from WellSample s where s.image.id in (:ids) order by s.id"
    return {int(i): int(w) for part in queries.batches(images) for i, w in queries.rows(line, hql, ids=part)}
