"""Reading a zip file that may be hostile. Nothing is ever unpacked to the disk: files are read into memory by name."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded, NotFound


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold.

    Attributes:
        files: most files.
        bytes: most bytes in all after unpacking.
        ratio: most unpacked bytes per packed byte, of a file and of the whole; real weights hardly shrink.
        free: unpacked bytes to which the ratio does not apply: text shrinks well.
    """

    files: int = 1_000
    bytes: int = 4 * 2**30
    ratio: int = 100
    free: int = 16 * 2**20


@dataclass(frozen=True)
class Archive:
    """An archive whose table of contents was checked."""

    path: Path
    zip: zipfile.ZipFile
    names: dict[str, zipfile.ZipInfo]

    def read(self, name: str) -> bytes:
        """The contents of a file, checked against their checksum.

        Raises:
            DamagedData: the file is not in the archive, cut short, or its checksum is wrong.
        """
        entry = self.names.get(str(PurePosixPath(name)))
        if entry is None:
            raise DamagedData(f"The archive '{self.path.name}' lacks the file '{name}' that its description names.")
        try:
            with self.zip.open(entry) as file:
                content = file.read(entry.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise DamagedData(f"The file '{name}' in the archive '{self.path.name}' is damaged: {error}.") from error
        if len(content) != entry.file_size:
            raise DamagedData(f"The file '{name}' in the archive '{self.path.name}' is not as long as it says.")
        return content


@contextmanager
def open_archive(path: Path, limits: ArchiveLimits | None = None) -> Iterator[Archive]:
    """Opens an archive after checking its table of contents.

    Raises:
        NotFound: there is no such file.
        DamagedData: it is not a zip file, or cut short.
        InvalidInput: a name leaves the archive, is a link, or occurs twice.
        LimitExceeded: it holds too much.
    """
    if not path.is_file():
        raise NotFound(f"There is no archive '{path}'.")
    try:
        opened = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DamagedData(f"The archive '{path.name}' is not a complete zip file: {error}.") from error
    with opened:
        yield Archive(path, opened, _checked(path, opened, limits or ArchiveLimits()))


def _checked(path: Path, opened: zipfile.ZipFile, limits: ArchiveLimits) -> dict[str, zipfile.ZipInfo]:
    entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    if len(opened.infolist()) > limits.files:
        raise LimitExceeded(f"The archive '{path.name}' holds {len(entries):,} files, more than {limits.files:,}.")
    found: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for entry in opened.infolist():
        _check_name(path, entry)
    for entry in entries:
        _check_entry(path, entry, limits)
        folded = unicodedata.normalize("NFC", entry.filename).casefold()
        if folded in seen:
            raise InvalidInput(f"The archive '{path.name}' holds the file '{entry.filename}' more than once.")
        seen.add(folded)
        found[str(PurePosixPath(entry.filename))] = entry
    total = sum(entry.file_size for entry in entries)
    if total > limits.bytes:
        raise LimitExceeded(
            f"The archive '{path.name}' unpacks to {total:,} bytes, more than the limit of {limits.bytes:,}."
        )
    # Entries may share their packed bytes, so that each of them looks harmless.
    if total > limits.free + limits.ratio * path.stat().st_size:
        raise LimitExceeded(f"The archive '{path.name}' unpacks to {total:,} bytes, far more than it could hold.")
    return found


def _check_name(path: Path, entry: zipfile.ZipInfo) -> None:
    # orig_filename is what the file says; zipfile cuts it at a NUL.
    name = entry.orig_filename
    parts = name.rstrip("/").split("/")
    odd = any(ord(c) < 32 or c in "\\:" for c in name) or len(name) > 255
    if odd or name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise InvalidInput(
            f"The archive '{path.name}' holds a file with the unsafe name {name[:100]!r}.",
            "Names in an archive are relative paths without '..'.",
        )
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InvalidInput(f"The archive '{path.name}' holds '{name}', which is a link or a device and not a file.")


def _check_entry(path: Path, entry: zipfile.ZipInfo, limits: ArchiveLimits) -> None:
    if entry.flag_bits & 0x1:
        raise InvalidInput(f"The file '{entry.filename}' in the archive '{path.name}' is encrypted.")
    if entry.file_size > limits.free and entry.file_size > limits.ratio * max(1, entry.compress_size):
        raise LimitExceeded(
            f"The file '{entry.filename}' in the archive '{path.name}' unpacks to {entry.file_size:,} bytes from "
            f"{entry.compress_size:,}: this is no model but a zip bomb."
        )
