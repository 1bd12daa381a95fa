"""Fixtures that every room may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real microscopy data beside the checkout; the test is skipped where there is none."""
    folder = Path(os.environ.get("NOYAU_SHARED", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "bbbc050").is_dir():
        pytest.skip(f"real images are not on this machine ({folder.name} is absent; set NOYAU_SHARED)")
    return folder
