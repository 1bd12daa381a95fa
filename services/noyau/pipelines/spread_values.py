"""What is said to workers on other hosts: small frozen values that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

from noyau.domain.jobs import SegmentSpec
from noyau.pipelines.context import Limits
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.statistics import Intensity
from noyau.planning.units import Unit

ROOM = "noyau.pipelines.spread_work"
"""Where the functions are that do the orders."""


@dataclass(frozen=True)
class Assignment:
    """What is the same for all orders of a job.

    Attributes:
        job_id, owner, attempt: of the job.
        spec: the request.
        limits: what the job may use.
        device, backend: what runs its networks.
    """

    job_id: str
    owner: str
    attempt: int
    spec: SegmentSpec
    limits: Limits
    device: str
    backend: str


@dataclass(frozen=True)
class ImageWork:
    """An image of a job."""

    assignment: Assignment
    planned: SegmentItem


@dataclass(frozen=True)
class FrameWork:
    """Parts of one time point.

    Attributes:
        image: the image.
        time: time point.
        units: write units of its label array.
        intensity: what normalises it.
        folder: its scratch, relative to that of the job.
        prefix: begins the names of its units in the ledger.
        stage: what to do.
        names: of the tiles or units to do it to.
        numbers: file with the final numbers, relative to `folder`; for writing.
    """

    image: ImageWork
    time: int
    units: tuple[Unit, ...]
    intensity: Intensity
    folder: str
    prefix: str
    stage: str = ""
    names: tuple[str, ...] = ()
    numbers: str = ""

    @property
    def identity(self) -> tuple[str, int, str]:
        """Frames with the same one are the same."""
        return self.image.assignment.job_id, self.image.assignment.attempt, self.folder
