"""What the rest of the house needs to know of a model, without loading it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from noyau.domain.geometry import Index3, VoxelSize


@dataclass(frozen=True)
class Normalisation:
    """Global robust intensity normalisation: asinh(gain * (x - p_low) / (p_high - p_low)) / asinh(gain).

    Percentiles are taken over the whole image (or a strided sample of it), so that the result does not depend on
    the tiling. The argument of asinh is clipped to `clip` first.

    `steps` take the place of all that for a package of another maker: the processing steps of bioimage.io, see
    `noyau.domain.processing`; those that measure the image measure the whole of it.

    `inverted` is for dark nuclei on a bright ground: everything is taken of the negative, so that a network that knows
    bright nuclei sees what it knows. The value at the low percentile of the negative is then the larger one.
    """

    low: float = 50.0
    high: float = 99.5
    gain: float = 3.0
    clip: tuple[float, float] = (-0.5, 20.0)
    steps: tuple[dict[str, Any], ...] = ()
    inverted: bool = False

    @property
    def percentiles(self) -> tuple[float, float]:
        """Percentiles of the image itself that become 0 and 1; the first is the larger one of an inverted image."""
        return (100.0 - self.low, 100.0 - self.high) if self.inverted else (self.low, self.high)


@dataclass(frozen=True)
class VoteParams:
    """Parameters of the vote decoder, lengths in voxels of the model's grid.

    Attributes:
        foreground: probability threshold.
        seed_mass: smallest smoothed vote mass of a centre, in voxels that vote for one point.
        smooth: radius of the binomial kernel that smooths the votes, per axis z/y/x (variance = radius / 2).
        nms: radius of the window in which a centre must be the maximum, per axis z/y/x.
        rival_radius: how far apart two centres of one nucleus may be at most (weighted distance, as `radius`).
        rival_percent: of two such centres the weaker is dropped where their squared distance is at most this share of
            the mean squared length of the votes for one of them, a measure of its nucleus's size; 0 keeps both.
        weights: integer squared relative spacing z/y/x, so that squared distances stay exact integers
            (a voxel 2.2 times as long in z as in x has weight 5).
        radius: how far from a centre a vote may land: weighted squared distance <= radius squared.
        max_offset: longest offset that the network may give, per axis z/y/x.
        min_voxels: smallest object kept.
        min_certainty: lowest mean foreground probability of an object that is kept, 0 to 1.
    """

    foreground: float = 0.5
    seed_mass: float = 40.0
    smooth: Index3 = (2, 4, 4)
    nms: Index3 = (1, 2, 2)
    rival_radius: int = 12
    rival_percent: int = 200
    weights: Index3 = (5, 1, 1)
    radius: int = 12
    max_offset: Index3 = (8, 16, 16)
    min_voxels: int = 60
    min_certainty: float = 0.0


@dataclass(frozen=True)
class ModelInfo:
    """A model package's description.

    Attributes:
        name, version: e.g. `nuclei-3d`, `1`.
        digest: `sha256:...` of the weights.
        ndim: 2 or 3.
        architecture, arguments: name in the table of known architectures and its keyword arguments.
        voxel_size: micrometres z/y/x that the model was trained at; None for a model that works in pixels.
        diameter: typical nucleus diameter the model was trained on, micrometres (pixels where voxel_size is None).
        halo: voxels z/y/x around a tile that the prediction depends on (>= receptive field, multiple of stride).
        stride: total stride of the network z/y/x; tile origins are multiples of it.
        tile: default tile core z/y/x on a CPU.
        decoder: `vote`, with its parameters in `vote`, or one that sees one window at a time, with its parameters in
            `parameters` (see `noyau.decoding.windowed`).
        bounded: whether a prediction depends on a bounded neighbourhood, the halo; if not, tiles agree only roughly.
        kind: what the network answers: `vote`, or for a package of another maker `foreground`, `border` or `labels`,
            whose objects are found window by window and then joined.
        processing: how the input is prepared and the output understood, for a package of another maker; empty for
            our own, which follow `normalisation`.
        author: who made the model.
        cite: what to cite, one text each.
        parent: `name@version` of the model whose weights it started from.
        registered: when and by whom it was put into the registry.
        software: versions of what made it.
    """

    name: str
    version: str
    digest: str
    ndim: int
    architecture: str
    arguments: dict[str, Any]
    voxel_size: VoxelSize | None
    diameter: float
    halo: Index3
    stride: Index3
    tile: Index3
    normalisation: Normalisation = Normalisation()
    decoder: str = "vote"
    vote: VoteParams = VoteParams()
    description: str = ""
    licence: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    kind: str = "vote"
    processing: dict[str, Any] = field(default_factory=dict)
    author: str = ""
    cite: tuple[str, ...] = ()
    parent: str = ""
    registered: dict[str, Any] = field(default_factory=dict)
    software: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    bounded: bool = True

    @property
    def ref(self) -> str:
        """The unambiguous name, `nuclei-3d@1`."""
        return f"{self.name}@{self.version}"
