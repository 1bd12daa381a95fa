"""An image's request and plan with the nucleus diameter that was found out from it."""

from __future__ import annotations

from dataclasses import replace

from noyau.domain.errors import InvalidInput
from noyau.domain.jobs import SegmentSpec
from noyau.domain.model import ModelInfo
from noyau.inference.backend import Backend
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.places import open_source
from noyau.pipelines.prepare import ImagePlan, plan_image
from noyau.pipelines.sizing import fit_ratio
from noyau.pipelines.statistics import measure_once

SIZE = "size"


def wants_size(spec: SegmentSpec, planned: SegmentItem) -> bool:
    """Whether the diameter is to be found out: it is neither given nor told to be left to the model.

    Only networks that vote are asked; where the job says so for another one, that is refused.
    """
    if spec.diameter is not None or spec.fit_diameter is False:
        return False
    return spec.fit_diameter is True or _votes(planned.plan.model)


def _votes(model: ModelInfo) -> bool:
    return model.kind == model.decoder == "vote"


def sized(
    spec: SegmentSpec, planned: SegmentItem, network: Backend, context: PipelineContext, book: UnitBook
) -> tuple[SegmentSpec, SegmentItem]:
    """Finds the diameter out (once per job and image, at its first time point) and plans the image for it.

    Raises:
        InvalidInput: the model's network does not vote.
        NoyauError: as for the segmentation of the image.
    """
    number, plan = str(planned.item.number), planned.plan
    if not _votes(plan.model):
        raise InvalidInput(
            f"The size of nuclei cannot be found out with the model {plan.model.ref}, whose network does not vote.",
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
    expected, unit = model.diameter, "µm" if model.voxel_size else "pixels"
    tried = ", ".join(
        f"{t.nuclei} of {t.size * t.ratio * expected:.3g} (certainty {t.certainty:.2f}) at {t.ratio * expected:.3g}"
        for t in trials
    )
    # What changes all sizes in the result is said where people see it.
    level = "info" if ratio == 1.0 else "warning"
    reporter.log(f"Segmented for nuclei of {ratio * expected:.3g} {unit} (found: {tried}): {ref.uri}", level)
    return ratio
