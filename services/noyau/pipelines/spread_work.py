"""What workers on other hosts do for a job: the same steps as in one process, on what the scratch folder holds.

Each function finds out by itself what an earlier worker finished before it died, and returns a small manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from noyau.compute.inline import InlineExecutor
from noyau.decoding.device import decoder_for
from noyau.domain.errors import FailedPrecondition, InternalError
from noyau.domain.model import ModelInfo
from noyau.domain.progress import MemoryLedger, SilentReporter, UnitLedger
from noyau.inference.backend import Backend
from noyau.pipelines import attempts
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.file_ledger import FileLedger
from noyau.pipelines.frames import Frame
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.networks import ready_network
from noyau.pipelines.one_image import segment_one
from noyau.pipelines.segment_tasks import DECODE, PREDICT, decode_tasks, predict_tasks
from noyau.pipelines.segment_write import write_unit
from noyau.pipelines.sized import SIZE, sized
from noyau.pipelines.spread_orders import WRITE
from noyau.pipelines.spread_shop import OpenFrame, Shop
from noyau.pipelines.spread_values import Assignment, FrameWork, ImageWork
from noyau.pipelines.staff import Staff
from noyau.pipelines.targets import Item, staging

Check = Callable[[], None]


class _Listener(SilentReporter):
    """Passes the order's check on, and keeps what is said for the coordinator."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self.told: list[tuple[str, str]] = []

    def check(self) -> None:
        self._check()

    def log(self, message: str, level: str = "info") -> None:
        self.told.append((message, level))


def network(shop: Shop, work: ImageWork, check: Check) -> dict[str, Any]:
    """Loads the network of an image and says what it runs on."""
    context = _context(shop, work.assignment, check)
    found = _network(work, context)
    return {"name": found.name, "device": found.device, "precision": found.precision}


def size(shop: Shop, work: ImageWork, check: Check) -> dict[str, Any]:
    """Finds out the diameter of the nuclei of an image, as its ratio to the model's."""
    context = _context(shop, work.assignment, check)
    book = UnitBook(MemoryLedger())
    planned = _here(work, context)
    sized(work.assignment.spec, planned, _network(work, context), context, book)
    ratio = book.finished(SIZE, str(planned.item.number))["ratio"]["ratio"]
    return {"ratio": ratio, "told": context.reporter.told if isinstance(context.reporter, _Listener) else []}


def image(shop: Shop, work: ImageWork, check: Check) -> dict[str, Any]:
    """Segments a whole image and commits its results."""
    number = work.planned.item.number
    folder = shop.scratch / work.assignment.job_id
    context = _context(shop, work.assignment, check, FileLedger(folder / f"ledger{number}.jsonl"))
    spec = replace(work.assignment.spec, device=work.assignment.device, backend=work.assignment.backend)
    _same_weights(work.planned.plan.model, context)
    result = segment_one(spec, _here(work, context), Staff(spec, context), context, UnitBook(context.ledger))
    return asdict(result)


def frame_part(shop: Shop, work: FrameWork, check: Check) -> list[str] | str:
    """Predicts tiles, decodes a unit or writes a unit of a frame; returns what the task in one process would."""
    context = _context(shop, work.image.assignment, check)
    with shop.opened(work, _here(work.image, context).item, context) as opened:
        if work.stage == PREDICT:
            return _predict(work, opened.frame, context, context.reporter.check)
        (name,) = work.names
        if work.stage == DECODE:
            return _decode(shop, opened.frame, name)
        if work.stage == WRITE:
            return _write(work, opened, name, context.reporter.check)
    raise InternalError(f"'{work.stage}' is no work for a worker.")


def _predict(work: FrameWork, frame: Frame, context: PipelineContext, check: Check) -> list[str]:
    wanted = [name for name in work.names if not _is_done(frame, PREDICT, name)]
    others = {tile.name for tile in frame.plan.grid.tiles} - set(wanted)
    found = _network(work.image, context)
    tasks, _ = predict_tasks(frame, found, others, work.image.assignment.spec.batch or 1, check)

    def done(_: Any, names: Any) -> None:
        for name in names:
            _set_done(frame, PREDICT, name)

    lanes = {"read": 1, "network": 1, "store": 1}
    InlineExecutor().run(tasks, lanes=lanes, in_flight={PREDICT: 3}, done=done, check=check)
    return list(work.names)


def _decode(shop: Shop, frame: Frame, name: str) -> str:
    if not _is_done(frame, DECODE, name):
        others = {unit.name for unit in frame.units} - {name}
        (task,) = decode_tasks(frame, {}, others, decoder_for(shop.device))
        with nullcontext() if frame.plan.decoder is None else shop.windows:
            task.steps[0].call(None)
        _set_done(frame, DECODE, name)
    return name


def _write(work: FrameWork, opened: OpenFrame, name: str, check: Check) -> str:
    # Written again where it was written already: the same bytes, and the label image may be a new one.
    numbering = opened.numbering(work.numbers) if work.numbers else None
    unit = next(unit for unit in opened.frame.units if unit.name == name)
    sink = opened.labels()
    check()
    return write_unit(opened.frame, unit, numbering, sink)


def _network(work: ImageWork, context: PipelineContext) -> Backend:
    model, assignment = work.planned.plan.model, work.assignment
    _same_weights(model, context)
    return ready_network(context.registry, context.backends, model, assignment.device, assignment.backend)


def _same_weights(model: ModelInfo, context: PipelineContext) -> None:
    if context.registry.get(model.ref).digest != model.digest:
        raise FailedPrecondition(
            f"A worker has other weights for the model {model.ref} than the coordinator.",
            "Set the same models_home for the coordinator and all workers.",
        )


def _context(shop: Shop, given: Assignment, check: Check, ledger: UnitLedger | None = None) -> PipelineContext:
    """The job's context on this host; its check also asks whether the job's attempt is still the current one."""
    context = shop.make_context(given.job_id, given.owner)
    folder = shop.scratch / given.job_id
    return replace(
        context,
        workdir=folder,
        reporter=_Listener(attempts.guarded(folder, given.attempt, check)),
        ledger=ledger or MemoryLedger(),
        limits=given.limits,
        threads=shop.threads,
    )


def _here(work: ImageWork, context: PipelineContext) -> Any:
    """The image with the place of staged results as this host sees it."""
    item: Item = work.planned.item
    if item.staged:
        item = replace(item, target=staging(item.number, context))
    return replace(work.planned, item=item)


def _mark(frame: Frame, stage: str, name: str) -> Path:
    return frame.folder / "done" / f"{stage}-{name}"


def _is_done(frame: Frame, stage: str, name: str) -> bool:
    return _mark(frame, stage, name).exists()


def _set_done(frame: Frame, stage: str, name: str) -> None:
    """After the data is stored: an order that comes again for it returns at once."""
    path = _mark(frame, stage, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
