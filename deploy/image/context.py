"""What the engine gets to build from: exactly these files, the same whoever sends them."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

_NEVER = {"__pycache__"}
_NEVER_SUFFIX = (".pyc", ".egg-info")


def files_of(folder: Path) -> Iterator[Path]:
    """Files under a folder in a fixed order, without what Python leaves behind; or the file itself."""
    if folder.is_file():
        yield folder
        return
    for path in sorted(folder.iterdir()):
        if path.name in _NEVER or path.name.endswith(_NEVER_SUFFIX):
            continue
        yield from files_of(path)


def digest(root: Path, places: Iterable[str]) -> str:
    """Names the contents of some files and folders under `root`."""
    found = hashlib.sha256()
    for place in places:
        for path in files_of(root / place):
            found.update(f"{path.relative_to(root).as_posix()}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def send(root: Path, places: Iterable[str], stream: IO[bytes]) -> None:
    """Writes files and folders under `root` as a tar. Owner, mode and time do not depend on this machine."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for place in places:
            for path in files_of(root / place):
                name = path.relative_to(root).as_posix()
                archive.add(path.resolve(), arcname=name, recursive=False, filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.mode & 0o100 else 0o644
    info.mtime = 0
    return info
