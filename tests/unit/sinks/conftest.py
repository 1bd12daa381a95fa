"""Small images to write results for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.image import ImageInfo, ImageRef
from noyau.sources import open_image


@pytest.fixture
def access() -> AccessPolicy:
    return AccessPolicy.everything()


@pytest.fixture(params=["0.4", "0.5"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(make_image: Callable[..., Path], tmp_path: Path, version: str) -> Path:
    """t, c, z, y, x = 2, 2, 3, 300, 60 in two levels, 2 x 0.5 x 0.5 micrometres."""
    pixels = np.zeros((2, 2, 3, 300, 60), np.uint8)
    levels = [pixels, pixels[..., ::2, ::2, ::2]]
    return make_image(tmp_path / "a.zarr", levels, "tczyx", version=version, scale=(1, 1, 2, 0.5, 0.5))


@pytest.fixture
def info(image: Path, access: AccessPolicy) -> ImageInfo:
    return open_image(ImageRef(str(image)), access=access).info


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder with their bytes, and all folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else b""
    return found


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    return tree
