"""Which images a job is about, where the results of each go, and how to take back what was not finished.

Nothing here needs a network, so a worker that only tidies up after a killed one starts quickly.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from noyau.domain.errors import InvalidInput, LimitExceeded, NoyauError
from noyau.domain.image import ImageRef
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.staging import remove_staging
from noyau.sinks import target_for
from noyau.sinks.target import ROOMS
from noyau.sources import expand


@dataclass(frozen=True)
class Item:
    """One image of a job.

    Attributes:
        number: position in the job; begins the names of its units in the ledger.
        ref: the image.
        target: URI of the group that takes its results.
    """

    number: int
    ref: ImageRef
    target: str


def list_items(images: Collection[ImageRef], output: str | None, context: PipelineContext) -> tuple[Item, ...]:
    """Expands plates, wells and fields into images and says where the results of each go.

    Raises:
        InvalidInput: there are no images, or two of them would write to the same place.
        LimitExceeded: there are too many.
        NotFound, PermissionRefused, ...: an image cannot be opened.
    """
    refs = [one for ref in images for one in expand(ref, access=context.access)]
    if not refs:
        raise InvalidInput("The job has no image.", "Give at least one image, plate, well or field.")
    if len(refs) > context.limits.max_images:
        raise LimitExceeded(
            f"The job has {len(refs):,} images, more than the limit of {context.limits.max_images:,}.",
            "Split it into several jobs.",
        )
    items = [Item(i, ref, target_for(ref.uri, output, many=len(refs) > 1)) for i, ref in enumerate(refs)]
    _refuse_collisions(items)
    return tuple(items)


def remove_leftovers(
    images: Collection[ImageRef],
    output: str | None,
    labels: str,
    context: PipelineContext,
    rooms: Collection[str] = ROOMS,
) -> None:
    """Removes what a failed or cancelled job left beside its images. May be repeated; touches no finished results.

    Args:
        images, output, labels: as in the job's spec.
        context: of the job.
        rooms: groups of the targets to look in.
    """
    with suppress(NoyauError):  # an image that cannot be opened has nothing beside it
        for item in list_items(images, output, context):
            with suppress(NoyauError):
                remove_staging(item.target, labels, context.job_id, context.access, image=item.ref.uri, rooms=rooms)


def _refuse_collisions(items: Collection[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.target in seen:
            raise InvalidInput(
                f"Two images of the job would write to {item.target}.",
                "Give each image once per job; for two channels of an image, send two jobs with different label names.",
            )
        seen.add(item.target)
