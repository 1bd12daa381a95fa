"""One real service for the tests of this folder that do not disturb it, and images to send to it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

# pytest's importlib mode leaves sys.path alone, so siblings would not be found.
sys.path.insert(0, str(Path(__file__).parent))

from product_kit import VOXEL, Service, volume

IMAGE_VOXELS = 50_000_000
TILE_VOXELS = 8_000_000


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A new folder with a path short enough for a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="noyau-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def image_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder that the shared service may touch."""
    return tmp_path_factory.mktemp("images").resolve()


@pytest.fixture(scope="session")
def service(image_root: Path) -> Iterator[Service]:
    """A service with one worker; it stays warm over the tests that share it."""
    folder = Path(tempfile.mkdtemp(prefix="noyau-test-"))
    limits = {"NOYAU_LIMITS__IMAGE_VOXELS": str(IMAGE_VOXELS), "NOYAU_LIMITS__TILE_VOXELS": str(TILE_VOXELS)}
    with Service(folder, [image_root], settings=limits) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def place(image_root: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A new folder for one test where the shared service may read and write."""
    folder = Path(tempfile.mkdtemp(dir=image_root))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def embryo() -> np.ndarray:
    """uint16 (16, 96, 96) at 1.75, 0.8, 0.8 micrometres, with some ten nuclei."""
    return volume()


@pytest.fixture
def embryo_image(place: Path, embryo: np.ndarray, make_image: Callable[..., Path]) -> Path:
    """The embryo as an OME-Zarr within reach of the service."""
    return make_image(place / "embryo.ome.zarr", embryo, scale=VOXEL, chunks=(8, 48, 48))


@pytest.fixture
def tiny_image(place: Path, make_image: Callable[..., Path]) -> Path:
    """A good volume of 8 x 24 x 24 voxels without nuclei."""
    pixels = np.random.default_rng(0).integers(90, 110, (8, 24, 24), np.uint16)
    return make_image(place / "good.ome.zarr", pixels, scale=VOXEL, chunks=(4, 24, 24))
