"""The writable place of registered models, in a folder or on S3: one index per name, one folder per version.

    <home>/<name>/index.json              versions, aliases, history; replaced in one step, the only truth
    <home>/<name>/<version>/model.json    the packages
    <home>/<name>/<version>/...

A registration reserves its number in the index, brings the files to their place and then enters the version. Readers
look at the index only, so they never see half a package, whatever is killed when. Two writers never take the same
number, because an index is only replaced by somebody who has seen what is there (a lock file on a disk, a conditional
request on S3).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from noyau.domain.errors import DamagedData, FailedPrecondition
from noyau.domain.model import ModelInfo
from noyau.models.description import MODEL_FILE, parse_info, read_info
from noyau.models.fetching import PackageCache
from noyau.models.index import REMEDY, Index, StoredFile, Version, decode, encode
from noyau.models.packing import Parcel, Tally
from noyau.models.references import is_name
from noyau.storage.failures import write_error
from noyau.storage.options import StorageOptions
from noyau.storage.store import Store

INDEX_FILE = "index.json"
_REMEDY = "Make it writable, or set NOYAU_MODELS_HOME to another folder or s3://bucket/prefix."


class ModelHome:
    """Reads and writes one home. Safe to use from several threads and processes.

    Nothing is kept between calls that could change, so that every process sees at once what another one registered.

    Args:
        uri: absolute path of a folder, which may be absent, or `s3://bucket/prefix`.
        cache: local folder for packages of a remote home.
        options: how S3 is reached.
        cache_bytes: most that the local folder may take; None means no limit.
    """

    def __init__(
        self, uri: str, cache: Path, options: StorageOptions | None = None, cache_bytes: int | None = None
    ) -> None:
        self.uri = uri
        self._options = options
        self._cache = PackageCache(cache, cache_bytes)
        # Descriptions of a remote home by digest; those never change.
        self._infos: dict[str, ModelInfo] = {}

    @cached_property
    def _store(self) -> Store:
        return Store(self.uri, self._options)

    def names(self) -> list[str]:
        """Every name that there is something of."""
        return [name for name in self._store.folders() if is_name(name)]

    def index(self, name: str) -> Index:
        """The index of a name; an empty one where there is none.

        Raises:
            DamagedData: it cannot be understood.
            Unavailable: S3 does not answer.
        """
        key = f"{name}/{INDEX_FILE}"
        try:
            return decode(self._store.read_json(key), self._store.locate(key))
        except DamagedData as error:
            raise _with_remedy(error) from error

    def update(self, name: str, change: Callable[[Index], Index]) -> Index:
        """Replaces an index by what `change` makes of it, and returns that; `change` may be called several times.

        Raises:
            DamagedData: there is an index that cannot be understood; it stays as it is.
            NoyauError: what `change` raises, or that the home cannot be written.
        """
        key = f"{name}/{INDEX_FILE}"
        made = Index()

        def replace(document: dict[str, Any]) -> dict[str, Any]:
            nonlocal made
            made = change(decode(document, self._store.locate(key)))
            return encode(made)

        try:
            self._store.update_json(key, replace)
        except DamagedData as error:
            raise _with_remedy(error) from error
        except FailedPrecondition as error:
            if self.uri not in error.cause:
                raise  # from `change`
            raise FailedPrecondition(error.cause, _REMEDY) from error
        return made

    def raw_index(self, name: str) -> bytes | None:
        """The bytes of an index, damaged or not; None where there is none."""
        return self._store.read(f"{name}/{INDEX_FILE}")

    def replace_index(self, name: str, index: Index, keep: bytes) -> None:
        """Puts an index in the place of a damaged one, which is kept under another name.

        Raises:
            NoyauError: the home cannot be written.
        """
        self._store.write(f"{name}/{INDEX_FILE}.{now():%Y%m%dT%H%M%SZ}.damaged", keep)
        self._store.write_json(f"{name}/{INDEX_FILE}", encode(index))

    def contents(self, name: str, number: str) -> dict[str, bytes]:
        """All files of a version, whether the index knows it or not.

        Raises:
            NoyauError: one cannot be read.
        """
        room = self._store.child(f"{name}/{number}")
        paths = [path for path in room.names() if not any(part.startswith(".") for part in path.split("/"))]
        return {path: room.read(path) or b"" for path in sorted(paths)}

    def present(self, name: str) -> list[str]:
        """Versions that have a folder, whether the index knows them or not."""
        return [folder for folder in self._store.folders(name) if not folder.startswith(".")]

    def strays(self, name: str, index: Index) -> list[str]:
        """Packages in a local home that its index does not know."""
        if not self._store.is_local:
            return []
        return [
            number
            for number in self.present(name)
            if number not in index.versions
            and number not in index.reserved
            and (self._store.path / name / number / MODEL_FILE).is_file()
        ]

    def info(self, name: str, number: str, version: Version) -> ModelInfo:
        """The description of a version.

        Raises:
            NotFound, DamagedData: it is not there, or cannot be understood.
        """
        if self._store.is_local:
            return read_info(self.folder(name, number, version))
        digest = version.files.get(MODEL_FILE, StoredFile(0, "")).sha256
        if digest not in self._infos:
            key = f"{name}/{number}/{MODEL_FILE}"
            self._infos[digest] = parse_info(self._store.read(key) or b"", self._store.locate(key))
        return self._infos[digest]

    def folder(self, name: str, number: str, version: Version) -> Path:
        """A local folder with the files of a version; brought here first where the home is remote.

        Raises:
            DamagedData: a file is missing or is not what was registered.
        """
        if self._store.is_local:
            return self._store.path / name / number
        return self._cache.folder(self._store.child(f"{name}/{number}"), f"{name}@{number}", version.files)

    def put(self, name: str, number: str, token: str, parcel: Parcel) -> dict[str, StoredFile]:
        """Brings the files of a package to their place.

        Raises:
            LimitExceeded: the disk is full.
            NoyauError: something cannot be read or written. What was written is for `clear` to remove.
        """
        files: dict[str, StoredFile] = {}
        if not self._store.is_local:
            room = self._store.child(f"{name}/{number}")
            for path in parcel.paths:
                tally = Tally()
                room.write(path, b"".join(tally.add(piece) for piece in parcel.pieces(path)))
                files[path] = tally.result
            return files
        partial = self._partial(name, number, token)
        try:
            for path in parcel.paths:
                files[path] = _copy(parcel, path, partial / path)
            partial.rename(self._store.path / name / number)
        except OSError as error:
            raise _refused(error, f"the model {name}@{number} to {self.uri}") from error
        return files

    def clear(self, name: str, number: str, token: str) -> None:
        """Removes the files of a version that is not in the index.

        Raises:
            NoyauError: they cannot be removed.
        """
        if not self._store.is_local:
            self._store.remove(f"{name}/{number}")
            return
        shutil.rmtree(self._partial(name, number, token), ignore_errors=True)
        folder = self._store.path / name / number
        if folder.is_dir():
            # Out of sight first: half a package must not look like a whole one.
            hidden = folder.with_name(f".{number}.{uuid4().hex}.removed")
            try:
                folder.rename(hidden)
                shutil.rmtree(hidden)
            except OSError as error:
                raise _refused(error, f"{folder}") from error

    def _partial(self, name: str, number: str, token: str) -> Path:
        return self._store.path / name / f".{number}.{token}.partial"


def now() -> datetime:
    """The time, UTC, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def _copy(parcel: Parcel, path: str, target: Path) -> StoredFile:
    """Copies a file to a disk, durably: an index that names it must not outlive it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    tally = Tally()
    with target.open("wb") as file:
        for piece in parcel.pieces(path):
            file.write(tally.add(piece))
        file.flush()
        os.fsync(file.fileno())
    return tally.result


def _with_remedy(error: DamagedData) -> DamagedData:
    return error if error.remedy else DamagedData(f"The model index cannot be read: {error.cause}", REMEDY)


def _refused(error: OSError, what: str) -> Exception:
    told = write_error(error, what)
    return FailedPrecondition(told.cause, _REMEDY) if isinstance(told, FailedPrecondition) else told
