"""Settings for workers on other hosts turned into values; shared by the service and `noyau worker`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from noyau.compute.shared_scratch import mark_scratch
from noyau.config import Settings
from noyau.domain.errors import FailedPrecondition
from noyau.wiring import check_device

if TYPE_CHECKING:
    from noyau.compute.dask import DaskSite
    from noyau.compute.dask_link import SchedulerPlace


def work_folder(settings: Settings) -> Path:
    """Scratch of all jobs: the shared folder where there is one."""
    return (settings.dask.scratch or settings.state_dir / "work").expanduser().absolute()


def prepared_work_folder(settings: Settings) -> Path:
    """The same, for a service: where workers on other hosts are to use it, it carries a mark from now on.

    Raises:
        FailedPrecondition: Dask is not installed, or the folder cannot be written.
    """
    if settings.dask.is_on:
        require_dask()
        mark_scratch(work_folder(settings))
    return work_folder(settings)


def device_check(settings: Settings) -> Callable[[str, str], None]:
    """What refuses a job at once for a device that is not there; workers on other hosts are asked by the job."""
    return (lambda device, backend: None) if settings.dask.is_on else check_device


def software_version() -> str:
    """Of this installation."""
    return version("noyau")


def scheduler_place(settings: Settings) -> SchedulerPlace:
    """Where the scheduler is.

    Raises:
        FailedPrecondition: Dask is not installed.
    """
    require_dask()
    from noyau.compute.dask_link import SchedulerPlace

    dask = settings.dask
    return SchedulerPlace(
        address=dask.scheduler or "",
        file=dask.scheduler_file,
        ca=str(dask.tls_ca or ""),
        certificate=str(dask.tls_certificate or ""),
        key=str(dask.tls_key or ""),
        insecure=dask.insecure,
        patience=dask.patience_seconds,
    )


def dask_site(settings: Settings) -> DaskSite | None:
    """Where jobs find workers on other hosts; None where the settings name no scheduler."""
    if not settings.dask.is_on:
        return None
    place = scheduler_place(settings)
    from noyau.compute.dask import DaskSite

    return DaskSite(place, work_folder(settings), software_version())


def require_dask() -> None:
    """Raises FailedPrecondition where the extra is not installed."""
    if find_spec("distributed") is None:
        raise FailedPrecondition("A Dask scheduler is set, but Dask is not installed.", "Install noyau[dask].")
