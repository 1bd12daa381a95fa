"""The durable record of finished write units of one leased job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from noyau.jobs import leasing
from noyau.jobs.codec import dump
from noyau.jobs.database import Database
from noyau.jobs.lease import Lease


class StoreLedger:
    """A `noyau.domain.progress.UnitLedger` in the job store. Safe to use from several threads."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease

    def finished(self, stage: str) -> Mapping[str, Mapping[str, Any]]:
        """Units of the stage that are done, each with its payload."""
        found = leasing.finished_units(self._database, self._lease, stage)
        return {unit: json.loads(payload) for unit, payload in found.items()}

    def forget(self) -> int:
        """Forgets all finished units; returns how many there were.

        Raises:
            LeaseLost: the job has changed hands.
        """
        return leasing.forget_units(self._database, self._lease)

    def mark(self, stage: str, unit: str, payload: Mapping[str, Any] | None = None) -> None:
        """Records a unit as done, durably, when this returns.

        Raises:
            LeaseLost: the job has changed hands.
        """
        leasing.mark_unit(self._database, self._lease, stage, unit, dump(dict(payload or {})))
