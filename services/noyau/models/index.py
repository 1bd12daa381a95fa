"""The index of one model's name: versions, aliases and history, as one document that is replaced in one step.

All functions here are pure: they take an index and give the next one. `noyau.models.home` stores it, and repeats a
change when somebody else made one in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from noyau.domain.catalogue import ModelAction, ModelEvent
from noyau.domain.errors import DamagedData, FailedPrecondition, NotFound
from noyau.models.references import is_version, next_version, version_key

FORMAT = 1
STALE = timedelta(days=1)
"""A registration that has not ended after this time never will."""
_STEPS_BACK = 100


@dataclass(frozen=True)
class StoredFile:
    """Size in bytes and sha256 (hexadecimal) of a file of a package."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Version:
    """A registered version.

    Attributes:
        digest: of its weights, as the package says.
        by, at: who registered it and when, UTC.
        files: every file of the package by its path.
        key: the same registration again gives this version instead of a new one; empty: none.
    """

    digest: str
    by: str
    at: datetime
    files: dict[str, StoredFile]
    key: str = ""


@dataclass(frozen=True)
class Alias:
    """What an alias points to, and where it pointed before, oldest first."""

    version: str
    previous: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reservation:
    """A version number that a registration under way will use."""

    token: str
    at: datetime
    key: str = ""


@dataclass(frozen=True)
class Index:
    """What there is of one name; versions that were removed are never given again."""

    versions: dict[str, Version] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    reserved: dict[str, Reservation] = field(default_factory=dict)
    retired: tuple[str, ...] = ()
    events: tuple[ModelEvent, ...] = ()

    @property
    def used(self) -> frozenset[str]:
        """Every version number that was ever given."""
        return frozenset((*self.versions, *self.reserved, *self.retired))


@cache
def _adapter() -> TypeAdapter[Index]:
    return TypeAdapter(Index)


def decode(document: dict[str, Any] | None, where: str) -> Index:
    """The index in a document; an empty one where there is none.

    Raises:
        DamagedData: it cannot be understood.
    """
    if not document:
        return Index()
    values = dict(document)
    if values.pop("format", None) != FORMAT:
        raise DamagedData(f"The model index '{where}' is not of format {FORMAT}.", REMEDY)
    try:
        return _adapter().validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DamagedData(f"The model index '{where}' is damaged at '{place}': {first['msg']}.", REMEDY) from error


REMEDY = "Restore the file from a copy, or make it again from the packages with `noyau models repair`."


def encode(index: Index) -> dict[str, Any]:
    """The document of an index."""
    return {"format": FORMAT, **_adapter().dump_python(index, mode="json")}


def reserve(index: Index, wanted: str, taken: Collection[str], reservation: Reservation) -> tuple[Index, str]:
    """Sets a version number aside.

    Args:
        index: as it is.
        wanted: the number that the package bears; taken where it is free.
        taken: numbers that are used elsewhere.
        reservation: who needs it.
    """
    used = index.used | frozenset(taken)
    version = wanted if is_version(wanted) and wanted not in used else next_version(used)
    return replace(index, reserved={**index.reserved, version: reservation}), version


def find_key(index: Index, key: str) -> str | None:
    """The version that was registered under a key."""
    return next((version for version, stored in index.versions.items() if key and stored.key == key), None)


def settle(index: Index, number: str, token: str, version: Version) -> Index:
    """Turns a reservation into a version.

    Raises:
        FailedPrecondition: the reservation was given up meanwhile, because it took too long.
    """
    held = index.reserved.get(number)
    if held is None or held.token != token:
        raise FailedPrecondition(f"The registration of version {number} took too long.", "Register the model again.")
    reserved = {name: other for name, other in index.reserved.items() if name != number}
    event = ModelEvent(version.at, version.by, ModelAction.REGISTERED, number)
    versions = {**index.versions, number: version}
    return replace(index, versions=versions, reserved=reserved, events=(*index.events, event))


def give_up(index: Index, number: str, token: str) -> Index:
    """Takes a reservation back; its number is free again."""
    held = index.reserved.get(number)
    if held is None or held.token != token:
        return index
    reserved = {name: other for name, other in index.reserved.items() if name != number}
    return replace(index, reserved=reserved)


def stale(index: Index, now: datetime, key: str) -> tuple[tuple[str, str], ...]:
    """Reservations (number, token) that nobody works on any more: very old ones, and that of an earlier attempt."""
    return tuple(
        (number, held.token)
        for number, held in index.reserved.items()
        if now - held.at > STALE or (key and held.key == key)
    )


def point(index: Index, alias: str, version: str, by: str, now: datetime) -> Index:
    """Lets an alias point to a version; nothing changes where it does already."""
    before = index.aliases.get(alias)
    if before is not None and before.version == version:
        return index
    previous = () if before is None else (*before.previous, before.version)[-_STEPS_BACK:]
    event = ModelEvent(now, by, ModelAction.ALIAS, version, alias, before.version if before else "")
    aliases = {**index.aliases, alias: Alias(version, previous)}
    return replace(index, aliases=aliases, events=(*index.events, event))


def step_back(index: Index, alias: str, known: Sequence[str], by: str, now: datetime) -> tuple[Index, str]:
    """Lets an alias point to what it pointed to before; where that is not known, to the next older version.

    Args:
        index: as it is.
        alias: which one.
        known: all versions of the name, oldest first.
        by, now: for the history.

    Raises:
        NotFound: there is no such alias.
        FailedPrecondition: there is nothing to go back to.
    """
    current = require_alias(index, alias)
    previous = [version for version in current.previous if version in known]
    if previous:
        target, rest = previous[-1], tuple(previous[:-1])
    else:
        older = [version for version in known if version_key(version) < version_key(current.version)]
        if not older:
            raise FailedPrecondition(
                f"There is no version before {current.version} that '{alias}' could go back to.",
                "Let it point to another version with `noyau models alias`.",
            )
        target, rest = older[-1], ()
    event = ModelEvent(now, by, ModelAction.ROLLBACK, target, alias, current.version)
    aliases = {**index.aliases, alias: Alias(target, rest)}
    return replace(index, aliases=aliases, events=(*index.events, event)), target


def drop_alias(index: Index, alias: str, by: str, now: datetime) -> Index:
    """Takes an alias away.

    Raises:
        NotFound: there is no such alias.
    """
    current = require_alias(index, alias)
    event = ModelEvent(now, by, ModelAction.UNALIAS, current.version, alias, current.version)
    aliases = {name: other for name, other in index.aliases.items() if name != alias}
    return replace(index, aliases=aliases, events=(*index.events, event))


def withdraw(index: Index, number: str, by: str, now: datetime) -> Index:
    """Takes a version out.

    Raises:
        FailedPrecondition: an alias points to it.
    """
    pointing = sorted(name for name, alias in index.aliases.items() if alias.version == number)
    if pointing:
        raise FailedPrecondition(
            f"Version {number} cannot be removed: the alias {', '.join(pointing)} points to it.",
            "Let the alias point to another version first.",
        )
    versions = {name: other for name, other in index.versions.items() if name != number}
    event = ModelEvent(now, by, ModelAction.REMOVED, number)
    retired = (*index.retired, number)
    return replace(index, versions=versions, retired=retired, events=(*index.events, event))


def require_alias(index: Index, alias: str) -> Alias:
    """An alias that is set.

    Raises:
        NotFound: it is not; the message names those that are.
    """
    if alias not in index.aliases:
        known = ", ".join(sorted(index.aliases)) or "none"
        raise NotFound(f"There is no alias '{alias}'.", f"Aliases of this model: {known}.")
    return index.aliases[alias]


Change = Callable[[Index], Index]
