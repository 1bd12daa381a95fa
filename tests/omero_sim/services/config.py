"""IConfig and ITypes: settings of the server and its closed lists of values."""

from __future__ import annotations

import re
import time
from typing import Any

from omero import rtypes

from omero_sim import schema
from omero_sim.calls import Call
from omero_sim.errors import api_usage
from omero_sim.services.base import Service
from omero_sim.services.query import load_with
from omero_sim.sessions import MILLISECONDS
from omero_sim.values import entity_named

VERSION = "5.6.16"


class ConfigService(Service):
    """Settings that clients may read."""

    def getVersion(self, call: Call) -> str:
        """Version of the server that is simulated."""
        return VERSION

    def getConfigValue(self, call: Call, key: str) -> str:
        """One setting, empty when there is none."""
        return self.server.settings.get(key, "")

    def getConfigValues(self, call: Call, pattern: str) -> dict[str, str]:
        """Settings whose names match."""
        return {k: v for k, v in self.server.settings.items() if re.match(pattern, k)}

    def getConfigDefaults(self, call: Call) -> dict[str, str]:
        """All settings."""
        return dict(self.server.settings)

    def getClientConfigValues(self, call: Call) -> dict[str, str]:
        """Settings that are meant for clients."""
        return {k: v for k, v in self.server.settings.items() if k.startswith("omero.client.")}

    def getClientConfigDefaults(self, call: Call) -> dict[str, str]:
        """Settings that are meant for clients."""
        return self.getClientConfigValues(call)

    def getDatabaseUuid(self, call: Call) -> str:
        """What tells this database from others."""
        return self.server.settings["omero.db.uuid"]

    def getServerTime(self, call: Call) -> Any:
        """Now."""
        return rtypes.rtime(int(time.time() * MILLISECONDS))

    def getDatabaseTime(self, call: Call) -> Any:
        """Now."""
        return self.getServerTime(call)


class TypesService(Service):
    """Enumerations."""

    def allEnumerations(self, call: Call, entity: str) -> list[Any]:
        """Every value of an enumeration."""
        return [load_with(self, call, r, {}) for r in self.store.all(_enumeration(entity))]

    def getEnumeration(self, call: Call, entity: str, value: str) -> Any:
        """One value of an enumeration."""
        found = self.store.first(_enumeration(entity), value=value)
        if found is None:
            raise api_usage(f"An {entity} does not exist with the value: {value}")
        return load_with(self, call, found, {})


def _enumeration(entity: str) -> str:
    name = entity_named(entity)
    if not schema.is_entity(name) or not schema.is_enumeration(name):
        raise api_usage(f"{entity} is not an enumeration")
    return name
