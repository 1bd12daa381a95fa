"""Files of a package are written beside their place and then moved there, so that no reader sees half of one."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from noyau.storage.failures import write_error


def write_file(path: Path, content: bytes) -> None:
    """Replaces a file in one step.

    Raises:
        NoyauError: it cannot be written; the earlier file, if any, is still there.
    """
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise write_error(error, f"'{path}'") from error
    finally:
        if beside.exists():
            beside.unlink()
