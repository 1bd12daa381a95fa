"""The units that an earlier attempt of a job finished, read once: a plate has many images, each with its own few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noyau.domain.progress import UnitLedger

Units = dict[str, Mapping[str, Any]]


class UnitBook:
    """A `UnitLedger` seen by prefix (image and time point).

    Only this process writes the job's ledger while it runs, so what was read at the start plus what was marked since
    is what the ledger holds.

    Args:
        ledger: the durable record.
    """

    def __init__(self, ledger: UnitLedger) -> None:
        self._ledger = ledger
        self._stages: dict[str, dict[str, Units]] = {}

    def finished(self, stage: str, prefix: str) -> Units:
        """Names (without the prefix) and payloads of the finished units of a stage."""
        return self._stage(stage).get(prefix, {})

    def mark(self, stage: str, prefix: str, name: str, payload: Mapping[str, Any] | None = None) -> None:
        """Records a unit as done, after its data is stored. See `UnitLedger.mark`."""
        self._ledger.mark(stage, f"{prefix}/{name}", payload)
        self._stage(stage).setdefault(prefix, {})[name] = dict(payload or {})

    def _stage(self, stage: str) -> dict[str, Units]:
        if stage not in self._stages:
            groups: dict[str, Units] = {}
            for unit, payload in self._ledger.finished(stage).items():
                prefix, _, name = unit.rpartition("/")
                groups.setdefault(prefix, {})[name] = payload
            self._stages[stage] = groups
        return self._stages[stage]
