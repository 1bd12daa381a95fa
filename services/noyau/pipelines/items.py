"""The images of a job: plates expanded, every refusal that can be known now made before any work begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.inference.selection import choose
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.networks import find_model
from noyau.pipelines.prepare import ImagePlan, plan_image
from noyau.sinks import preflight, target_for
from noyau.sources import expand, open_image


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


@dataclass(frozen=True)
class SegmentItem:
    """An image to segment with its plan."""

    item: Item
    plan: ImagePlan


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


def plan_items(spec: SegmentSpec, items: Collection[Item], context: PipelineContext) -> tuple[SegmentItem, ...]:
    """Opens every image, plans it and makes sure that its results can be written. Reads metadata only.

    Raises:
        FailedPrecondition: the device or the backend is not there.
        NoyauError: what an image or its target is refused for.
    """
    backend = choose(spec.device, spec.backend).backend
    planned = []
    for item in items:
        context.reporter.check()
        with open_image(
            item.ref, voxel_size=spec.voxel_size, fill_missing=spec.fill_missing, access=context.access
        ) as source:
            model = find_model(context.registry, spec.model, source.info)
            plan = plan_image(item.ref.uri, source.info, model, spec, context.limits, backend)
        preflight(
            item.target,
            spec.labels,
            access=context.access,
            image=item.ref.uri,
            overwrite=spec.overwrite,
            job=context.job_id,
        )
        planned.append(SegmentItem(item, plan))
    return tuple(planned)


def _refuse_collisions(items: Collection[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.target in seen:
            raise InvalidInput(
                f"Two images of the job would write to {item.target}.",
                "Give each image once per job; for two channels of an image, send two jobs with different label names.",
            )
        seen.add(item.target)
