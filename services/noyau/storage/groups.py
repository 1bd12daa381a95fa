"""Zarr groups and their NGFF attributes, in both versions.

NGFF 0.4 keeps its attributes at the top of `.zattrs` of a Zarr 2 group, 0.5 under `attributes.ome` in `zarr.json` of a
Zarr 3 group. The rest of Noyau sees one `Group`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from noyau.storage.store import Store

NGFF_ZARR_FORMAT = {"0.4": 2, "0.5": 3}


@dataclass(frozen=True)
class Group:
    """A Zarr group that exists.

    Attributes:
        zarr_format: 2 or 3.
        attributes: its user attributes as stored.
    """

    zarr_format: int
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def ngff(self) -> dict[str, Any]:
        """The NGFF attributes: `multiscales`, `omero`, `labels`, `plate`, ..."""
        inner = self.attributes.get("ome") if self.zarr_format == 3 else self.attributes
        return inner if isinstance(inner, dict) else {}

    @property
    def version(self) -> str:
        """The NGFF version that a new group beside this one should have: `0.4` or `0.5`."""
        return "0.5" if self.zarr_format == 3 else "0.4"


def read_group(store: Store, key: str = "") -> Group | None:
    """The group at `key`, None where there is none (or an array)."""
    document = store.read_json(_join(key, "zarr.json"))
    if document is not None:
        return Group(3, document.get("attributes") or {}) if document.get("node_type", "group") == "group" else None
    attributes = store.read_json(_join(key, ".zattrs"))
    if store.read(_join(key, ".zgroup")) is None and (attributes is None or is_array(store, key)):
        return None
    return Group(2, attributes or {})


def is_array(store: Store, key: str = "") -> bool:
    """Whether a Zarr array (of either format) is at `key`."""
    if store.read(_join(key, ".zarray")) is not None:
        return True
    document = store.read_json(_join(key, "zarr.json"))
    return document is not None and document.get("node_type") == "array"


def write_group(store: Store, key: str, version: str, ngff: dict[str, Any], **others: Any) -> None:
    """Creates or replaces the documents of a group.

    Args:
        store, key: where.
        version: NGFF version.
        ngff: NGFF attributes; for 0.5 the version is added to them.
        others: attributes outside the NGFF ones.
    """
    if NGFF_ZARR_FORMAT[version] == 3:
        attributes = {"ome": {"version": version, **ngff}, **others} if ngff else dict(others)
        store.write_json(_join(key, "zarr.json"), _group_document(attributes))
        return
    store.write_json(_join(key, ".zgroup"), {"zarr_format": 2})
    store.write_json(_join(key, ".zattrs"), {**ngff, **others})


def ensure_group(store: Store, key: str, version: str) -> None:
    """Makes an empty group at `key` unless there is one."""
    if read_group(store, key) is None:
        write_group(store, key, version, {})


def update_listing(
    store: Store,
    key: str,
    version: str,
    *,
    add: str = "",
    drop: str = "",
    field_name: str = "labels",
    inside_ome: bool = True,
) -> None:
    """Adds a name to (or drops it from) the list of members that a `labels` or `tables` group keeps.

    Args:
        store, key: the listing group; it is created when absent.
        version: NGFF version.
        add, drop: names; empty means none.
        field_name: attribute that holds the list.
        inside_ome: for 0.5, whether the list belongs into the `ome` attributes.
    """
    ensure_group(store, key, version)

    def changed(names: Any) -> list[str]:
        kept = [n for n in (names or []) if n != drop]
        return [*kept, add] if add and add not in kept else kept

    def change_v2(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, field_name: changed(document.get(field_name))}

    def change_v3(document: dict[str, Any]) -> dict[str, Any]:
        attributes = dict(document.get("attributes") or {})
        if inside_ome:
            ome = dict(attributes.get("ome") or {"version": version})
            attributes["ome"] = {**ome, field_name: changed(ome.get(field_name))}
        else:
            attributes[field_name] = changed(attributes.get(field_name))
        return {**(document or _group_document({})), "attributes": attributes}

    if NGFF_ZARR_FORMAT[version] == 3:
        store.update_json(_join(key, "zarr.json"), change_v3)
    else:
        store.update_json(_join(key, ".zattrs"), change_v2)


def _group_document(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _join(key: str, name: str) -> str:
    return f"{key.strip('/')}/{name}" if key.strip("/") else name
