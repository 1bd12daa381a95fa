"""Making the index of a name again from the packages that lie beside it, after it was damaged."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from noyau.domain.catalogue import ModelAction, ModelEvent
from noyau.domain.errors import DamagedData, FailedPrecondition, NotFound, NoyauError
from noyau.models.description import MODEL_FILE, WEIGHTS_FILE, parse_info
from noyau.models.home import ModelHome, now
from noyau.models.index import Index, StoredFile, Version
from noyau.models.references import is_version


def repair(home: ModelHome, name: str, by: str) -> tuple[Index, tuple[str, ...]]:
    """Makes a new index of the versions whose files are whole; the damaged one is kept beside it.

    Aliases and the history are lost with the old index; who registered a version and when stands in its package.

    Args:
        home: where.
        name: of the model.
        by: who does this.

    Returns:
        the new index, and a sentence about every version that was left out.

    Raises:
        FailedPrecondition: the index is not damaged, or the home cannot be written.
        NotFound: there is no index.
    """
    damaged = home.raw_index(name)
    if damaged is None:
        raise NotFound(f"There is no index of '{name}' in {home.uri}.")
    try:
        home.index(name)
    except DamagedData:
        index, left_out = _from_packages(home, name, by)
        home.replace_index(name, index, keep=damaged)
        return index, left_out
    raise FailedPrecondition(f"The index of '{name}' is not damaged.", "Nothing needs to be done.")


def _from_packages(home: ModelHome, name: str, by: str) -> tuple[Index, tuple[str, ...]]:
    versions: dict[str, Version] = {}
    left_out = []
    for number in home.present(name):
        try:
            versions[number] = _version(home.contents(name, number), name, number)
        except NoyauError as error:
            left_out.append(f"{name}@{number}: {error.cause}")
    at = now()
    events = tuple(ModelEvent(at, by, ModelAction.REGISTERED, number) for number in versions)
    return Index(versions=versions, events=events), tuple(left_out)


def _version(contents: dict[str, bytes], name: str, number: str) -> Version:
    """The entry of a version, from its files.

    Raises:
        DamagedData: they do not make a whole package.
    """
    info = parse_info(contents.get(MODEL_FILE, b""), f"{name}/{number}/{MODEL_FILE}")
    files = {path: StoredFile(len(data), hashlib.sha256(data).hexdigest()) for path, data in contents.items()}
    weights = files.get(WEIGHTS_FILE)
    if not is_version(number) or (info.name, info.version) != (name, number):
        raise DamagedData(f"The package says that it is {info.ref}.")
    if weights is None or f"sha256:{weights.sha256}" != info.digest:
        raise DamagedData("Its weights are missing or are not those that its description names.")
    return Version(info.digest, str(info.registered.get("by", "")), _time(info.registered), files)


def _time(registered: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(registered["at"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return now()
