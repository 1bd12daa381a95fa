"""Folders that a killed process left half made."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

OLD_SECONDS = 24 * 3600.0
"""Nothing is worked on for so long."""


def remove_old(folder: Path, pattern: str) -> None:
    """Removes folders whose names match and that nobody has touched for a day; what cannot be removed stays."""
    before = time.time() - OLD_SECONDS
    for path in folder.glob(pattern):
        try:
            old = path.stat().st_mtime < before
        except OSError:
            continue  # somebody else removed it
        if old and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
