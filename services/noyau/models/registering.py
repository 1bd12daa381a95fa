"""Putting a package into the home: tested, numbered, stored, and only then visible."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from uuid import uuid4

from noyau.domain.errors import NoyauError
from noyau.models.description import read_info
from noyau.models.home import ModelHome, now
from noyau.models.index import (
    Index,
    Reservation,
    Version,
    find_key,
    give_up,
    point,
    reserve,
    settle,
    stale,
)
from noyau.models.packing import pack
from noyau.models.references import check_alias, check_name, clean_person


@dataclass(frozen=True)
class Registration:
    """What is to be registered, checked.

    Attributes:
        folder: the package.
        name: what it will be called.
        wanted: the version that it bears.
        digest: of its weights.
        by: who registers it.
        alias: points to it from the same moment on; empty: none.
        key: the same key again gives the version that is there; empty: none.
    """

    folder: Path
    name: str
    wanted: str
    digest: str
    by: str
    alias: str
    key: str

    @classmethod
    def of(cls, folder: Path, *, name: str | None, by: str, alias: str | None, key: str) -> Registration:
        """Raises InvalidInput for names that cannot be, NotFound and DamagedData for a folder that is no package."""
        info = read_info(folder)
        chosen = check_name(info.name if name is None else name)
        if alias:
            check_alias(alias)
        return cls(folder, chosen, info.version, info.digest, clean_person(by), alias or "", key)


def register(
    home: ModelHome, wanted: Registration, taken: Callable[[], Collection[str]], test: Callable[[Path], None]
) -> str:
    """Registers a package and returns the number of its version.

    Args:
        home: where to.
        wanted: what.
        taken: numbers that versions elsewhere bear.
        test: raises DamagedData for a package that fails its own test input.

    Raises:
        DamagedData: the package is damaged or fails its test, or the index of the name is damaged.
        LimitExceeded: the disk is full.
        NoyauError: the home cannot be written. Nothing is left behind.
    """
    done = find_key(home.index(wanted.name), wanted.key)
    if done is None:
        test(wanted.folder)
        _sweep(home, wanted)
        token = uuid4().hex
        number, done = _reserve(home, wanted, token, taken)
        if done is None:
            _fill(home, wanted, number, token)
            return number
    if wanted.alias:
        home.update(wanted.name, lambda index: point(index, wanted.alias, done, wanted.by, now()))
    return done


def _reserve(
    home: ModelHome, wanted: Registration, token: str, taken: Callable[[], Collection[str]]
) -> tuple[str, str | None]:
    """A free number, and the version that was registered under the same key meanwhile, if any."""
    number, done = "", None

    def change(index: Index) -> Index:
        nonlocal number, done
        done = find_key(index, wanted.key)
        if done is not None:
            return index
        elsewhere = frozenset((*taken(), *home.present(wanted.name)))
        changed, number = reserve(index, wanted.wanted, elsewhere, Reservation(token, now(), wanted.key))
        return changed

    home.update(wanted.name, change)
    return number, done


def _fill(home: ModelHome, wanted: Registration, number: str, token: str) -> None:
    """Brings the files to their place and enters the version; takes everything back where that fails."""
    at = now()
    try:
        record = {"by": wanted.by, "at": at.isoformat()}
        parcel = pack(wanted.folder, {"name": wanted.name, "version": number, "registered": record}, wanted.digest)
        files = home.put(wanted.name, number, token, parcel)
        parcel.check(files)
        # The same time as in the package, from which a damaged index is made again.
        version = Version(wanted.digest, wanted.by, at, files, wanted.key)
        home.update(wanted.name, lambda index: _enter(index, wanted, number, token, version))
    except BaseException:
        # The first error is the one to tell. What cannot be removed now is removed by a later registration.
        with suppress(NoyauError):
            home.clear(wanted.name, number, token)
            home.update(wanted.name, lambda index: give_up(index, number, token))
        raise


def _enter(index: Index, wanted: Registration, number: str, token: str, version: Version) -> Index:
    entered = settle(index, number, token, version)
    return point(entered, wanted.alias, number, wanted.by, version.at) if wanted.alias else entered


def _sweep(home: ModelHome, wanted: Registration) -> None:
    """Removes what registrations left that were killed."""
    left = stale(home.index(wanted.name), now(), wanted.key)
    for number, token in left:
        home.clear(wanted.name, number, token)
    if left:
        home.update(wanted.name, lambda index: reduce(lambda i, each: give_up(i, *each), left, index))
