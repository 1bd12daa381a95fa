"""Keeps consolidated metadata true after groups were added.

Some writers store a copy of all metadata of a hierarchy at its root (Zarr 2: `.zmetadata`; Zarr 3: inside the root's
`zarr.json`). zarr-python believes that copy, so labels that are not in it do not exist for its users.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from noyau.storage.store import Store

DOCUMENTS_V2 = (".zgroup", ".zarray", ".zattrs")


def refresh(store: Store, rooms: Collection[str]) -> None:
    """Renews the entries of some top-level groups in the consolidated metadata, where there is any.

    Args:
        store: the root of the hierarchy.
        rooms: names of groups directly below it.

    Raises:
        NoyauError: the metadata cannot be read or written.
    """
    if store.read(".zmetadata") is not None:
        found = _documents(store, rooms, DOCUMENTS_V2)

        def change_v2(document: dict[str, Any]) -> dict[str, Any]:
            return {**document, "metadata": {**_others(document.get("metadata"), rooms), **found}}

        store.update_json(".zmetadata", change_v2)
    if "consolidated_metadata" in (store.read_json("zarr.json") or {}):
        entries = {key.rpartition("/")[0]: value for key, value in _documents(store, rooms, ("zarr.json",)).items()}

        def change_v3(document: dict[str, Any]) -> dict[str, Any]:
            block = document.get("consolidated_metadata") or {"kind": "inline", "must_understand": False}
            merged = {**block, "metadata": {**_others(block.get("metadata"), rooms), **entries}}
            return {**document, "consolidated_metadata": merged}

        store.update_json("zarr.json", change_v3)


def _documents(store: Store, rooms: Collection[str], names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Metadata documents below the rooms by key, without groups that are still being written."""
    found: dict[str, dict[str, Any]] = {}
    for room in rooms:
        for name in store.names(room):
            key = f"{room}/{name}"
            hidden = any(part.startswith(".") for part in key.split("/")[:-1])
            if key.rpartition("/")[2] in names and not hidden:
                document = store.read_json(key)
                if document is not None:
                    found[key] = document
    return found


def _others(metadata: Any, rooms: Collection[str]) -> dict[str, Any]:
    entries = metadata if isinstance(metadata, dict) else {}
    return {key: value for key, value in entries.items() if key.split("/")[0] not in rooms}
