"""A JSON document as names and texts, for the key-value annotations of OMERO."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def flatten(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested names joined by dots; lists as JSON; what is empty is left out.

    Args:
        document: mappings of mappings, lists and plain values.
        prefix: begins each name.
    """
    found: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            found |= {f"{prefix}{name}": json.dumps(value)} if value else {}
        elif value is not None and value != "":
            found[f"{prefix}{name}"] = str(value)
    return found
