"""IUpdate: writing objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_sim.calls import Call
from omero_sim.deleting import Deletion, Options, Refused
from omero_sim.errors import api_usage, invalid, security
from omero_sim.loading import Loader
from omero_sim.saving import Saver
from omero_sim.services.base import Service
from omero_sim.values import entity_of


class UpdateService(Service):
    """Saves graphs of objects; every call is one transaction."""

    def saveObject(self, call: Call, instance: Any) -> None:
        """Saves one."""
        self._save(call, [instance])

    def saveCollection(self, call: Call, instances: Sequence[Any]) -> None:
        """Saves several, or none."""
        self._save(call, instances)

    def saveArray(self, call: Call, instances: Sequence[Any]) -> None:
        """Saves several, or none."""
        self._save(call, instances)

    def saveAndReturnObject(self, call: Call, instance: Any) -> Any:
        """Saves one and returns what it became."""
        return self._save(call, [instance], answer=True)[0]

    def saveAndReturnArray(self, call: Call, instances: Sequence[Any]) -> list[Any]:
        """Saves several, or none, and returns what they became."""
        return self._save(call, instances, answer=True)

    def saveAndReturnIds(self, call: Call, instances: Sequence[Any]) -> list[int]:
        """Saves several, or none, and returns their ids."""
        with self.store.transaction():
            saver = Saver(self.store, call.context, call.event())
            return [saver.save(instance).id for instance in instances]

    def deleteObject(self, call: Call, instance: Any) -> None:
        """Deletes one."""
        record = self.store.find(entity_of(instance), instance._id._val if instance._id is not None else None)
        if record is None:
            raise api_usage("The object to delete does not exist")
        with self.store.transaction():
            try:
                deletion = Deletion(self.store, call.context, Options()).plan([record])
            except Refused as error:
                raise security(str(error)) from error
            others = [r for r in deletion.gone if r is not record and r.entity in ("Image", "Dataset")]
            if others:
                raise invalid(f"could not delete {record}: needed by {others}")
            deletion.carry_out(self.server.files.discard)

    def _save(self, call: Call, instances: Sequence[Any], *, answer: bool = False) -> list[Any]:
        if instances is None:
            raise api_usage("Argument cannot be null")
        with self.store.transaction():
            saver = Saver(self.store, call.context, call.event())
            records = [saver.save(instance) for instance in instances]
            if not answer:
                return []
            loader = Loader(self.store, call.context, saver.loaded())
            return [loader.load(record) for record in records]
