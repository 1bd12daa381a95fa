"""Everything that decides a training run, as frozen data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noyau.domain.errors import InvalidInput
from noyau.domain.model import Normalisation
from noyau.models.networks import arguments_for
from noyau.training.objectives import VOTE, Objective, answer_arguments, objective_for

PRECISIONS = ("auto", "fp32", "fp16", "bf16")
KEPT = ("last", "best")


@dataclass(frozen=True)
class AugmentConfig:
    """How widely training patches vary. Probabilities are per patch; intensities are in units of (p_high - p_low).

    Attributes:
        zoom_wide: log-uniform range of the isotropic zoom (patch voxels per source voxel) of `zoom_wide_share` of the
            patches; the others are drawn around 1 with standard deviation `zoom_sd` of the logarithm.
        zoom_axis: largest logarithm of the further zoom of each axis.
        gain: largest absolute logarithm of the brightness factor.
        offset: standard deviation of the added background.
        gamma, blur, bias_field, attenuation, noise, thin_planes, empty: probabilities.
        noise_read, noise_shot: largest standard deviations.
    """

    zoom_wide: tuple[float, float] = (0.55, 1.7)
    zoom_wide_share: float = 0.2
    zoom_sd: float = 0.16
    zoom_axis: float = 0.15
    gain: float = 0.9
    offset: float = 0.05
    gamma: float = 0.3
    blur: float = 0.35
    bias_field: float = 0.4
    attenuation: float = 0.25
    noise: float = 0.6
    noise_read: float = 0.10
    noise_shot: float = 0.12
    thin_planes: float = 0.15
    empty: float = 0.015


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        name: model name, e.g. `nuclei-3d`.
        ndim: 2 or 3.
        data: npz files, folders or glob patterns with real pairs (`image`, `labels`).
        synthetic: the same for synthetic pairs; they are never used for validation.
        synthetic_count: synthetic pairs that the run generates for itself, from `seed`, beside those of `synthetic`.
        synthetic_fraction: share of the patches that come from synthetic pairs.
        settle: what is left, at the last step, of the synthetic share and of the share of widely zoomed patches; both
            fall linearly with the step. Other than 1 it needs `max_steps`.
        fragment: labelled objects of fewer voxels (of the data) count neither as nucleus nor as background.
        val: file name patterns (of the stem, e.g. `Emb10_*`) that are validation and never trained on.
        val_percent: further share of the files, chosen by a hash of folder and stem, that is validation.
        out: folder for checkpoints, logs and weights.
        minutes: wall-clock budget; None for no limit.
        max_steps: step budget; None for no limit. One of the two must be given.
        patch: patch in voxels, z/y/x or y/x; multiples of the network's stride.
        batch: patches per step.
        lr: peak learning rate (AdamW, linear warm-up, cosine decay to 1%).
        warmup: steps of the warm-up.
        weight_decay: of AdamW.
        clip: largest gradient norm.
        ema: decay of the exponential moving average of the weights.
        seed: decides the initial weights and every patch.
        threads: torch threads; 0 leaves torch's choice.
        device: `cpu`, `cuda` or `cuda:N`.
        precision: `fp32`, `fp16` or `bf16` of the network's arithmetic while training; `auto` takes fp16 on a GPU,
            bf16 on a processor that has it, else fp32.
        loaders: batches that are made in the background at once; 0 lets the device decide.
        checkpoint_minutes: time between checkpoints.
        report_every: steps between reports of the training loss.
        validate_every: steps between validations; 0 for none.
        val_limit: validation images per validation while training (spread evenly over the set); 0 for all.
        keep: which weights the run ends with: those of the `last` step or those of the `best` validation.
        patience: validations without a better score after which the run stops early; 0 for never.
        resume: go on from the checkpoint in `out`.
        voxel_size: micrometres that the data has, z/y/x; None for a model that works in pixels.
        decoder: what turns the network's answer into objects, and so decides what the network is trained to answer; see
            `noyau.training.objectives`.
        architecture, arguments: the network; empty arguments take the shipped shape for `ndim`.
        parent: folder of a model package whose weights are the start; the network may be wider or deeper.
        parent_share: share of the parent's weights in the result, from 0 to below 1 (see `blending`); validation while
            the run lasts measures what was trained alone.
    """

    name: str
    ndim: int
    data: tuple[str, ...]
    out: Path
    synthetic: tuple[str, ...] = ()
    synthetic_count: int = 0
    synthetic_fraction: float = 0.0
    settle: float = 1.0
    fragment: int = 0
    val: tuple[str, ...] = ()
    val_percent: int = 0
    minutes: float | None = None
    max_steps: int | None = None
    patch: tuple[int, ...] = ()
    batch: int = 2
    lr: float = 3e-3
    warmup: int = 50
    weight_decay: float = 1e-3
    clip: float = 5.0
    ema: float = 0.998
    seed: int = 0
    threads: int = 0
    device: str = "cpu"
    precision: str = "auto"
    loaders: int = 0
    checkpoint_minutes: float = 4.0
    report_every: int = 25
    validate_every: int = 0
    val_limit: int = 6
    keep: str = "last"
    patience: int = 0
    resume: bool = False
    voxel_size: tuple[float, float, float] | None = None
    decoder: str = VOTE
    architecture: str = "vote-unet"
    arguments: dict[str, Any] = field(default_factory=dict)
    parent: Path | None = None
    parent_share: float = 0.0
    normalisation: Normalisation = field(default_factory=lambda: Normalisation(low=25.0, high=99.8))
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.ndim not in (2, 3):
            raise InvalidInput(f"A model has 2 or 3 dimensions, not {self.ndim}.")
        if self.minutes is None and self.max_steps is None:
            raise InvalidInput("The training run has no end.", "Give a number of minutes or of steps.")
        if not 0.0 <= self.synthetic_fraction <= 1.0:
            raise InvalidInput(f"The synthetic share {self.synthetic_fraction} is not between 0 and 1.")
        if self.patch and len(self.patch) != self.ndim:
            raise InvalidInput(f"The patch {self.patch} does not have {self.ndim} dimensions.")
        if not 0.0 <= self.settle <= 1.0:
            raise InvalidInput(f"The share {self.settle} that is left in the end is not between 0 and 1.")
        if self.settle != 1.0 and self.max_steps is None:
            raise InvalidInput("Settling needs to know the last step.", "Give a number of steps.")
        if not 0.0 <= self.parent_share < 1.0:
            raise InvalidInput(f"The parent's share {self.parent_share} is not between 0 and 1.")
        if self.precision not in PRECISIONS:
            raise InvalidInput(f"'{self.precision}' is no precision.", f"Known are: {', '.join(PRECISIONS)}.")
        if self.keep not in KEPT:
            raise InvalidInput(f"The weights '{self.keep}' cannot be kept.", f"Known are: {', '.join(KEPT)}.")
        for name in ("batch", "report_every"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"The training setting {name} {getattr(self, name)} is not positive.")

    def variety(self, step: int) -> float:
        """Factor, at a step, of the synthetic share and of the share of widely zoomed patches."""
        if self.max_steps is None:
            return 1.0
        return 1.0 - (1.0 - self.settle) * min(1.0, step / max(self.max_steps, 1))

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """The patch, or the default one of the dimension."""
        return self.patch or ((32, 80, 80) if self.ndim == 3 else (192, 192))

    @property
    def network_arguments(self) -> dict[str, Any]:
        """The network's arguments, or those of the shipped shape, with what the objective asks of its answer."""
        shape = self.arguments or arguments_for(self.architecture, self.ndim)
        return shape if self.decoder == VOTE else {**shape, **answer_arguments(self.objective)}

    @property
    def objective(self) -> Objective:
        """What the network is trained to answer."""
        shape = self.arguments or arguments_for(self.architecture, self.ndim)
        return objective_for(self.decoder, self.ndim, scale=float(shape["offset_scale"]), voxel_size=self.voxel_size)

    def record(self) -> dict[str, Any]:
        """The run as JSON-ready data, for checkpoints and model cards."""
        values = asdict(self)
        values["out"] = str(self.out)
        values["parent"] = None if self.parent is None else str(self.parent)
        return values
