"""What a pipeline gets from the process that runs it, besides the spec."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from noyau.domain.access import AccessPolicy
from noyau.domain.progress import MemoryLedger, Reporter, SilentReporter, UnitLedger
from noyau.omero.visitor import Visitor

if TYPE_CHECKING:  # these import torch or distributed
    from noyau.compute.dask import DaskSite
    from noyau.inference.cache import BackendCache
    from noyau.models.registry import ModelRegistry


DIVIDED = 4
"""By how much windows are smaller where several hosts work at one image."""


@dataclass(frozen=True)
class Limits:
    """What one job may use.

    Attributes:
        max_voxels: largest image, voxels of one time point of one channel; None means no limit.
        max_tile_voxels: largest input of one forward pass, voxels, halo included.
        network_bytes: memory for one forward pass, which decides about the tile when the caller gives none: larger
            windows waste less on halos.
        max_images: most images in one job.
    """

    max_voxels: int | None = 8_000_000_000
    max_tile_voxels: int = 512**3
    network_bytes: int = 2_500_000_000
    max_images: int = 100_000

    def divided(self) -> Limits:
        """The limits where several hosts work at one image: smaller windows, so that there is one for each of them.

        How many hosts there are does not count: a job that is taken up again by others finds the same tiles.
        """
        return replace(self, network_bytes=self.network_bytes // DIVIDED)


@dataclass(frozen=True)
class PipelineContext:
    """Everything a pipeline may touch.

    Attributes:
        registry: known models.
        access: which paths and hosts may be read and written.
        workdir: scratch folder of this job. It survives a restart; the runner removes it when the job has ended.
        backends: loaded and compiled networks, kept warm by the worker process.
        reporter: takes progress and says when to stop.
        ledger: finished units of this job.
        job_id: names the job in the provenance; a restarted job recognises its own output by it.
        owner: whose job it is; empty where nobody said.
        limits: what the job may use.
        threads: threads for reading and decoding; None picks by the machine.
        omero: the way into OMERO, as the job's owner; None where this process knows no server.
        attempt: how often the job was started, this time included; later attempts have higher numbers.
        site: where to find workers on other hosts; None where this process does the work.
    """

    registry: ModelRegistry
    access: AccessPolicy
    workdir: Path
    backends: BackendCache
    reporter: Reporter = field(default_factory=SilentReporter)
    ledger: UnitLedger = field(default_factory=MemoryLedger)
    job_id: str = "local"
    owner: str = ""
    limits: Limits = Limits()
    threads: int | None = None
    omero: Visitor | None = None
    attempt: int = 0
    site: DaskSite | None = None
