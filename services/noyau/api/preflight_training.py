"""Checks before a job around training is queued."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, prod

from noyau.api.ports import Models
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.domain.geometry import Index3
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec

# Names become folders: no dots at the start, no separators.
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.IGNORECASE)
WILDCARDS = re.compile(r"[*?\[]")
MOST_DATASETS = 10_000
MOST_PROCESSES = 64
MOST_VALIDATION = 90
MOST_SYNTHETIC = 1_000_000


@dataclass(frozen=True)
class TrainingChecks:
    """The part of the preflight that is about training, suggestions and synthetic images.

    Attributes:
        models: the known models.
        access: which places may be read and written.
        device: raises the error for a device that cannot be had on this machine.
        most_images: images of one job.
        most_voxels: voxels of one crop or synthetic image.
    """

    models: Models
    access: AccessPolicy
    device: Callable[[str], None]
    most_images: int
    most_voxels: int

    def train(self, spec: TrainSpec) -> None:
        """Raises the error that the job would end with."""
        check_model_name(spec.name)
        if spec.alias is not None and not MODEL_NAME.fullmatch(spec.alias):
            raise InvalidInput(f"'{spec.alias[:100]}' cannot be an alias.", "Use letters, digits, '_', '-' and '.'.")
        _check_sources(spec)
        if spec.ndim not in (None, 2, 3):
            raise InvalidInput(f"A model has 2 or 3 dimensions, not {spec.ndim}.")
        _check_budget(spec)
        if spec.parent is not None:
            parent = self.models.get(spec.parent)
            if spec.ndim not in (None, parent.ndim):
                raise InvalidInput(
                    f"The parent '{spec.parent}' has {parent.ndim} dimensions, the model to train has {spec.ndim}.",
                    "Choose a parent of the same dimensions, or train from scratch.",
                )
        for uri in spec.data:
            self.access.check(fixed_part(uri))
        self._check_device(spec.device)

    def suggest(self, spec: SuggestSpec) -> None:
        """Raises the error that the job would end with; the images themselves are checked like those of other jobs."""
        _check_positive("number of suggestions", spec.count, self.most_images)
        if spec.crop is not None:
            self._check_shape("crop", spec.crop)
        if spec.model is not None:
            self.models.get(spec.model)
        self._check_output(spec.output)
        self._check_device(spec.device)

    def synth(self, spec: SynthSpec) -> None:
        """Raises the error that the job would end with."""
        if spec.ndim not in (2, 3):
            raise InvalidInput(f"An image has 2 or 3 dimensions, not {spec.ndim}.")
        _check_positive("number of images", spec.count, self.most_images)
        if spec.shape is not None:
            self._check_shape("image", spec.shape)
        if spec.nuclei is not None and spec.nuclei < 0:
            raise InvalidInput(f"An image cannot have {spec.nuclei} nuclei.")
        if spec.density is not None and not 0 <= spec.density <= 1:
            raise InvalidInput(f"The density {spec.density} is not between 0 and 1.")
        self._check_output(spec.output)

    def _check_output(self, uri: str) -> None:
        if not uri:
            raise InvalidInput("The job names no place for its results.", "Name a folder.")
        self.access.check(uri, write=True)

    def _check_shape(self, what: str, shape: Index3) -> None:
        if min(shape) < 1:
            raise InvalidInput(f"The {what} {shape} is empty.", "Give three positive numbers: z,y,x.")
        if prod(shape) > self.most_voxels:
            raise LimitExceeded(f"The {what} {shape} has {prod(shape)} voxels; the limit is {self.most_voxels}.")

    def _check_device(self, device: str) -> None:
        # Only what was asked for by name can be absent; asking costs the import of a large library.
        if device not in ("auto", "cpu"):
            self.device(device)


def check_model_name(name: str) -> None:
    """Raises InvalidInput for a name that cannot be a model's."""
    if not MODEL_NAME.fullmatch(name):
        raise InvalidInput(
            f"'{name[:100]}' cannot name a model.",
            "Use up to 100 letters, digits, '_', '-' and '.', with no dot or dash at the start.",
        )


def fixed_part(pattern: str) -> str:
    """The folder above the first wildcard of a pattern, or the pattern itself where it has none.

    Raises:
        InvalidInput: the pattern climbs up behind a wildcard.
    """
    found = WILDCARDS.search(pattern)
    if found is None or "://" in pattern:
        return pattern
    if ".." in pattern.split("/"):
        raise InvalidInput(f"The pattern '{pattern}' contains '..'.", "Name the folder itself.")
    return pattern[: found.start()].rpartition("/")[0] or "/"


def _check_sources(spec: TrainSpec) -> None:
    if not spec.data and not spec.synthetic_count:
        raise InvalidInput("The training has no data.", "Name a dataset, or ask for synthetic pairs.")
    if len(spec.data) > MOST_DATASETS:
        raise LimitExceeded(f"The job names {len(spec.data)} datasets; the limit is {MOST_DATASETS}.", "Name folders.")
    if not all(spec.data):
        raise InvalidInput("A dataset is given without a path or URI.")
    if not 0 <= spec.synthetic_count <= MOST_SYNTHETIC:
        raise InvalidInput(f"{spec.synthetic_count} synthetic pairs cannot be made.", f"Take 0 to {MOST_SYNTHETIC}.")
    if not 0 <= spec.synthetic_fraction <= 1:
        raise InvalidInput(f"The synthetic share {spec.synthetic_fraction} is not between 0 and 1.")
    if not 0 <= spec.val_percent <= MOST_VALIDATION:
        raise InvalidInput(f"{spec.val_percent}% cannot be kept for validation.", f"Take 0 to {MOST_VALIDATION}.")
    if spec.mode == "finetune" and spec.parent is None:
        raise InvalidInput("Fine-tuning needs a parent.", "Name a registered model as parent, or train from scratch.")
    if spec.mode == "scratch" and spec.parent is not None:
        raise InvalidInput(
            "A model that is trained from scratch has no parent.", "Leave the parent out, or choose the mode finetune."
        )


def _check_budget(spec: TrainSpec) -> None:
    if spec.minutes is not None and not (isfinite(spec.minutes) and spec.minutes > 0):
        raise InvalidInput(f"A training cannot last {spec.minutes} minutes.", "Give a positive number.")
    if spec.steps is not None and spec.steps < 1:
        raise InvalidInput(f"A training cannot have {spec.steps} steps.", "Give a positive number.")
    _check_positive("number of processes", spec.processes, MOST_PROCESSES)


def _check_positive(what: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise InvalidInput(f"The {what} cannot be {value}.", f"Take 1 to {most}.")
