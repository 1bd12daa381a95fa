"""An image's request and plan with the nucleus diameter that was found out from it."""

from __future__ import annotations

from dataclasses import replace

from noyau.domain.errors import InvalidInput
from noyau.domain.jobs import SegmentSpec
from noyau.inference.backend import Backend
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.places import open_source
from noyau.pipelines.prepare import ImagePlan, plan_image
from noyau.pipelines.sizing import fit_ratio
from noyau.pipelines.statistics import measure_once

SIZE = "size"


def sized(
    spec: SegmentSpec, planned: SegmentItem, network: Backend, context: PipelineContext, book: UnitBook
) -> tuple[SegmentSpec, SegmentItem]:
    """Finds the diameter out (once per job and image, at its first time point) and plans the image for it.

    Raises:
        InvalidInput: the model has another decoder than the vote.
        NoyauError: as for the segmentation of the image.
    """
    number, plan = str(planned.item.number), planned.plan
    if plan.model.decoder != "vote":
        raise InvalidInput(
            f"The size of nuclei cannot be found out with the model {plan.model.ref}, whose decoder is no vote.",
            "Give the diameter in micrometres.",
        )
    known = book.finished(SIZE, number)
    if not known:
        ratio = _fit(spec, planned, network, context, book)
        book.mark(SIZE, number, "ratio", {"ratio": ratio})
    else:
        ratio = float(known["ratio"]["ratio"])
    if ratio == 1.0:
        return spec, planned
    wanted = replace(spec, diameter=ratio * plan.model.diameter)
    return wanted, replace(planned, plan=_plan(wanted, planned, network, context))


def _plan(spec: SegmentSpec, planned: SegmentItem, network: Backend, context: PipelineContext) -> ImagePlan:
    plan = planned.plan
    return plan_image(planned.item.ref.uri, plan.info, plan.model, spec, context.limits, network.name)


def _fit(spec: SegmentSpec, planned: SegmentItem, network: Backend, context: PipelineContext, book: UnitBook) -> float:
    """The ratio of the nuclei's size to the model's; says in the job's log what was tried."""
    reporter, ref, model = context.reporter, planned.item.ref, planned.plan.model
    time = ref.time[0] if ref.time else 0
    prefix = f"{planned.item.number}/{time}/{planned.plan.exposure}"
    reporter.stage("size")
    with open_source(ref, context, voxel_size=spec.voxel_size, fill_missing=spec.fill_missing) as source:
        intensity = measure_once(source, time, model.normalisation, book, prefix, reporter)
        ratio, trials = fit_ratio(
            source,
            time,
            intensity,
            lambda r: _plan(replace(spec, diameter=r * model.diameter), planned, network, context),
            network,
            reporter.check,
        )
    tried = ", ".join(f"{t.ratio * model.diameter:.3g}: {t.certainty:.2f} ({t.nuclei})" for t in trials)
    reporter.log(f"Nucleus diameter {ratio * model.diameter:.3g} (certainty by diameter, nuclei: {tried}); {ref.uri}")
    return ratio
