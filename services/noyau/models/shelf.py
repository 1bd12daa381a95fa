"""All versions of one name, over the home and the folders of packages, and what a reference to it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from noyau.domain.catalogue import LATEST, PRODUCTION, ModelEntry, Origin
from noyau.domain.errors import DamagedData, NotFound
from noyau.domain.model import ModelInfo
from noyau.models.description import MODEL_FILE, read_info
from noyau.models.home import ModelHome
from noyau.models.index import Index, Version
from noyau.models.references import is_name, version_key


@dataclass(frozen=True)
class Volume:
    """One version on the shelf.

    Attributes:
        name, number: e.g. `nuclei-3d`, `2`.
        origin: where it is from.
        read: reads its description.
        folder: gives a local folder with its files.
        stored: what the home's index says of it; None where it is not registered.
    """

    name: str
    number: str
    origin: Origin
    read: Callable[[], ModelInfo]
    folder: Callable[[], Path]
    stored: Version | None = None

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.number}"

    def info(self) -> ModelInfo:
        """Its description.

        Raises:
            NotFound, DamagedData: it is not there, cannot be understood, or is of other weights than registered.
        """
        found = self.read()
        if self.stored is not None and found.digest != self.stored.digest:
            raise DamagedData(
                f"The description of {self.ref} names the weights {found.digest}, but {self.stored.digest} were "
                "registered.",
                "Restore the package from a copy, or register it again as a new version.",
            )
        return found


@dataclass(frozen=True)
class Shelf:
    """The versions of one name, oldest first, and the index that tells its aliases."""

    name: str
    volumes: dict[str, Volume] = field(default_factory=dict)
    index: Index = field(default_factory=Index)

    @property
    def aliases(self) -> dict[str, str]:
        """What every alias points to, `latest` among them."""
        latest = {LATEST: list(self.volumes)[-1]} if self.volumes else {}
        return {name: alias.version for name, alias in sorted(self.index.aliases.items())} | latest

    @property
    def described(self) -> str:
        """A sentence about what there is of the name."""
        versions = ", ".join(volume.ref for volume in self.volumes.values()) or "none"
        aliases = ", ".join(f"{alias} (version {version})" for alias, version in self.aliases.items()) or "none"
        return f"Known versions: {versions}; aliases: {aliases}."

    def pick(self, selector: str) -> Volume:
        """The version that a selector means.

        Args:
            selector: a version, an alias, `latest`, or empty: `production` where that is set, else `latest`.

        Raises:
            NotFound: there is none.
        """
        if selector in self.volumes:
            return self.volumes[selector]
        aliases = self.aliases
        wanted = selector or (PRODUCTION if PRODUCTION in aliases else LATEST)
        if wanted not in aliases:
            raise NotFound(f"There is no model '{self.name}@{selector}'.", self.described)
        if aliases[wanted] not in self.volumes:
            raise NotFound(
                f"The alias '{self.name}@{wanted}' points to version {aliases[wanted]}, which is not there.",
                f"Let it point to one of {', '.join(self.volumes) or 'none'}, with `noyau models alias` or `rollback`.",
            )
        return self.volumes[aliases[wanted]]

    def entry(self, volume: Volume) -> ModelEntry:
        """What there is to tell of a version.

        Raises:
            NotFound, DamagedData: its description cannot be read.
        """
        stored = volume.stored
        return ModelEntry(
            info=volume.info(),
            origin=volume.origin,
            aliases=tuple(sorted(alias for alias, version in self.aliases.items() if version == volume.number)),
            by=stored.by if stored else "",
            registered=stored.at if stored else None,
        )


def build_shelf(name: str, home: ModelHome | None, folders: Sequence[tuple[Path, Origin]]) -> Shelf:
    """Collects the versions of a name; of two with one number the home's wins, then that of the first folder.

    Raises:
        DamagedData: the index cannot be understood.
        Unavailable: the home is on S3, which does not answer.
    """
    if not is_name(name):
        return Shelf(name)
    index = home.index(name) if home is not None else Index()
    return shelf_of(name, home, index, folders)


def shelf_of(name: str, home: ModelHome | None, index: Index, folders: Sequence[tuple[Path, Origin]]) -> Shelf:
    """The same from an index that was read already."""
    found: dict[str, Volume] = {}
    if home is not None:
        for number, stored in index.versions.items():
            found[number] = _registered(home, name, number, stored)
    for volume in folder_volumes(name, folders):
        found.setdefault(volume.number, volume)
    ordered = dict(sorted(found.items(), key=lambda item: version_key(item[0])))
    return Shelf(name, ordered, index)


def folder_volumes(name: str, folders: Sequence[tuple[Path, Origin]]) -> Iterator[Volume]:
    """The versions of a name in folders of packages."""
    for root, origin in folders:
        for file in sorted((root / name).glob(f"*/{MODEL_FILE}")):
            yield _in_folder(name, file.parent, origin)


def _registered(home: ModelHome, name: str, number: str, stored: Version) -> Volume:
    return Volume(
        name,
        number,
        Origin.REGISTERED,
        read=lambda: home.info(name, number, stored),
        folder=lambda: home.folder(name, number, stored),
        stored=stored,
    )


def _in_folder(name: str, folder: Path, origin: Origin) -> Volume:
    return Volume(name, folder.name, origin, read=lambda: read_info(folder), folder=lambda: folder)
