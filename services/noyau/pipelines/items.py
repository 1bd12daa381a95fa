"""The images of a job: plates expanded, every refusal that can be known now made before any work begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from noyau.domain.jobs import SegmentSpec
from noyau.inference.selection import choose
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.networks import find_model
from noyau.pipelines.prepare import ImagePlan, plan_image
from noyau.pipelines.targets import Item
from noyau.sinks import preflight
from noyau.sources import open_image


@dataclass(frozen=True)
class SegmentItem:
    """An image to segment with its plan."""

    item: Item
    plan: ImagePlan


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
