"""Plates, wells and fields: one target that means many images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput
from noyau.domain.image import ImageRef
from noyau.sources.opening import require_group
from noyau.storage.groups import Group, read_group
from noyau.storage.options import StorageOptions
from noyau.storage.store import Store

WELLS_AT_ONCE = 16


def expand(ref: ImageRef, *, access: AccessPolicy, options: StorageOptions | None = None) -> list[ImageRef]:
    """The images that a reference means: all fields of a plate or a well, all series of a converted file, or itself.

    Args:
        ref: image, field, well, plate, or the root of a bioformats2raw conversion.
        access: where images may live.
        options: threads and S3 server.

    Returns:
        references in the order of the metadata (row, column, field); at least one.

    Raises:
        NotFound, PermissionRefused, InvalidInput: as `open_image`; a plate or well without images is InvalidInput.
    """
    uri = access.check(ref.uri)
    store = Store(uri, options or StorageOptions.of(access))
    group = require_group(store, uri)
    found = [ref.at(store.locate(path)) for path in _paths(store, group, uri)]
    for image in found:
        access.check(image.uri)
    return found or [ref.at(uri)]


def _paths(store: Store, group: Group, uri: str) -> list[str]:
    """Paths of the images below a group; empty when the group is an image (or nothing that has members)."""
    ngff = group.ngff
    if "multiscales" in ngff:
        return []
    if isinstance(ngff.get("plate"), dict):
        wells = _members(ngff["plate"], "wells", uri)
        with ThreadPoolExecutor(WELLS_AT_ONCE) as pool:  # a remote plate of 384 wells would take a minute one by one
            found = list(pool.map(partial(read_group, store), wells))
        paths = []
        for well, inner in zip(wells, found, strict=True):
            if inner is None:
                raise InvalidInput(f"Well '{well}' of plate '{uri}' does not exist.")
            paths += [f"{well}/{field}" for field in _fields(inner, f"{uri}/{well}")]
        return _some(paths, "plate", uri)
    if isinstance(ngff.get("well"), dict):
        return _some(_fields(group, uri), "well", uri)
    if "bioformats2raw.layout" in {**group.attributes, **ngff}:
        return _some(_series(store), "image file", uri)
    return []


def _fields(well: Group, uri: str) -> list[str]:
    return _members(well.ngff.get("well") or {}, "images", uri)


def _series(store: Store) -> list[str]:
    """Series of a bioformats2raw conversion: listed in the group OME, otherwise counted from 0."""
    listing = read_group(store, "OME")
    listed = (listing.ngff.get("series") or listing.attributes.get("series")) if listing else None
    if isinstance(listed, list) and listed:
        return [_below(path, store.uri) for path in listed]
    found: list[str] = []
    while read_group(store, str(len(found))) is not None:
        found.append(str(len(found)))
    return found


def _members(parent: dict[str, Any], key: str, uri: str) -> list[str]:
    entries = parent.get(key)
    if not isinstance(entries, list):
        raise InvalidInput(f"The metadata of '{uri}' lists no {key}.")
    return [_below(entry.get("path") if isinstance(entry, dict) else None, uri) for entry in entries]


def _below(path: Any, uri: str) -> str:
    if not isinstance(path, str) or not path.strip("/") or ".." in path.split("/"):
        raise InvalidInput(f"The metadata of '{uri}' names a path that is not below it: {path!r}.")
    return path.strip("/")


def _some(paths: list[str], what: str, uri: str) -> list[str]:
    if not paths:
        raise InvalidInput(f"The {what} '{uri}' has no images.")
    return paths
