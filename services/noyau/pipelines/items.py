"""The images of a job: plates expanded, every refusal that can be known now made before any work begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from noyau.domain.errors import FailedPrecondition
from noyau.domain.image import ImageInfo
from noyau.domain.jobs import SegmentSpec
from noyau.domain.model import ModelInfo
from noyau.inference.selection import choose
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.networks import find_model
from noyau.pipelines.places import open_source
from noyau.pipelines.prepare import DEFAULT_MODELS, ImagePlan, plan_image
from noyau.pipelines.publication import check_publication
from noyau.pipelines.targets import Item
from noyau.sinks import preflight

MODEL = "model"


@dataclass(frozen=True)
class SegmentItem:
    """An image to segment with its plan."""

    item: Item
    plan: ImagePlan


def plan_items(
    spec: SegmentSpec, items: Collection[Item], context: PipelineContext, backend: str | None = None
) -> tuple[SegmentItem, ...]:
    """Opens every image, plans it and makes sure that its results can be written. Reads metadata only.

    Args:
        spec: the request.
        items: the images.
        context: of the job.
        backend: library that runs the networks, where that is not for this process to choose.

    Raises:
        FailedPrecondition: the device or the backend is not there.
        NoyauError: what an image or its target is refused for.
    """
    backend = backend or choose(spec.device, spec.backend).backend
    book = UnitBook(context.ledger)
    planned = []
    for item in items:
        context.reporter.check()
        with open_source(item.ref, context, voxel_size=spec.voxel_size, fill_missing=spec.fill_missing) as source:
            model = _model(spec, source.info, context, book)
            plan = plan_image(item.ref.uri, source.info, model, spec, context.limits, backend)
        preflight(
            item.target,
            spec.labels,
            access=context.access,
            image=item.image,
            overwrite=spec.overwrite,
            job=context.job_id,
        )
        if item.staged:
            check_publication(item, spec.labels, spec.overwrite, context, into_zarr=spec.label_image == "zarr")
        planned.append(SegmentItem(item, plan))
    return tuple(planned)


def _model(spec: SegmentSpec, info: ImageInfo, context: PipelineContext, book: UnitBook) -> ModelInfo:
    """The model for an image. What a name means is decided once per job: a restarted job goes on with the version
    that it began with, wherever an alias points by then.

    Raises:
        FailedPrecondition: the version has other weights than when the job began.
        NoyauError: see `find_model`.
    """
    wanted = spec.model or DEFAULT_MODELS[2 if info.is_2d else 3]
    known = book.finished(MODEL, wanted).get("version")
    if known is None:
        model = find_model(context.registry, wanted, info)
        book.mark(MODEL, wanted, "version", {"ref": model.ref, "digest": model.digest})
        return model
    model = find_model(context.registry, known["ref"], info)
    if model.digest != known["digest"]:
        raise FailedPrecondition(
            f"The model {model.ref} has other weights than when the job began.", "Submit the job again."
        )
    return model
