"""Settings turned into the values that rooms take; shared by the coordinator and its worker processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from noyau.config import Settings
from noyau.domain.access import AccessPolicy
from noyau.domain.model import ModelInfo

if TYPE_CHECKING:  # imports torch
    from noyau.models.registry import ModelRegistry


def access_policy(settings: Settings) -> AccessPolicy:
    """Which places jobs of this service may touch."""
    access = settings.access
    return AccessPolicy(access.roots, access.remote_hosts, access.s3_endpoint, settings.limits.image_voxels)


def threads_per_worker(settings: Settings) -> int:
    """As set, else the processors that this process may use, divided among the workers."""
    processors = len(os.sched_getaffinity(0))
    return settings.jobs.threads or max(1, processors // max(1, settings.jobs.workers))


class LazyModels:
    """The models, read when they are first asked for: their room imports torch, which takes seconds."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def list(self) -> list[ModelInfo]:
        return model_registry(self._folders).list()

    def get(self, ref: str) -> ModelInfo:
        """Raises NotFound that names those that exist."""
        return model_registry(self._folders).get(ref)


def model_registry(folders: Sequence[Path]) -> ModelRegistry:
    """The facility's own folders before the shipped models."""
    from noyau.models.registry import ModelRegistry, shipped_packages

    return ModelRegistry((*folders, shipped_packages()))


def check_device(device: str, backend: str) -> None:
    """Raises FailedPrecondition where a device or backend that was asked for is absent here."""
    from noyau.inference.selection import choose

    choose(device, backend)
