"""Settings turned into the values that rooms take; shared by the coordinator and its worker processes."""

from __future__ import annotations

from noyau.config import Settings
from noyau.config_omero import OmeroServerSettings
from noyau.domain.access import AccessPolicy
from noyau.domain.meters import Meter
from noyau.domain.processors import usable_processors
from noyau.models.apart import Runner, run_apart, run_here
from noyau.models.desk import ModelDesk
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry, shipped_packages
from noyau.omero.budget import RoiBudget
from noyau.omero.gateway import Gateway
from noyau.omero.server import OmeroServer
from noyau.storage.options import StorageOptions


def access_policy(settings: Settings) -> AccessPolicy:
    """Which places jobs of this service may touch."""
    access = settings.access
    return AccessPolicy(
        access.roots, access.remote_hosts, access.s3_endpoint, settings.limits.image_voxels, tuple(settings.omero)
    )


def omero_gateway(settings: Settings, meter: Meter | None = None) -> Gateway | None:
    """The door to the OMERO servers of the settings; None where there are none. Nothing is connected yet."""
    servers = [_omero_server(alias, server) for alias, server in settings.omero.items()]
    return Gateway(servers, meter) if servers else None


def _omero_server(alias: str, given: OmeroServerSettings) -> OmeroServer:
    return OmeroServer(
        alias=alias,
        host=given.host,
        port=given.port,
        tls=given.tls,
        ca=given.ca,
        user=given.user,
        password_env=given.password_env,
        password_file=given.password_file,
        session_file=given.session_file,
        calls=given.calls,
        patience=given.patience_seconds,
        call_seconds=given.call_seconds,
        session_hours=given.session_hours,
        zarr_labels=given.zarr_labels,
        budget=RoiBudget(given.rois, given.shapes, given.points),
    )


def threads_per_worker(settings: Settings) -> int:
    """As set, else the processors that this process may use (quotas of containers count), divided among the workers."""
    return settings.jobs.threads or max(1, usable_processors() // max(1, settings.jobs.workers))


def model_registry(settings: Settings, run: Runner = run_here) -> ModelRegistry:
    """Registered models, then the facility's own folders, then the shipped models.

    Args:
        settings: everything that can be set.
        run: runs the test that a package must pass to be registered.
    """
    options = StorageOptions(s3_endpoint=settings.access.s3_endpoint)
    home = ModelHome(settings.models_home, settings.models_cache, options, settings.models_cache_mib * 2**20)
    return ModelRegistry(
        (*settings.models, shipped_packages()), home, lambda folder: run("test", {"folder": str(folder)})
    )


def model_desk(settings: Settings) -> ModelDesk:
    """What callers of a service do with models; a package is never opened in the service's own process."""
    return ModelDesk(
        model_registry(settings, run_apart),
        access_policy(settings),
        run_apart,
        settings.state_dir / "models",
        torchscript=settings.access.torchscript,
    )


def own_model_desk(settings: Settings) -> ModelDesk:
    """The same for commands on the user's own machine, who may read what the user may."""
    return ModelDesk(model_registry(settings), AccessPolicy.everything(settings.access.s3_endpoint))


def check_device(device: str, backend: str) -> None:
    """Raises FailedPrecondition where a device or backend that was asked for is absent here.

    Asking takes seconds the first time, because it imports torch; the preflight asks only where it must.
    """
    from noyau.inference.selection import choose

    choose(device, backend)
