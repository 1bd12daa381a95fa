"""A small world to segment: blobs with known centres, and a network with fixed weights that finds them.

The network's weights are not trained but written down: smoothing gives the foreground, and for a Gaussian blob the
slope of the logarithm of the smoothed image points exactly at the centre. It has a receptive field, a stride and an
offset output like the real ones, and needs no file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import NotFound
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.domain.model import ModelInfo, Normalisation, VoteParams
from noyau.domain.progress import MemoryLedger, SilentReporter
from noyau.inference.cache import BackendCache
from noyau.models.package import LoadedModel
from noyau.pipelines.context import Limits, PipelineContext
from noyau.sources import open_image
from noyau.sources.convert import convert
from torch import nn

# pytest's importlib mode leaves sys.path alone, so siblings would not be found.
sys.path.insert(0, str(Path(__file__).parent))

SIGMA = 2.5
SMOOTH = 2.0
REACH = 6
VOXEL = VoxelSize(1.0, 1.0, 1.0)


class BlobNetwork(nn.Module):
    """Foreground logit and offsets of Gaussian blobs, by fixed separable convolutions."""

    def __init__(self, ndim: int) -> None:
        super().__init__()
        self.ndim = ndim
        reach = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
        gauss = torch.exp(-(reach**2) / (2 * SMOOTH**2))
        gauss = gauss / gauss.sum()
        self.register_buffer("gauss", gauss)
        self.register_buffer("slope", reach / SMOOTH**2 * gauss)

    def _along(self, x: torch.Tensor, kernel: torch.Tensor, axis: int) -> torch.Tensor:
        shape = [1, 1] + [1] * self.ndim
        shape[2 + axis] = 2 * REACH + 1
        padding = [REACH if a == axis else 0 for a in range(self.ndim)]
        convolve = nn.functional.conv3d if self.ndim == 3 else nn.functional.conv2d
        return convolve(x, kernel.view(shape), padding=padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clamp_min(0)
        smooth = x
        for axis in range(self.ndim):
            smooth = self._along(smooth, self.gauss, axis)
        offsets = []
        for axis in range(self.ndim):
            slope = x
            for other in range(self.ndim):
                slope = self._along(slope, self.slope if other == axis else self.gauss, other)
            offsets.append((SIGMA**2 + SMOOTH**2) * slope / (smooth + 1e-3))
        return torch.cat([40.0 * (smooth - 0.25), *offsets], dim=1)


def blob_model(ndim: int) -> ModelInfo:
    """The description of the blob network."""
    flat = ndim == 2
    return ModelInfo(
        name=f"nuclei-{ndim}d",
        version="1",
        digest=f"sha256:{ndim}",
        ndim=ndim,
        architecture="blobs",
        arguments={},
        voxel_size=None if flat else VOXEL,
        diameter=2.35 * SIGMA,
        halo=(0, 8, 8) if flat else (8, 8, 8),
        stride=(1, 4, 4) if flat else (2, 4, 4),
        tile=(1, 64, 64) if flat else (32, 64, 64),
        normalisation=Normalisation(low=50, high=99.9),
        vote=VoteParams(
            seed_mass=20,
            nms=(0, 3, 3) if flat else (3, 3, 3),
            weights=(1, 1, 1),
            radius=4,
            max_offset=(8, 8, 8),
            min_voxels=15,
        ),
    )


class BlobRegistry:
    """The part of `ModelRegistry` that pipelines use."""

    def __init__(self) -> None:
        self._models = {info.name: info for info in (blob_model(2), blob_model(3))}

    def get(self, ref: str) -> ModelInfo:
        name = ref.split("@")[0]
        if name not in self._models:
            raise NotFound(f"There is no model '{ref}'.", f"Known models: {', '.join(self._models)}.")
        return self._models[name]

    def load(self, ref: str) -> LoadedModel:
        info = self.get(ref)
        return LoadedModel(info, BlobNetwork(info.ndim).eval())


@dataclass(frozen=True)
class World:
    """Blobs at known centres.

    Attributes:
        image: uint16 z/y/x.
        centres: (n, 3).
    """

    image: np.ndarray
    centres: np.ndarray


def make_world(shape: tuple[int, int, int], spacing: float = 13.0, seed: int = 0) -> World:
    """Blobs on a jittered lattice, with noise."""
    random = np.random.default_rng(seed)
    axes = [np.arange(spacing / 2, n, spacing) if n > 1 else np.zeros(1) for n in shape]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    centres = lattice + random.uniform(-1.5, 1.5, lattice.shape) * (np.array(shape) > 1)
    image = random.normal(100, 4, shape)
    for centre in centres:
        grids = np.ogrid[tuple(slice(n) for n in shape)]
        distance = sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True))
        image += random.uniform(400, 700) * np.exp(-distance / (2 * SIGMA**2))
    return World(np.clip(image, 0, 65535).astype(np.uint16), centres)


@dataclass
class Workshop:
    """Makes images on a disk and contexts to segment them in."""

    folder: Path
    backends: BackendCache
    registry: BlobRegistry = field(default_factory=BlobRegistry)

    def image(self, pixels: np.ndarray, name: str = "image", voxel_size: VoxelSize | None = VOXEL) -> str:
        """Writes an OME-Zarr and returns its path."""
        source = self.folder / f"{name}.npz"
        np.savez(source, image=pixels)
        target = self.folder / f"{name}.ome.zarr"
        convert(str(source), str(target), voxel_size=voxel_size)
        return str(target)

    def movie(self, pixels: np.ndarray, name: str = "movie") -> str:
        """Writes an OME-Zarr of t/z/y/x and returns its path."""
        source = self.folder / f"{name}.npz"
        np.savez(source, image=pixels)
        target = self.folder / f"{name}.ome.zarr"
        convert(str(source), str(target), voxel_size=VOXEL, axes="tzyx")
        return str(target)

    def spec(self, *uris: str | ImageRef, **changes: object) -> SegmentSpec:
        """A request for the torch backend, which needs no compilation; without measuring unless asked for."""
        refs = tuple(ImageRef(uri) if isinstance(uri, str) else uri for uri in uris)
        return replace(SegmentSpec(refs, backend="torch", measure=False), **changes)  # type: ignore[arg-type]

    def labels(self, uri: str, time: int = 0) -> np.ndarray:
        """The labels `nuclei` of an image (or of its results elsewhere), uint32 z/y/x."""
        with open_image(ImageRef(f"{uri}/labels/nuclei"), access=AccessPolicy.everything()) as source:
            return source.read(Box.of(source.info.shape), time=time)

    def context(self, **changes: object) -> PipelineContext:
        """A fresh context: its own scratch, an empty ledger."""
        base = PipelineContext(
            registry=self.registry,  # type: ignore[arg-type]
            access=AccessPolicy.everything(),
            workdir=self.folder / f"work{len(list(self.folder.glob('work*')))}",
            backends=self.backends,
            reporter=SilentReporter(),
            ledger=MemoryLedger(),
            job_id="job",
            limits=Limits(),
            threads=2,
        )
        made = replace(base, **changes)  # type: ignore[arg-type]
        made.workdir.mkdir(exist_ok=True, parents=True)
        return made


@pytest.fixture(scope="session")
def warm_networks() -> Iterable[BackendCache]:
    """Networks for all tests of a session."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    backends = BackendCache(size=4, threads=1)
    yield backends
    backends.close()
    torch.set_num_threads(threads)


@pytest.fixture
def workshop(tmp_path: Path, warm_networks: BackendCache) -> Workshop:
    """A workshop in a temporary folder."""
    return Workshop(tmp_path, warm_networks)


@pytest.fixture
def world() -> World:
    """A volume of 40 x 72 x 76 voxels with about a hundred blobs."""
    return make_world((40, 72, 76))


@pytest.fixture
def flat_world() -> World:
    """A plane of 150 x 170 pixels."""
    return make_world((1, 150, 170))


@pytest.fixture
def worlds() -> Callable[..., World]:
    """Makes worlds of other shapes."""
    return make_world
