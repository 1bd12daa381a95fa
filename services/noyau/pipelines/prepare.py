"""From a request and an opened image to a plan: frozen data that says what will be computed, and every refusal that
can be known before a pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from math import ceil, prod
from typing import TYPE_CHECKING

from noyau.domain.errors import FailedPrecondition, InvalidInput, LimitExceeded
from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.image import ImageInfo
from noyau.domain.jobs import SegmentSpec
from noyau.domain.model import ModelInfo, VoteParams
from noyau.inference.backend import CHANNELS
from noyau.pipelines.context import Limits
from noyau.pipelines.decoders import decoder_of, tiling_warnings
from noyau.planning.grid import Grid, plan_grid
from noyau.planning.scaling import Scaling, plan_scaling
from noyau.planning.tiles import choose_tile

if TYPE_CHECKING:  # brings libraries that most plans do not need
    from noyau.decoding.windowed import WindowDecoder

DEFAULT_MODELS = {2: "nuclei-2d", 3: "nuclei-3d"}
"""What is taken for an image of so many dimensions when the caller names no model."""


@dataclass(frozen=True)
class ImagePlan:
    """How one image is segmented.

    Attributes:
        info: the image.
        model: the model.
        voxel_size: of the image, micrometres; 1 where a 2D image has none.
        scaling: image grid to model grid.
        grid: tiles on the model grid.
        vote: the vote's parameters with the caller's changes.
        decoder: decodes instead of the vote, window by window; None for the vote.
        min_voxels: smallest nucleus kept, voxels of the image.
        warnings: what the caller should know of assumptions made.
    """

    info: ImageInfo
    model: ModelInfo
    voxel_size: VoxelSize
    scaling: Scaling
    grid: Grid
    vote: VoteParams
    min_voxels: int
    warnings: tuple[str, ...] = ()
    decoder: WindowDecoder | None = None

    @property
    def planes(self) -> int:
        """Channels of the quantised prediction."""
        return CHANNELS if self.decoder is None else self.decoder.planes

    @property
    def signature(self) -> str:
        """Short name of everything that decides about the contents of the scratch.

        A restarted job trusts what it finds there only under the same name, in case the software or its limits
        changed meanwhile.
        """
        parts = (self.model.digest, self.model.normalisation, self.scaling, self.grid, self.vote, self.decoder)
        return _short(parts)

    @property
    def exposure(self) -> str:
        """Short name of what decides how the image is normalised, whatever the scale at which it is looked at."""
        return _short((self.model.digest, self.model.normalisation))


def _short(parts: tuple[object, ...]) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:12]


BYTES_PER_VOXEL = {("openvino", 3): 110, ("torch", 3): 180, ("openvino", 2): 240, ("torch", 2): 400}
"""Memory of a forward pass of the shipped models per voxel of the window, by backend and dimensions (measured)."""


LARGER_NETWORKS = {"swin-unetr": 2}
"""How many times as much other architectures need, in the shapes that they have by default (measured)."""
UNKNOWN_NETWORK = 6
"""How many times as much the network of another maker may need: a wide U-Net at full resolution (estimated)."""
BYTES_PER_PLANE = 16
"""Memory of a further channel: its floats, and what its quantisation makes of them."""


def plan_image(
    uri: str, info: ImageInfo, model: ModelInfo, spec: SegmentSpec, limits: Limits, backend: str
) -> ImagePlan:
    """Plans one image.

    Args:
        uri: names the image in messages.
        info: the image; its voxel size is the caller's where one was given.
        model: the model to use.
        spec: the request.
        limits: what a job may use.
        backend: `torch` or `openvino`, which differ in the memory that they need.

    Raises:
        InvalidInput: the model does not fit the image, or a parameter makes no sense.
        FailedPrecondition: the voxel size is needed and unknown.
        LimitExceeded: the image or the tile is too large.
    """
    _check_parameters(spec)
    _check_dimensions(uri, info, model)
    voxel_size, warnings = _voxel_size(uri, info, model, spec)
    scaling = _scaling(info, voxel_size, model, spec.diameter)
    _check_size(uri, info.shape, scaling, limits)
    decoder = decoder_of(model, spec.foreground)
    window = min(limits.network_bytes // _bytes_per_voxel(model, backend, decoder), limits.max_tile_voxels)
    grid = _grid(scaling.shape, model, spec.tile, window, limits.max_tile_voxels)
    vote = _vote(model.vote, spec.foreground)
    return ImagePlan(
        info=info,
        model=model,
        voxel_size=voxel_size,
        scaling=scaling,
        grid=grid,
        vote=vote,
        min_voxels=_min_voxels(spec.min_volume, (decoder or vote).min_voxels, scaling, voxel_size, info),
        warnings=(*warnings, *tiling_warnings(model, len(grid.tiles))),
        decoder=decoder,
    )


def _bytes_per_voxel(model: ModelInfo, backend: str, decoder: WindowDecoder | None) -> int:
    """Memory of a forward pass per voxel of the window."""
    planes = CHANNELS if decoder is None else decoder.planes
    if model.processing:
        return BYTES_PER_VOXEL["torch", model.ndim] * UNKNOWN_NETWORK
    shape = BYTES_PER_VOXEL[backend, model.ndim] * LARGER_NETWORKS.get(model.architecture, 1)
    return shape + BYTES_PER_PLANE * max(0, planes - CHANNELS)


def _vote(vote: VoteParams, foreground: float | None) -> VoteParams:
    """The parameters with the caller's threshold; who asks for fainter nuclei gets the less certain ones too."""
    if foreground is None:
        return vote
    fainter = min(1.0, foreground / vote.foreground)
    return replace(vote, foreground=foreground, min_certainty=vote.min_certainty * fainter)


def _check_parameters(spec: SegmentSpec) -> None:
    if spec.foreground is not None and not 0 < spec.foreground < 1:
        raise InvalidInput(f"The foreground threshold {spec.foreground} is not between 0 and 1.")
    if spec.min_volume is not None and not 0 <= spec.min_volume < float("inf"):
        raise InvalidInput(f"The smallest volume {spec.min_volume} is not a volume in cubic micrometres.")
    if spec.diameter is not None and not 0 < spec.diameter < float("inf"):
        raise InvalidInput(f"The nucleus diameter {spec.diameter} is not a positive length in micrometres.")
    for name, value in (("batch", spec.batch), ("workers", spec.workers)):
        if value is not None and value < 1:
            raise InvalidInput(f"The number of {name} {value} is not positive.")


def _check_dimensions(uri: str, info: ImageInfo, model: ModelInfo) -> None:
    planes = info.shape[0]
    if min(info.shape) < 1:
        raise InvalidInput(f"The image {uri} is empty (its z,y,x shape is {_text(info.shape)}).")
    if model.ndim == 2 and planes > 1:
        raise InvalidInput(
            f"The model {model.ref} is for 2D images, but {uri} has {planes} planes.",
            f"Take a 3D model such as {DEFAULT_MODELS[3]}.",
        )
    if model.ndim == 3 and info.is_2d:
        raise InvalidInput(
            f"The model {model.ref} is for volumes, but {uri} has a single plane.",
            f"Take a 2D model such as {DEFAULT_MODELS[2]}, or leave the model out.",
        )


def _voxel_size(uri: str, info: ImageInfo, model: ModelInfo, spec: SegmentSpec) -> tuple[VoxelSize, tuple[str, ...]]:
    """The voxel size to use, with a warning where it is assumed."""
    if info.voxel_size is not None:
        return info.voxel_size, ()
    if not info.is_2d and (model.voxel_size is not None or spec.diameter is not None):
        raise FailedPrecondition(
            f"The metadata of {uri} do not say how large its voxels are, and the model {model.ref} needs to know.",
            "Give the voxel size in micrometres, for example --voxel-size 1.75,0.8,0.8 (z,y,x).",
        )
    return VoxelSize(1.0, 1.0, 1.0), (
        f"The metadata of {uri} give no voxel size; 1 micrometre per voxel is assumed, so lengths, areas and volumes "
        "are in voxels.",
    )


def _scaling(info: ImageInfo, voxel_size: VoxelSize, model: ModelInfo, diameter: float | None) -> Scaling:
    """The grid on which nuclei have the size that the model knows."""
    wanted = model.voxel_size
    if diameter is not None:
        zoom = diameter / model.diameter
        # A model that works in pixels gives its diameter in pixels.
        wanted = VoxelSize(zoom, zoom, zoom) if wanted is None else wanted.scaled((zoom, zoom, zoom))
    if wanted is None:
        return Scaling(info.shape)
    if info.is_2d:
        wanted = VoxelSize(voxel_size.z, wanted.y, wanted.x)
    return plan_scaling(info.shape, voxel_size, wanted)


def _check_size(uri: str, shape: Index3, scaling: Scaling, limits: Limits) -> None:
    for what, size in (("", shape), (" on the model's grid", scaling.shape)):
        if limits.max_voxels is not None and prod(size) > limits.max_voxels:
            raise LimitExceeded(
                f"The image {uri} has {prod(size):,} voxels{what} ({_text(size)}), more than the limit of "
                f"{limits.max_voxels:,}.",
                "Check the voxel size, use a coarser level, or ask the operator to raise the limit."
                if what
                else "Use a coarser level or a part of the image, or ask the operator to raise the limit.",
            )


def _grid(shape: Index3, model: ModelInfo, tile: Index3 | None, window: int, most: int) -> Grid:
    flat = model.ndim == 2
    halo = (0, *model.halo[1:]) if flat else model.halo
    # The strides of a network that sees its whole window are long, and its tiles are not exact in any case.
    frame = None if model.bounded else (0, 0, 0)
    stride = (1, *model.stride[1:]) if flat else model.stride
    if any(step == 0 for _, step in model.processing.get("input", {}).get("sizes", {}).values()):
        tile = model.tile  # the network takes windows of one size, whatever the caller would like
    if tile is None:
        return plan_grid(shape, choose_tile(shape, halo, stride, window), halo, stride, frame)
    grid = plan_grid(shape, (1, *tile[1:]) if flat and tile[0] >= 1 else tile, halo, stride, frame)
    if prod(grid.window) > most:
        raise LimitExceeded(
            f"A tile of {_text(tile)} needs {prod(grid.window):,} voxels of input ({_text(grid.window)} with its "
            f"halo), more than the limit of {most:,}.",
            "Give a smaller tile, or none.",
        )
    return grid


def _min_voxels(volume: float | None, smallest: int, scaling: Scaling, voxel_size: VoxelSize, info: ImageInfo) -> int:
    """The size filter in voxels of the image, at least 1."""
    if volume is None:
        return max(1, round(smallest * prod(scaling.step)))
    unit = voxel_size.y * voxel_size.x if info.is_2d else voxel_size.volume
    return max(1, ceil(volume / unit - 1e-9))


def _text(shape: Index3) -> str:
    return ",".join(str(n) for n in shape)
