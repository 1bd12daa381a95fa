"""What the browser tests need, and where the browser is."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

PACKAGES = ("Ice", "omero", "omeroweb", "omero_iviewer", "playwright")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """The browser that NOYAU_CHROMIUM names, else the one of this machine; empty where there is none."""
    named = os.environ.get("NOYAU_CHROMIUM", "")
    if named:
        return named if Path(named).is_file() else ""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), "")


def why_not() -> str:
    """Why the tests cannot run here; empty when they can."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (`make test-omero` installs what can be had)"
    if not chromium():
        return "no Chromium on this machine (apt-get install chromium, or name one in NOYAU_CHROMIUM)"
    return ""
