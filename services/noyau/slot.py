"""Composition of one slot of `noyau worker`: `python -m noyau.slot`, started with its settings on standard input.

The process ends with its parent. It tells what goes on in lines on standard error, and why it refuses to work in its
last one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Any

import structlog
from pydantic import TypeAdapter

from noyau.commands.exits import EXIT_CODES
from noyau.compute.dask_slot import Slot, SlotPlugin
from noyau.compute.offers import Offer
from noyau.config import Settings
from noyau.domain.errors import FailedPrecondition, NoyauError
from noyau.handlers import Workshop
from noyau.inference.selection import choose
from noyau.jobs.offspring import die_with_parent, read_first_line
from noyau.omero.visitor import Visitor
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.spread_shop import Shop
from noyau.slot_order import SlotOrder
from noyau.spreading import scheduler_place, software_version, work_folder
from noyau.wiring import access_policy

_MARK_SECONDS = 0.5


def main() -> int:
    """Reads the order, then works until told to end. Returns an exit code of `noyau.commands.exits`."""
    order = TypeAdapter(SlotOrder).validate_json(read_first_line())
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="noyau-stdin", daemon=True).start()
    try:
        workshop = Workshop.of(order.settings)
        asyncio.run(_serve(workshop, order))
        return 0
    except NoyauError as error:
        sys.stderr.write(f"noyau: {error}\n")
        return EXIT_CODES[error.kind]


async def _serve(workshop: Workshop, order: SlotOrder) -> None:
    log = structlog.get_logger("noyau.worker")
    mark = await _mark(workshop.settings, lambda text: log.info(text))
    plugin = SlotPlugin(shop_of(workshop, order), _offer(order, mark), work_folder(workshop.settings))
    slot = Slot(scheduler_place(workshop.settings), plugin, lambda text: log.info(text))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, slot.stopping.set)
    await slot.serve()


async def _mark(settings: Settings, tell: Any) -> str:
    """The mark of the scratch folder, once a coordinator has made it.

    Raises:
        FailedPrecondition: this host does not see the folder, or no coordinator has used it for the patience set.
    """
    from noyau.compute.shared_scratch import read_mark

    folder = work_folder(settings)
    waited = 0.0
    while (mark := read_mark(folder)) is None:
        if not waited:
            tell(f"Waiting for a coordinator to use the scratch folder {folder}.")
        if waited > settings.dask.patience_seconds:
            raise FailedPrecondition(
                f"No coordinator uses the folder {folder} of this host as its scratch.",
                "Start `noyau serve` with the same dask.scratch, or mount here what the coordinator sees there.",
            )
        await asyncio.sleep(_MARK_SECONDS)
        waited += _MARK_SECONDS
    return mark


def _offer(order: SlotOrder, mark: str) -> Offer:
    gpu = order.device != "cpu"
    backends = ["torch"]
    if not gpu:
        from noyau.inference.openvino_backend import is_available

        backends += ["openvino"] if is_available() else []
    # Raises where the device is not there.
    choose(order.device, "torch")
    return Offer(order.name, software_version(), mark, gpu, tuple(backends), order.hands)


def shop_of(workshop: Workshop, order: SlotOrder) -> Shop:
    """What the slot keeps warm."""
    settings = workshop.settings
    scratch = work_folder(settings)

    def context(job_id: str, owner: str) -> PipelineContext:
        return PipelineContext(
            registry=workshop.registry,
            access=access_policy(settings).with_root(str(scratch)),
            workdir=scratch / job_id,
            backends=workshop.backends,
            job_id=job_id,
            owner=owner,
            omero=Visitor(workshop.gateway, owner) if workshop.gateway else None,
        )

    return Shop(scratch, "cpu" if order.device == "cpu" else "cuda:0", order.hands, context)


def _end_with_parent() -> None:
    while os.read(0, 64):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
