"""The files of a package on their way into a registry: which they are, and their copies with digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded
from noyau.models.description import MODEL_FILE, WEIGHTS_FILE
from noyau.models.index import StoredFile
from noyau.storage.failures import read_error

MOST_FILES = 1000
MOST_BYTES = 16 * 2**30
_PIECE = 2**20


@dataclass(frozen=True)
class Parcel:
    """A package that is to be stored.

    Attributes:
        folder: where it lies.
        paths: its files, relative, with `/`.
        description: contents of `model.json` instead of those in the folder.
        digest: of the weights, as the package says.
    """

    folder: Path
    paths: tuple[str, ...]
    description: bytes
    digest: str

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file piece by piece.

        Raises:
            NoyauError: it cannot be read.
        """
        if path == MODEL_FILE:
            yield self.description
            return
        try:
            with (self.folder / path).open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece
        except OSError as error:
            raise read_error(error, str(self.folder / path)) from error

    def check(self, files: dict[str, StoredFile]) -> None:
        """Compares what was copied with what was tested.

        Raises:
            DamagedData: the weights changed meanwhile.
        """
        weights = files.get(WEIGHTS_FILE)
        if weights is not None and f"sha256:{weights.sha256}" != self.digest:
            raise DamagedData(
                f"The weights in '{self.folder}' are not those that {MODEL_FILE} names.", "Make the package again."
            )


def pack(folder: Path, changes: dict[str, Any], digest: str) -> Parcel:
    """Lists a package's files and changes fields of its description.

    Args:
        folder: the package.
        changes: fields of `model.json` that get other values.
        digest: of the weights.

    Raises:
        InvalidInput: there is a link or something that is no file in it.
        LimitExceeded: it is larger than any package.
        DamagedData: `model.json` is no JSON object.
    """
    paths = tuple(sorted(_paths(folder)))
    size = sum((folder / path).stat().st_size for path in paths)
    if len(paths) > MOST_FILES or size > MOST_BYTES:
        raise LimitExceeded(
            f"The package '{folder}' has {len(paths)} files of {size} bytes; the limits are {MOST_FILES} and "
            f"{MOST_BYTES}."
        )
    try:
        document = json.loads((folder / MODEL_FILE).read_bytes())
        text = json.dumps({**document, **changes}, indent=1) + "\n"
    except (ValueError, TypeError, OSError) as error:
        raise DamagedData(f"The description in '{folder}' cannot be read: {error}.") from error
    return Parcel(folder, paths, text.encode(), digest)


def _paths(folder: Path) -> Iterator[str]:
    """Regular files below; hidden ones are not part of a package."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            entries = list(found)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path).relative_to(folder).as_posix()
            else:
                raise InvalidInput(
                    f"'{entry.path}' is a link or a device, which a package may not hold.", "Put the file itself there."
                )


class Tally:
    """Counts and digests what passes."""

    def __init__(self) -> None:
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> bytes:
        """Takes note of a piece and gives it back."""
        self._size += len(piece)
        self._hash.update(piece)
        return piece

    @property
    def result(self) -> StoredFile:
        return StoredFile(self._size, self._hash.hexdigest())
