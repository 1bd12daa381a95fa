"""One slot of `noyau worker`: a process with one device that does orders of coordinators, one network at a time.

What is warm (networks above all) lives in the plugin, which outlives the connection: a slot whose scheduler went away
waits for the next one and goes on with it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker
from distributed.comm.core import connect as open_comm
from distributed.core import Status

from noyau.compute.dask_link import ANNOUNCEMENT, SchedulerPlace, explain
from noyau.compute.executor import Order
from noyau.compute.offers import Offer
from noyau.compute.shared_scratch import not_the_same
from noyau.domain.errors import FailedPrecondition, InternalError, JobCancelled, NoyauError, Unavailable

_LOG = logging.getLogger(__name__)
PLUGIN = "noyau"
_LOOK_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
_TRY_SECONDS = 3.0
_WANTED = ("executing", "long-running", "constrained", "ready")


class SlotPlugin(WorkerPlugin):
    """Does orders with what it keeps warm.

    Args:
        shop: what the functions of orders get as their first argument.
        offer: what this slot can do.
        scratch: the folder that it sees.
    """

    name = PLUGIN

    def __init__(self, shop: Any, offer: Offer, scratch: Path) -> None:
        self.shop = shop
        self.offer = offer
        self.scratch = scratch
        self.active: Counter[str] = Counter()
        self._lock = threading.Lock()

    def do(self, order: Order, run: str, check: Callable[[], None]) -> Any:
        """Does an order.

        Args:
            order: what to do.
            run: names the call of the coordinator's executor that it belongs to.
            check: raises when it is not wanted any more.
        """
        module, _, name = order.work.partition(":")
        if not module.startswith("noyau.pipelines."):
            raise InternalError(f"'{order.work}' is no work for a worker.")
        with self._lock:
            self.active[run] += 1
        try:
            check()
            return getattr(importlib.import_module(module), name)(self.shop, order.argument, check)
        except (NoyauError, OSError):
            raise
        except Exception:
            _LOG.exception("%s failed", order.label)
            raise
        finally:
            with self._lock:
                self.active[run] -= 1
                if not self.active[run]:
                    del self.active[run]

    def refusal(self, announced: Any) -> FailedPrecondition | None:
        """Why this slot may not work for the coordinator that announced itself; None where it may."""
        if not isinstance(announced, dict):
            return None  # no coordinator has come yet
        version = announced.get("version")
        if version != self.offer.version:
            return FailedPrecondition(
                f"This worker has version {self.offer.version} of Noyau, and the coordinator has version {version}.",
                "Install the coordinator's version on this host: other versions may give other labels.",
            )
        return not_the_same(self.scratch) if announced.get("scratch") != self.offer.scratch else None


def do_order(order: Order, run: str, key: str) -> Any:
    """What the scheduler sends to workers: does an order and returns its manifest. `key` is its name there."""
    worker = get_worker()

    def check() -> None:
        state = worker.state.tasks.get(key)
        if state is None or state.state not in _WANTED or worker.status is not Status.running:
            raise JobCancelled(f"{order.label} is not wanted any more.")

    plugin = worker.plugins[PLUGIN]
    if not isinstance(plugin, SlotPlugin):
        raise InternalError("This is no worker of Noyau.")
    return plugin.do(order, run, check)


def active_orders(run: str, dask_worker: Worker) -> int:
    """How many orders of a run a worker has under way."""
    plugin = dask_worker.plugins.get(PLUGIN)
    return plugin.active[run] if isinstance(plugin, SlotPlugin) else 0


@dataclass
class Slot:
    """Keeps a plugin at work for whichever scheduler answers at a place.

    Attributes:
        place: the scheduler.
        plugin: does the work.
        told: takes what an operator should know.
        stopping: set to end it.
    """

    place: SchedulerPlace
    plugin: SlotPlugin
    told: Callable[[str], None]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> None:
        """Works until `stopping` is set.

        Raises:
            Unavailable: no scheduler answered for `place.patience`.
            Unauthenticated: a certificate is not accepted.
            FailedPrecondition: the coordinator has another version, or another scratch folder.
        """
        silent_since = time.monotonic()
        while not self.stopping.is_set():
            try:
                await self._serve_once()
                silent_since = time.monotonic()
                if not self.stopping.is_set():
                    self.told("The scheduler went away; waiting for it.")
            except Unavailable:
                if time.monotonic() - silent_since > self.place.patience:
                    raise
                await self._pause(_PAUSE_SECONDS)

    async def _serve_once(self) -> None:
        """From a connection to its end."""
        address = self.place.find()
        security = self.place.security()
        arguments = security.get_connection_args("worker") if security else {}
        try:
            comm = await open_comm(address, timeout=_TRY_SECONDS, **arguments)
            comm.abort()
        except (TimeoutError, OSError) as error:
            raise explain(error, address) from error
        with tempfile.TemporaryDirectory(prefix="noyau-dask-") as folder:
            worker = self._worker(address, security, folder)
            try:
                await worker
                self.told(f"Working for {address}, as {self.plugin.offer.name}.")
                await self._watch(worker)
            except (TimeoutError, OSError) as error:
                raise explain(error, address) from error
            finally:
                await worker.close(timeout=10, nanny=False)

    def _worker(self, address: str, security: Any, folder: str) -> Worker:
        offer = self.plugin.offer
        return Worker(
            address,
            # One for the device, and the hands.
            nthreads=1 + offer.hands,
            name=offer.name,
            resources=offer.resources,
            security=security,
            local_directory=folder,
            # Arrays never stay in a worker, so Dask has nothing to move or to pause for.
            memory_limit=0,
            dashboard=False,
            plugins=(self.plugin,),
            startup_information={PLUGIN: lambda worker: offer.to_json()},
            death_timeout=10 * _TRY_SECONDS,
        )

    async def _watch(self, worker: Worker) -> None:
        """Until the worker ends, somebody ends it, or a coordinator comes that it may not work for."""
        while worker.status is Status.running and not self.stopping.is_set():
            announced = await worker.scheduler.get_metadata(keys=[ANNOUNCEMENT], default=None)
            refusal = self.plugin.refusal(announced)
            if refusal is not None:
                raise refusal
            await self._pause(_LOOK_SECONDS)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return
