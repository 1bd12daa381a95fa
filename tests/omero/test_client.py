"""Whether the OMERO tests run at all, and if not, why."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

# Written by `make` when Ice could not be built.
REASON = Path(sys.prefix) / ".omero-missing"


def test_the_client_of_omero_is_installed() -> None:
    if all(importlib.util.find_spec(name) is not None for name in ("Ice", "omero")):
        return
    reason = REASON.read_text().strip() if REASON.is_file() else "run `make test-omero`, which builds and installs it"
    pytest.skip(f"no OMERO test was run, the client is not installed: {reason}")
