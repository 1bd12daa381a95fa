"""Labels of an image in OMERO -> the `labels` group of the OME-Zarr behind it, where the service may write there.

Both sides have a say: OMERO, whether the job's owner may change the image, and the settings of this service, whether it
does such a thing for OMERO's users at all, and at that place.
"""

from __future__ import annotations

from dataclasses import replace

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import FailedPrecondition, NoyauError, PermissionRefused
from noyau.domain.image import ImageInfo, ImageRef
from noyau.omero.images import OmeroImage
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.places import omero_of
from noyau.pipelines.staging import remove_staging
from noyau.sinks import LabelSink, preflight
from noyau.sinks.target import Target
from noyau.sources import open_image
from noyau.sources.labels import LabelSource
from noyau.storage.consolidated import refresh
from noyau.storage.groups import update_listing

ROOM = "labels"
_REMEDY = "Save the labels as an image in OMERO instead: --label-image always."


def check_zarr_labels(ref: ImageRef, image: OmeroImage, name: str, overwrite: bool, context: PipelineContext) -> None:
    """Refuses before any work labels that could not be written.

    Args:
        ref: the image, with the level that is segmented.
        image: what OMERO says of it.
        name: of the labels.
        overwrite: labels of this name may be replaced.
        context: of the job.

    Raises:
        FailedPrecondition: this service does not do it, or there is no OME-Zarr behind the image that it can read and
            write.
        PermissionRefused: the job's owner may not change the image, or this service not write there.
        AlreadyExists: there are labels of this name.
    """
    if not omero_of(context).gateway.server(image.uri.alias).may_write_zarr:
        raise FailedPrecondition(
            f"This service does not write into the OME-Zarr behind images of '{image.uri.alias}'.",
            f"{_REMEDY} Or an operator can allow it with the setting `zarr_labels` of that server.",
        )
    if not image.may_edit:
        raise PermissionRefused(
            f"Only who may change {image.uri.title} may write labels into the OME-Zarr behind it.", _REMEDY
        )
    _level_behind(ref, image, context.access)
    preflight(image.zarr or "", name, access=context.access, overwrite=overwrite, job=context.job_id, rooms=(ROOM,))


def write_zarr_labels(
    ref: ImageRef,
    image: OmeroImage,
    labels: LabelSource,
    name: str,
    *,
    nuclei: int,
    overwrite: bool,
    context: PipelineContext,
) -> str:
    """Writes labels and makes them visible; may be repeated.

    Args:
        ref: the image, with the level that was segmented.
        image: what OMERO says of it.
        labels: of that level.
        name: of the labels.
        nuclei: how many; their numbers begin at 1.
        overwrite: labels of this name may be replaced.
        context: of the job.

    Returns:
        URI of the label group.
    """
    like = _level_behind(ref, image, context.access)
    sink = LabelSink.create(
        image.zarr or "", name, like=like, access=context.access, job=context.job_id, level=ref.level,
        overwrite=overwrite,
    )  # fmt: skip
    if not sink.committed:
        for time in range(sink.times):
            for box in sink.units():
                context.reporter.check()
                sink.write(box, labels.read(box, time=time), time=time)
        sink.build_pyramid(context.reporter.check)
    return sink.commit({"omero": str(image.uri)}, labels=range(1, nuclei + 1))


def withdraw_zarr_labels(zarr: str, name: str, job: str, access: AccessPolicy) -> bool:
    """Removes the labels that a job wrote into an OME-Zarr, visible or not; those of others stay.

    Args:
        zarr: URI of the image.
        name: of the labels.
        job: id of the job.
        access: where may be written.

    Returns:
        whether there were any, or false where this process cannot get there.
    """
    try:
        remove_staging(zarr, name, job, access, image=None, rooms=(ROOM,))
        place = Target.open(zarr, access=access)
        if place.owner(ROOM, name) != job:
            return False
        place.store.remove(f"{ROOM}/{name}")
        update_listing(place.store, ROOM, place.version, drop=name)
        refresh(place.store, (ROOM,))
    except NoyauError:
        return False
    return True


def _level_behind(ref: ImageRef, image: OmeroImage, access: AccessPolicy) -> ImageInfo:
    """The description of the level of the OME-Zarr behind an image."""
    title = image.uri.title
    if image.zarr is None:
        raise FailedPrecondition(f"There is no OME-Zarr behind {title} to write labels into.", _REMEDY)
    try:
        with open_image(replace(ref, uri=image.zarr, channel=None), access=access) as source:
            info = source.info
    except NoyauError as error:
        raise FailedPrecondition(f"The OME-Zarr behind {title} cannot be used: {error.cause}", _REMEDY) from error
    if (info.shape[0], info.times) != (image.shape[0], image.times) or (ref.level == 0 and info.shape != image.shape):
        raise FailedPrecondition(f"The OME-Zarr behind {title} has another shape, {info.shape}.", _REMEDY)
    return info
