"""One way to read and write files under a URI: a local folder, an S3 prefix or an HTTP address."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import tensorstore as ts

from noyau.domain.access import remote_place
from noyau.domain.errors import DamagedData, Unavailable
from noyau.storage.failures import read_error, write_error
from noyau.storage.options import StorageOptions


class Store:
    """Files below one canonical URI (what `AccessPolicy.check` returns). Keys are relative, with `/`.

    Safe to use from several threads. Every failure is a NoyauError that names the file.
    """

    def __init__(self, uri: str, options: StorageOptions | None = None, context: ts.Context | None = None) -> None:
        self.uri = uri.rstrip("/") or "/"
        self.options = options or StorageOptions()
        self.context = context or self.options.context()
        self._kv = ts.KvStore.open(self.spec(""), context=self.context).result()

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    @property
    def can_write(self) -> bool:
        """False for HTTP, which has no way to write."""
        return self.is_local or self.uri.startswith("s3://")

    @property
    def path(self) -> Path:
        """The local folder; only for local stores."""
        return Path(self.uri)

    def child(self, key: str) -> Store:
        """The store of a folder below, with the same threads and cache."""
        return Store(self.locate(key), self.options, self.context) if key else self

    def locate(self, key: str) -> str:
        """The URI of a key, for messages and results."""
        return f"{self.uri.rstrip('/')}/{key}" if key else self.uri

    def spec(self, key: str) -> dict[str, Any]:
        """The tensorstore key-value spec of the folder `key`."""
        tail = f"{key.strip('/')}/" if key.strip("/") else ""
        if self.is_local:
            return {"driver": "file", "path": f"{self.uri.rstrip('/')}/{tail}"}
        place = remote_place(self.uri)
        path = f"{place.path}/{tail}" if place.path else tail
        if place.scheme == "s3":
            return {"driver": "s3", "bucket": place.host, "path": path, **self.options.s3_spec()}
        # tensorstore escapes the path itself, so it gets the plain one.
        return {"driver": "http", "base_url": f"{place.scheme}://{place.host}", "path": f"/{unquote(path)}"}

    def read(self, key: str) -> bytes | None:
        """The bytes of a file, None where it does not exist."""
        try:
            result = self._kv.read(key).result()
        except (ValueError, OSError) as error:
            if "Is a directory" in str(error) or "Not a directory" in str(error):
                return None
            raise read_error(error, self.locate(key)) from error
        return bytes(result.value) if result.state == "value" else None

    def write(self, key: str, data: bytes, *, what: str = "") -> None:
        """Writes a file in one step: readers see the old bytes or the new ones.

        Args:
            key: the file.
            data: its bytes.
            what: names it in errors; empty takes its URI.
        """
        try:
            self._kv.write(key, data).result()
        except (ValueError, OSError) as error:
            raise write_error(error, what or self.locate(key)) from error

    def read_json(self, key: str) -> dict[str, Any] | None:
        """A JSON object, None where the file does not exist; DamagedData where it is not a JSON object."""
        return _parse(self.read(key), self.locate(key))

    def write_json(self, key: str, document: dict[str, Any]) -> None:
        self.write(key, json.dumps(document, indent=2).encode())

    def update_json(self, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Read, change, write; repeated when somebody else wrote in between, so that no entry gets lost."""
        for _ in range(20):
            try:
                before = self._kv.read(key).result()
                document = _parse(bytes(before.value) if before.state == "value" else None, self.locate(key)) or {}
                data = json.dumps(change(document), indent=2).encode()
                stamp = self._kv.write(key, data, if_equal=before.stamp.generation).result()
            except (ValueError, OSError) as error:
                raise write_error(error, self.locate(key)) from error
            if stamp.generation:
                return
        raise Unavailable(f"{self.locate(key)} is being changed by others all the time.", "Try again.")

    def exists(self, key: str) -> bool:
        """Whether a file or a folder of that name exists (HTTP: a file only)."""
        if self.is_local:
            return (self.path / key).exists()
        documents = (key, *(f"{key}/{name}" for name in ("zarr.json", ".zgroup", ".zattrs")))
        return any(self.read(name) is not None for name in documents) or bool(self.names(key))

    def names(self, key: str = "") -> list[str]:
        """Keys of all files below a folder, relative to it; empty for HTTP, which cannot list."""
        if not self.can_write:
            return []
        prefix = f"{key.strip('/')}/" if key.strip("/") else ""
        span = ts.KvStore.KeyRange(prefix, prefix[:-1] + "0") if prefix else ts.KvStore.KeyRange()
        try:
            found = self._kv.list(span, strip_prefix_length=len(prefix)).result()
        except (ValueError, OSError) as error:
            raise read_error(error, self.locate(key)) from error
        return [name.decode() for name in found]

    def folders(self, key: str = "") -> list[str]:
        """Names of the folders directly below a folder."""
        if self.is_local:
            base = self.path / key
            return sorted(p.name for p in base.iterdir() if p.is_dir()) if base.is_dir() else []
        return sorted({name.split("/", 1)[0] for name in self.names(key) if "/" in name})

    def remove(self, key: str) -> None:
        """Deletes a file, or a folder with everything in it; nothing happens where there is none."""
        try:
            if not self.is_local:
                self._kv.delete_range(ts.KvStore.KeyRange(f"{key}/", f"{key}0")).result()
                self._kv[key] = None
            elif (self.path / key).is_dir() and not (self.path / key).is_symlink():
                shutil.rmtree(self.path / key)
            else:
                (self.path / key).unlink(missing_ok=True)
        except (ValueError, OSError) as error:
            raise write_error(error, self.locate(key)) from error

    def move(self, source: str, target: str, last: Iterable[str] = ()) -> None:
        """Moves a folder to a name that is free: in one step on a disk, by copying where there is no rename.

        Args:
            source: folder to move.
            target: its new name, which must not exist.
            last: files of the folder that are copied last (a reader that finds them finds everything).
        """
        try:
            if self.is_local:
                (self.path / target).parent.mkdir(parents=True, exist_ok=True)
                (self.path / source).rename(self.path / target)
                return
            late = set(last)
            for name in sorted(self.names(source), key=lambda n: (n in late, n)):
                self._kv.write(f"{target}/{name}", self._kv.read(f"{source}/{name}").result().value).result()
        except (ValueError, OSError) as error:
            raise write_error(error, self.locate(target)) from error
        self.remove(source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...


def _parse(data: bytes | None, where: str) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        document = json.loads(data)
    except ValueError as error:
        raise DamagedData(f"{where} is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise DamagedData(f"{where} holds no JSON object.")
    return document
