"""Images wherever they live: OME-Zarr by path or URI, or OMERO through the job's own way in."""

from __future__ import annotations

from noyau.domain.errors import FailedPrecondition
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef, ImageSource
from noyau.domain.omero_uri import is_omero
from noyau.omero.visitor import Visitor
from noyau.pipelines.context import PipelineContext
from noyau.sources import expand, open_image
from noyau.sources.omero import expand_omero, open_omero


def open_source(
    ref: ImageRef, context: PipelineContext, *, voxel_size: VoxelSize | None = None, fill_missing: bool = False
) -> ImageSource:
    """Opens one image of a job; nothing but metadata is read.

    Args:
        ref: the image.
        context: of the job.
        voxel_size: micrometres z/y/x of the finest level, instead of what the image says.
        fill_missing: missing chunks of an OME-Zarr count as zero.

    Raises:
        NoyauError: the image cannot be opened; the message names it and why.
    """
    if is_omero(ref.uri):
        return open_omero(
            ref,
            omero_of(context),
            voxel_size=voxel_size,
            fill_missing=fill_missing,
            access=context.access,
            tell=context.reporter.log,
        )
    return open_image(ref, voxel_size=voxel_size, fill_missing=fill_missing, access=context.access)


def expand_places(ref: ImageRef, context: PipelineContext) -> list[ImageRef]:
    """The images that a reference of a job means: fields of a plate, images of a dataset, or itself."""
    if is_omero(ref.uri):
        return expand_omero(ref, omero_of(context))
    return expand(ref, access=context.access)


def omero_of(context: PipelineContext) -> Visitor:
    """The job's way into OMERO.

    Raises:
        FailedPrecondition: this process has none.
    """
    if context.omero is None:
        raise FailedPrecondition(
            "This service is connected to no OMERO server.", "An operator can add one to the setting `omero`."
        )
    return context.omero
