"""Where results go: the image's own Zarr group, or another one for images that cannot be written to."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, InvalidInput, NoyauError
from noyau.storage.groups import Group, is_array, read_group, write_group
from noyau.storage.names import check_name
from noyau.storage.options import StorageOptions
from noyau.storage.store import Store

ROOMS = ("labels", "tables", "noyau")
"""Groups of a target that hold results: label images, ngio tables, our files."""


class Target:
    """An existing or future Zarr group that takes results.

    Attributes:
        uri: canonical URI.
        store: files below it.
        version: NGFF version of what is written into it.
        exists: whether the group was there when the target was opened.
        image: URI of the image that the results are about.
    """

    def __init__(self, uri: str, store: Store, version: str, exists: bool, image: str) -> None:
        self.uri = uri
        self.store = store
        self.version = version
        self.exists = exists
        self.image = image

    @classmethod
    def open(cls, uri: str, *, access: AccessPolicy, image: str | None = None) -> Target:
        """Finds out what is at `uri` without changing anything.

        Args:
            uri: the image itself, or a group for its results that may not exist yet.
            access: where results may be written.
            image: the image, when `uri` is another place.

        Raises:
            FailedPrecondition: an http address.
            PermissionRefused: outside the roots, also through a link.
            InvalidInput: a file or a folder that is no Zarr group is in the way.
        """
        place = access.check(uri, write=True)
        store = Store(place, StorageOptions.of(access, cache_bytes=0))
        for room in ROOMS:
            access.check(store.locate(room), write=True)  # a room may be a link that leads elsewhere
        source = access.check(image) if image else place
        group = read_group(store)
        if group is None:
            if store.is_local and store.path.is_file():
                raise InvalidInput(f"'{place}' is a file; results need a folder.")
            if is_array(store) or (store.is_local and _occupied(store.path)):
                raise InvalidInput(f"'{place}' is neither an OME-Zarr nor an empty folder.", "Name another output.")
            like = read_group(Store(source, StorageOptions.of(access))) if source != place else None
            return cls(place, store, like.version if like else "0.5", False, source)
        return cls(place, store, group.version, True, source)

    def group(self, key: str) -> Group | None:
        """A group of the target, None where it does not exist."""
        return read_group(self.store, key)

    def owner(self, room: str, name: str) -> str | None:
        """The job that wrote `room/name`; empty when somebody else did, None when it does not exist."""
        if not self.store.exists(f"{room}/{name}"):
            return None
        group = self.group(f"{room}/{name}")
        ours = group.attributes.get("noyau") if group else None
        return str(ours.get("job", "")) if isinstance(ours, dict) else ""

    def create(self) -> list[str]:
        """Makes the group when it does not exist; returns the keys of what was made (to be taken back by `prune`)."""
        if read_group(self.store) is not None:
            return []
        write_group(self.store, "", self.version, {}, noyau={"image": self.image})
        return [""]

    def create_room(self, room: str) -> list[str]:
        """Makes the target and one of its rooms; returns the keys of what was made."""
        made = self.create()
        if read_group(self.store, room) is None:
            write_group(self.store, room, self.version, {})
            made.append(room)
        return made

    def prune(self, made: Collection[str]) -> None:
        """Takes back rooms and the target that were made for results that did not come to be, if they are empty."""
        for room in ROOMS:
            folder = self.store.path / room if self.store.is_local else None
            # A folder whose first file did not fit on the disk is no room yet.
            stillborn = folder is not None and folder.is_dir() and not any(folder.iterdir())
            if stillborn or (room in made and not self.store.folders(room)):
                self.store.remove(room)
        if "" in made and not self.store.folders(""):
            for name in ("zarr.json", ".zgroup", ".zattrs"):
                self.store.remove(name)
            if self.store.is_local and self.store.path.is_dir() and not any(self.store.path.iterdir()):
                self.store.path.rmdir()

    def probe(self) -> None:
        """Writes and removes a small file where the results will go.

        Raises:
            FailedPrecondition: the place is read-only for this service.
            LimitExceeded: no space is left.
        """
        if self.store.is_local:
            parent = self.store.path
            while not parent.exists():
                parent = parent.parent
            store = Store(str(parent))
        else:
            store = self.store
        name = f".noyau-{uuid4().hex}.probe"
        try:
            store.write(name, b"noyau", what=self.uri)
        finally:
            with suppress(NoyauError):
                store.remove(name)


def _occupied(folder: Path) -> bool:
    """Whether a folder holds anything but what a killed process of ours began to write there."""
    # tensorstore writes beside, under this suffix, and renames; `probe` writes and removes.
    leftovers = ("zarr.json.__lock", ".zgroup.__lock", ".zattrs.__lock")
    return folder.is_dir() and not all(
        path.name in leftovers or (path.name.startswith(".noyau-") and ".probe" in path.suffixes)
        for path in folder.iterdir()
    )


def preflight(
    target: str,
    name: str,
    *,
    access: AccessPolicy,
    image: str | None = None,
    overwrite: bool = False,
    job: str = "",
    rooms: Collection[str] = ROOMS,
) -> Target:
    """Finds out before any work whether the results can be written. Nothing is left behind.

    Args:
        target: the image, or a group of its own for the results.
        name: label group.
        access: where results may be written.
        image: the image, when `target` is another place.
        overwrite: existing results of this name may be replaced.
        job: results that this same job wrote earlier are not in the way.
        rooms: which results will be written (`labels`, `tables`, `noyau`).

    Raises:
        FailedPrecondition: read-only.
        AlreadyExists: results of this name are there.
        PermissionRefused, InvalidInput, LimitExceeded: as they say.
    """
    check_name(name)
    place = Target.open(target, access=access, image=image)
    place.probe()
    for room in rooms:
        require_free(place, room, name, overwrite=overwrite, job=job)
    return place


def require_free(place: Target, room: str, name: str, *, overwrite: bool, job: str) -> bool:
    """Whether `room/name` was written by this same job; refuses other people's unless `overwrite`."""
    owner = place.owner(room, name)
    if owner is None:
        return False
    if owner and owner == job:
        return True
    if not overwrite:
        raise AlreadyExists(
            f"'{place.uri}' has results named '{name}' already ({room}/{name}).",
            "Choose another name with --labels, or replace them with --overwrite.",
        )
    return False


def target_for(image: str, output: str | None, *, many: bool) -> str:
    """Where the results of one image go.

    Args:
        image: URI of the image.
        output: root for results; None means the image itself.
        many: the root holds one group per image, named like the image (with the well for a field of a plate).
    """
    if output is None:
        return image
    if not many:
        return output
    parts = [part for part in image.split("://", 1)[-1].split("/") if part]
    start = next((i for i in range(len(parts) - 1, -1, -1) if ".zarr" in parts[i]), len(parts) - 1)
    stem, rest = parts[start].removesuffix(".zarr").removesuffix(".ome"), parts[start + 1 :]
    return f"{output.rstrip('/')}/{'_'.join([stem, *rest])}.ome.zarr"
