"""Jobs around training: make a model, pick images worth annotating, make synthetic images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.image import ImageRef

TrainMode = Literal["scratch", "finetune", "pretrain"]
"""From random weights, from a model's weights, or without labels (self-supervised)."""

OnBadPair = Literal["stop", "skip"]
"""What one pair of a dataset that cannot be used does: fail the job, or be left out and named."""


@dataclass(frozen=True)
class TrainSpec:
    """Make a model from annotated (or, for pretraining, plain) images, and register it.

    Attributes:
        name: name of the model; its version is the next free one.
        data: URIs or paths of datasets.
        parent: model whose weights are the start, as `name`, `name@version` or `name@alias`; needed for `finetune`.
        mode: where the weights come from.
        ndim: 2 or 3; None goes by the parent, else by the data.
        voxel_size: micrometres z/y/x at which the model works; None goes by the parent, else by the data.
        val: patterns of the names of pairs that are validated on and never trained on.
        val_percent: further share of the pairs, by specimen, that is validation.
        minutes: budget of training time; None for no limit.
        steps: budget of steps; None lets the data decide (where `minutes` gives no other end).
        synthetic_count: synthetic pairs that are made for this run.
        synthetic_fraction: share of the training patches that are synthetic.
        overrides: fields of the training configuration by name (`batch`, `lr`, `augment.noise`, `arguments.channels`)
            with JSON values; they win over what the data suggests.
        labels: label group of OME-Zarr images in `data`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        processes: training processes that share the work, one per GPU.
        seed: decides the initial weights and every patch.
        on_bad_pair: whether a pair that cannot be used fails the job.
        alias: alias that the new version gets, e.g. `production`; None gives none.
        description, licence: for the model's card.
    """

    name: str
    data: tuple[str, ...] = ()
    parent: str | None = None
    mode: TrainMode = "scratch"
    ndim: int | None = None
    voxel_size: VoxelSize | None = None
    val: tuple[str, ...] = ()
    val_percent: int = 0
    minutes: float | None = None
    steps: int | None = None
    synthetic_count: int = 0
    synthetic_fraction: float = 0.0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    labels: str = "nuclei"
    device: str = "auto"
    processes: int = 1
    seed: int = 0
    on_bad_pair: OnBadPair = "stop"
    alias: str | None = None
    description: str = ""
    licence: str = ""


@dataclass(frozen=True)
class SuggestSpec:
    """Rank images, or crops of them, by how much their annotation would teach a model.

    Attributes:
        images: where to look.
        output: folder or URI that the record (and the crops) are written to.
        model: the model that is to learn; None picks nuclei-3d or nuclei-2d by the image.
        count: how many to suggest.
        crop: shape of the crops in voxels z/y/x; None ranks whole images.
        voxel_size: overrides or supplies the voxel size, micrometres z/y/x.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: decides what ties and samples leave open.
        overwrite: replace an existing record.
    """

    images: tuple[ImageRef, ...]
    output: str
    model: str | None = None
    count: int = 10
    crop: Index3 | None = None
    voxel_size: VoxelSize | None = None
    device: str = "auto"
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class SynthSpec:
    """Make synthetic images with their true labels.

    Attributes:
        output: folder, or a file for one image; see `noyau.pipelines.synth`.
        ndim: 2 or 3.
        count: number of images.
        recipe: name of the recipe.
        seed: of the first image; image i has `seed + i`.
        voxel_size: micrometres z/y/x; None draws one per image.
        shape: voxels z/y/x; None takes a default of the dimension.
        previews: also write pictures.
        nuclei, density: nuclei per image, or share of the space that they fill; None draws them.
        fmt: `npz` or `zarr`; None goes by the name of `output`.
        overwrite: replace files that exist.
    """

    output: str
    ndim: int = 3
    count: int = 1
    recipe: str = "wide"
    seed: int = 0
    voxel_size: VoxelSize | None = None
    shape: Index3 | None = None
    previews: bool = True
    nuclei: int | None = None
    density: float | None = None
    fmt: str | None = None
    overwrite: bool = False
