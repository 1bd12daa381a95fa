"""Whether a worker that takes a job up again sees what the earlier one left in the job's folder.

Coordinators of one database should have one work folder. Where they have not, the ledger names parts as finished whose
files lie on another host; such a job begins anew instead of failing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

_LOG = logging.getLogger(__name__)
BEGUN = ".begun"
"""In the folder of every job that was begun."""
_TOLD = (
    "The files of the earlier attempt are not on this host, so the job begins anew. Coordinators of one database "
    "should share one work folder (dask.scratch, or the same state_dir on shared storage)."
)


def take_up(folder: Path, attempts: int, forget: Callable[[], int], tell: Callable[[str], None]) -> None:
    """Prepares the folder of a job and makes sure that its ledger tells the truth about it.

    Args:
        folder: of the job; made where it is absent.
        attempts: how often the job was started, this time included.
        forget: empties the ledger; returns how many parts it named.
        tell: takes a warning for those who wait for the job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_known = (folder / BEGUN).exists()
    (folder / BEGUN).touch()
    if not is_known and attempts > 1 and forget():
        _LOG.warning("%s", _TOLD)
        tell(_TOLD)
