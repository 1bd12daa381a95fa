"""Workers on many hosts, through a Dask scheduler: an executor that sends orders and gets manifests.

Which task may start is decided here, by the same rules as in one process. The scheduler only finds a worker for each
order; arrays never travel through it, they lie in the scratch folder that all see. Where a worker dies, the scheduler
gives its orders to another one; where the scheduler dies, this process connects to its successor and sends again what
is not finished. Orders find out by themselves what is stored already, so nothing that was finished is done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distributed import Client

from noyau.compute.dask_link import ANNOUNCEMENT, SchedulerPlace, announcement, connect
from noyau.compute.dask_run import POLL_SECONDS, DaskRun
from noyau.compute.dask_slot import PLUGIN
from noyau.compute.executor import Order, Task
from noyau.compute.offers import Demand, Offer
from noyau.compute.shared_scratch import mark_scratch
from noyau.domain.errors import FailedPrecondition, InternalError, Unavailable

_LOOK_SECONDS = 2.0

Tell = Callable[[str], None]


@dataclass(frozen=True)
class DaskSite:
    """Where a process that runs jobs finds workers on other hosts.

    Attributes:
        place: the scheduler.
        scratch: folder that all of them see.
        version: of this software; workers of another one get no work.
    """

    place: SchedulerPlace
    scratch: Path
    version: str

    def crew(self, check: Callable[[], None], tell: Tell) -> DaskCrew:
        """The workers, for one job; a context manager.

        Args:
            check: raises when the job should stop.
            tell: takes messages for the people who wait for the job.
        """
        return DaskCrew(self, check, tell)


class DaskCrew:
    """All workers that fit, for one job. An `Executor` for tasks with orders.

    Raises, from every method:
        Unavailable: the scheduler does not answer, or has no worker that fits, for `place.patience`.
        Unauthenticated: a certificate is not accepted.
    """

    def __init__(self, site: DaskSite, check: Callable[[], None], tell: Tell) -> None:
        self._site = site
        self._check = check
        self._tell = tell
        self._mark = mark_scratch(site.scratch)
        self._link: Client | None = None
        self._demand: Demand | None = None
        self._looked = 0.0
        self._hands = self._devices = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hang_up()

    def choose(self, device: str, backend: str) -> Demand:
        """What all orders of the job shall run on, from what was asked for and what the workers offer.

        Args:
            device: `auto` (GPUs where any worker has one), `cpu` or `cuda`.
            backend: `auto`, `torch` or `openvino`.

        Raises:
            FailedPrecondition: workers are there, but none with that device and library.
        """
        offers = self._wait_for(lambda found: found)
        gpu = any(offer.gpu for offer in offers) if device == "auto" else device != "cpu"
        found = [offer for offer in offers if offer.gpu is gpu]
        if not found:
            have = f"{len(offers)} {'worker' if len(offers) == 1 else 'workers'}"
            raise FailedPrecondition(
                f"The device {device} was asked for, but of the {have} at {self._site.place.find()} none offers "
                f"{'a GPU' if gpu else 'a processor'}.",
                f"Start `noyau worker --device {'cuda' if gpu else 'cpu'}`, or take device auto.",
            )
        if backend == "auto":
            backend = "openvino" if not gpu and all("openvino" in offer.backends for offer in found) else "torch"
        self._demand = Demand(self._site.version, self._mark, gpu, backend)
        if not any(self._demand.is_met(offer) for offer in found):
            raise FailedPrecondition(
                f"The backend {backend} was asked for, but none of the workers with that device has it.",
                f"Install noyau[{backend}] there, or take backend auto.",
            )
        return self._demand

    def resume(self, gpu: bool, backend: str) -> None:
        """Goes on with what an earlier attempt of the job chose: other devices may round otherwise."""
        self._demand = Demand(self._site.version, self._mark, gpu, backend)

    @property
    def devices(self) -> int:
        """Workers that run networks for this job now, at least 1."""
        self._look()
        return max(1, self._devices)

    def count(self) -> int:
        """Workers that run networks for this job at this moment."""
        self._looked = 0.0
        self._look()
        return self._devices

    def run(
        self,
        tasks: Sequence[Task],
        *,
        lanes: Mapping[str, int],
        in_flight: Mapping[str, int],
        done: Callable[[Task, Any], None],
        check: Callable[[], None],
    ) -> None:
        """See `Executor.run`. Lanes and bounds are those of the workers, so the given ones do not count."""
        missing = next((task.key for task in tasks if task.order is None), None)
        if missing is not None:
            raise InternalError(f"The task {missing} cannot be done on another host.")
        DaskRun(self, tasks, done, check).finish()

    def client(self) -> Client:
        """The connection; made anew where it was lost."""
        if self._link is not None and self._link.status == "running" and _is_open(self._link):
            return self._link
        self._hang_up()
        self._link = connect(self._site.place, self._check, self._tell)
        self._link.set_metadata([ANNOUNCEMENT], announcement(self._site.version, self._mark))
        self._looked = 0.0
        return self._link

    def demand_of(self, order: Order) -> dict[str, float]:
        """The resources that an order needs."""
        if self._demand is None:
            raise InternalError("No device was chosen for the job.")
        return self._demand.resources(order.device)

    def bound(self, task: Task) -> int:
        """Orders of a kind under way: each worker has the next at hand when it ends one."""
        self._look()
        one = self._devices if task.order and task.order.device else self._hands
        return 2 * max(1, one)

    def await_workers(self) -> None:
        """Waits until somebody can do what is left."""
        if self._devices == 0:
            demand = self._demand
            self._wait_for(lambda found: [o for o in found if demand is None or demand.is_met(o)])
            self._looked = 0.0

    def _look(self) -> None:
        """Counts the workers, now and then."""
        now = time.monotonic()
        if self._looked and now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        ours = [offer for offer in self._offers() if self._demand is None or self._demand.is_met(offer)]
        self._devices, self._hands = len(ours), sum(offer.hands for offer in ours)

    def _offers(self) -> list[Offer]:
        """All workers, of whatever version."""
        try:
            described = self.client().scheduler_info()["workers"].values()
        except OSError:
            return []  # lost just now; the next call connects again
        return [Offer.from_json(one[PLUGIN]) for one in described if PLUGIN in one]

    def _wait_for(self, wanted: Callable[[list[Offer]], list[Offer]]) -> list[Offer]:
        """The workers of this version and scratch that are wanted, as soon as there is one."""
        deadline = time.monotonic() + self._site.place.patience
        told = False
        while True:
            self._check()
            everybody = self._offers()
            fitting = [o for o in everybody if o.version == self._site.version and o.scratch == self._mark]
            found = wanted(fitting)
            if found:
                return found
            why = _why_none(everybody, self._site.version, self._mark)
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"The Dask scheduler at {self._site.place.find()} has no worker for this job{why}.",
                    "Start `noyau worker` of this version, with the coordinator's scratch folder.",
                )
            if not told:
                self._tell(f"Waiting for workers{why}.")
                told = True
            time.sleep(POLL_SECONDS)

    def _hang_up(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            # Nothing that is under way is worth waiting for.
            with suppress(OSError, TimeoutError, RuntimeError, CancelledError):
                link.close(timeout=1)


def _is_open(client: Client) -> bool:
    comm = client.scheduler_comm
    return comm is not None and not comm.comm.closed()


def _why_none(everybody: list[Offer], version: str, mark: str) -> str:
    """Names the workers that do not fit."""
    others = [f"{offer.name} has version {offer.version}" for offer in everybody if offer.version != version]
    apart = [
        f"{offer.name} sees another scratch"
        for offer in everybody
        if offer.version == version and offer.scratch != mark
    ]
    told = [*others, *apart][:3]
    if not told:
        return "; none is connected" if not everybody else "; none of those connected offers what it needs"
    return f": {', '.join(told)}, and the coordinator has version {version}" if others else f": {', '.join(told)}"
