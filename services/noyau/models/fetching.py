"""Local copies of packages that lie on S3: a network is loaded from a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from uuid import uuid4

from noyau.domain.errors import DamagedData, NoyauError
from noyau.models.evicting import make_room, mark_used
from noyau.models.index import StoredFile
from noyau.models.leftovers import remove_old
from noyau.storage.failures import write_error
from noyau.storage.store import Store


class PackageCache:
    """Packages by the digests of their files; several processes may share a folder.

    Args:
        root: the folder; made with the first package.
        most: bytes that the packages may take; None means no limit. See `noyau.models.evicting`.
    """

    def __init__(self, root: Path, most: int | None = None) -> None:
        self._root = root
        self._most = most

    def folder(self, source: Store, ref: str, files: Mapping[str, StoredFile]) -> Path:
        """A folder with exactly these files, fetched where it is not there yet.

        Args:
            source: where the package lies.
            ref: names the model in messages.
            files: what it consists of.

        Raises:
            DamagedData: a file is missing or has other contents than those registered.
            LimitExceeded: the local disk is full.
            Unavailable: S3 does not answer.
        """
        target = self._root / _name_of(files)
        what = f"the local copy of model {ref} in {self._root}"
        try:
            there = mark_used(self._root, target)
        except OSError as error:
            raise write_error(error, what) from error
        if not there or not _is_whole(target, files):
            shutil.rmtree(target, ignore_errors=True)
            partial = self._root / f".{target.name}.{uuid4().hex}.partial"
            remove_old(self._root, ".*.partial")
            try:
                if self._most is not None:
                    make_room(self._root, self._most, sum(file.size for file in files.values()))
                for path, expected in files.items():
                    _fetch(source, ref, path, expected, partial)
                _take_place(partial, target)
            except OSError as error:
                raise write_error(error, what) from error
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return target


def _fetch(source: Store, ref: str, path: str, expected: StoredFile, folder: Path) -> None:
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts:
        raise DamagedData(f"The index of model {ref} names the file '{path}', which would lie outside the package.")
    try:
        data = source.read(path)
    except NoyauError as error:
        raise type(error)(f"The model {ref} cannot be fetched: {error.cause}", error.remedy) from error
    if data is None or _digested(data) != expected:
        what = "is missing" if data is None else "is not what was registered"
        raise DamagedData(f"The file {source.locate(path)} of model {ref} {what}.", "Register the model again.")
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)


def _take_place(partial: Path, target: Path) -> None:
    try:
        partial.rename(target)
    except OSError:
        # Another process was quicker with the same files.
        if not target.is_dir():
            raise


def _is_whole(folder: Path, files: Mapping[str, StoredFile]) -> bool:
    """Whether a copy is what it should be: anybody may have cleaned up in a cache."""
    try:
        return all(_digested((folder / path).read_bytes()) == expected for path, expected in files.items())
    except OSError:
        return False


def _digested(data: bytes) -> StoredFile:
    return StoredFile(len(data), hashlib.sha256(data).hexdigest())


def _name_of(files: Mapping[str, StoredFile]) -> str:
    facts = sorted((path, file.size, file.sha256) for path, file in files.items())
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
