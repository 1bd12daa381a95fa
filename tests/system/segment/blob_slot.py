"""A slot as `noyau worker` starts one, but with the blob network: `blob_slot.py JSON`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from conftest import BlobNetwork, BlobRegistry
from noyau.compute.dask_link import SchedulerPlace
from noyau.compute.dask_slot import Slot, SlotPlugin
from noyau.compute.offers import Offer
from noyau.compute.shared_scratch import read_mark
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import NoyauError
from noyau.inference.cache import BackendCache
from noyau.models.package import LoadedModel
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.spread_shop import Shop
from noyau.spreading import software_version


class SlowNetwork(BlobNetwork):
    """The blob network, which takes its time."""

    def __init__(self, ndim: int, seconds: float) -> None:
        super().__init__(ndim)
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return super().forward(x)


class SlowRegistry(BlobRegistry):
    """Gives slow networks."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def load(self, ref: str) -> LoadedModel:
        info = self.get(ref)
        return LoadedModel(info, SlowNetwork(info.ndim, self.seconds).eval())


def main() -> int:
    order: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    scratch = Path(order["scratch"])
    backends = BackendCache(size=4, threads=1)
    registry = SlowRegistry(float(order.get("seconds", 0.0)))

    def context(job_id: str, owner: str) -> PipelineContext:
        return PipelineContext(registry, AccessPolicy.everything(), scratch / job_id, backends, job_id=job_id)  # type: ignore[arg-type]

    version = order.get("version", software_version())
    place = SchedulerPlace(
        order["address"],
        ca=order.get("ca", ""),
        certificate=order.get("certificate", ""),
        key=order.get("key", ""),
        patience=float(order.get("patience", 120)),
    )
    try:
        mark = order.get("mark") or read_mark(scratch) or ""
        offer = Offer(order["name"], version, mark, False, ("torch",), 2)
        slot = Slot(place, SlotPlugin(Shop(scratch, "cpu", 2, context), offer, scratch), say)
        asyncio.run(slot.serve())
    except NoyauError as error:
        say(f"refused: {error.kind.value}: {error}")
        return 9
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{time.time():.2f} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
