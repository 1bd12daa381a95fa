"""Writes what comes with the labels: tables, the overview picture and the provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import NoyauError
from noyau.sinks.tables import feature_table_attributes, to_arrow, to_csv, to_parquet
from noyau.sinks.target import Target, require_free
from noyau.storage.consolidated import refresh
from noyau.storage.groups import update_listing, write_group
from noyau.storage.names import check_name
from noyau.storage.replacing import discard, swap

CSV, PARQUET, OVERVIEW, PROVENANCE = "nuclei.csv", "nuclei.parquet", "overview.png", "provenance.json"


@dataclass(frozen=True)
class ResultUris:
    """Where results are; empty for what was not written."""

    table: str = ""
    csv: str = ""
    parquet: str = ""
    overview: str = ""
    provenance: str = ""


class ResultSink:
    """Files about one set of labels: `noyau/<name>/...` and the ngio feature table `tables/<name>`.

    Life: `create` -> `write_table`, `write_overview`, `write_provenance`, `write_file` -> `commit`; or `abort`.
    """

    def __init__(self, target: Target, name: str, job: str, overwrite: bool) -> None:
        self._target = target
        self._name = name
        self._job = job
        self._overwrite = overwrite
        self._made: list[str] = []
        self._rooms: set[str] = set()
        self._files: set[str] = set()

    @classmethod
    def create(
        cls,
        target: str,
        name: str,
        *,
        access: AccessPolicy,
        job: str,
        image: str | None = None,
        overwrite: bool = False,
    ) -> ResultSink:
        """Prepares to write; nothing is written yet.

        Args:
            target: the image, or another group for its results (made when absent).
            name: the label group that the results belong to.
            access: where results may be written.
            job: id of the job; its own earlier results are replaced without `overwrite`.
            image: the image, when `target` is another place.
            overwrite: replace results of this name; they stay until `commit`.

        Raises:
            AlreadyExists, FailedPrecondition, InvalidInput, PermissionRefused.
        """
        place = Target.open(target, access=access, image=image)
        check_name(name)
        for room in ("tables", "noyau"):
            require_free(place, room, name, overwrite=overwrite, job=job)
        return cls(place, name, job, overwrite)

    def write_table(self, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
        """Stores the table as Parquet, CSV and ngio feature table.

        Args:
            columns: equally long, in order; `label` holds the numbers of the objects.
            metadata: small texts stored with the Parquet schema (model, job, units).
        """
        table = to_arrow(columns, metadata)
        parquet = to_parquet(table)
        self.write_file(PARQUET, parquet)
        self.write_file(CSV, to_csv(table))
        self._put("tables", "table.parquet", parquet)

    def write_overview(self, png: bytes) -> None:
        """Stores the overview picture."""
        self.write_file(OVERVIEW, png)

    def write_provenance(self, document: Mapping[str, Any]) -> None:
        """Stores what the results were made with, as JSON."""
        self.write_file(PROVENANCE, json.dumps(document, indent=2, sort_keys=True, default=str).encode())

    def write_file(self, name: str, data: bytes) -> None:
        """Stores another file beside them."""
        self._put("noyau", name, data)
        self._files.add(name)

    def commit(self) -> ResultUris:
        """Makes everything that was written visible; returns where it is.

        Raises:
            AlreadyExists: another job made results of this name visible in the meantime.
        """
        version, store = self._target.version, self._target.store
        for room in sorted(self._rooms):
            require_free(self._target, room, self._name, overwrite=self._overwrite, job=self._job)
        for room in sorted(self._rooms):
            attributes = feature_table_attributes(self._name) if room == "tables" else {}
            write_group(store, f"{room}/{self._partial()}", version, {}, **attributes, noyau={"job": self._job})
        for room in sorted(self._rooms):
            swap(store.child(room), self._partial(), self._name, tag=self._job)
        if "tables" in self._rooms:
            update_listing(store, "tables", version, add=self._name, field_name="tables", inside_ome=False)
        refresh(store, sorted(self._rooms))
        return self.uris()

    def uris(self) -> ResultUris:
        """Where the results are (or will be)."""
        base = self._target.store.locate(f"noyau/{self._name}")
        table = self._target.store.locate(f"tables/{self._name}") if "tables" in self._rooms else ""
        where = [f"{base}/{name}" if name in self._files else "" for name in (CSV, PARQUET, OVERVIEW, PROVENANCE)]
        return ResultUris(table, *where)

    def abort(self) -> None:
        """Removes everything that this sink wrote and is not committed; earlier results of the name stay."""
        with suppress(NoyauError):  # called while another error is on its way: that one is the one to tell
            for room in self._rooms:
                discard(self._target.store.child(room), self._name, tag=self._job)
            self._target.prune(self._made)

    def _put(self, room: str, name: str, data: bytes) -> None:
        if room not in self._rooms:
            self._made += self._target.create_room(room)
            self._rooms.add(room)
            discard(self._target.store.child(room), self._name, tag=self._job)
        self._target.store.write(f"{room}/{self._partial()}/{name}", data)

    def _partial(self) -> str:
        return f".{self._name}.{self._job}.partial"
