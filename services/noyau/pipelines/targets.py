"""Which images a job is about, where the results of each go, and how to take back what was not finished.

Nothing here needs a network, so a worker that only tidies up after a killed one starts quickly.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from noyau.domain.errors import InvalidInput, LimitExceeded, NoyauError
from noyau.domain.image import ImageRef
from noyau.domain.omero_uri import is_omero, parse_omero
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.omero_sinks import remove_unpublished
from noyau.pipelines.places import expand_places
from noyau.pipelines.staging import remove_staging
from noyau.sinks import target_for
from noyau.sinks.target import ROOMS

STAGING = "omero"
"""Folder in the scratch of a job for results that go to OMERO."""


@dataclass(frozen=True)
class Item:
    """One image of a job.

    Attributes:
        number: position in the job; begins the names of its units in the ledger.
        ref: the image.
        target: URI of the group that takes its results.
        staged: the target lies in the job's own folder: from there the results go to OMERO.
        container: the set in OMERO that the image was named by; empty where it was named itself.
    """

    number: int
    ref: ImageRef
    target: str
    staged: bool = False
    container: str = ""

    @property
    def image(self) -> str | None:
        """URI of the image as a Zarr group; None for an image in OMERO, whose target stands alone."""
        return None if is_omero(self.ref.uri) else self.ref.uri


def list_items(images: Collection[ImageRef], output: str | None, context: PipelineContext) -> tuple[Item, ...]:
    """Expands plates, wells and fields into images and says where the results of each go.

    Raises:
        InvalidInput: there are no images, or two of them would write to the same place.
        LimitExceeded: there are too many.
        NotFound, PermissionRefused, ...: an image cannot be opened.
    """
    found = [(one, ref) for ref in images for one in expand_places(ref, context)]
    refs = [one for one, _ in found]
    if not refs:
        raise InvalidInput("The job has no image.", "Give at least one image, plate, well or field.")
    if len(refs) > context.limits.max_images:
        raise LimitExceeded(
            f"The job has {len(refs):,} images, more than the limit of {context.limits.max_images:,}.",
            "Split it into several jobs.",
        )
    items = []
    for number, (ref, named) in enumerate(found):
        staged = is_omero(ref.uri) and output is None
        target = staging(number, context) if staged else target_for(ref.uri, output, many=len(refs) > 1)
        items.append(Item(number, ref, target, staged, _container(named) if staged else ""))
    _refuse_collisions(items)
    return tuple(items)


def staging(number: int, context: PipelineContext) -> str:
    """Where the results of an image wait complete until they are saved in OMERO."""
    return str(context.workdir / STAGING / f"image{number}.ome.zarr")


def _container(named: ImageRef) -> str:
    uri = parse_omero(named.uri)
    return str(uri) if uri.is_set else ""


def remove_leftovers(
    images: Collection[ImageRef],
    output: str | None,
    labels: str,
    context: PipelineContext,
    rooms: Collection[str] = ROOMS,
    run: str | None = None,
) -> None:
    """Removes what a failed or cancelled job left beside its images. May be repeated; touches no finished results.

    Args:
        images, output, labels: as in the job's spec.
        context: of the job.
        rooms: groups of the targets to look in.
        run: name of the results in OMERO, where it is not that of the labels.
    """
    with suppress(NoyauError):  # an image that cannot be opened has nothing beside it
        for item in list_items(images, output, context):
            with suppress(NoyauError):
                if item.staged:
                    remove_unpublished(item.ref.uri, run or labels, context)
                else:
                    remove_staging(item.target, labels, context.job_id, context.access, image=item.image, rooms=rooms)
        for container in {item.container for item in list_items(images, output, context) if item.container}:
            with suppress(NoyauError):
                remove_unpublished(container, run or labels, context)


def _refuse_collisions(items: Collection[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        place = item.ref.uri if item.staged else item.target
        if place in seen:
            raise InvalidInput(
                f"Two images of the job would write to {place}.",
                "Give each image once per job; for two channels of an image, send two jobs with different label names.",
            )
        seen.add(place)
