"""Checks before a job is queued: what is certain to fail is told at Submit, not minutes later.

Only cheap checks are made here: no pixel and no metadata of an image is read. The pipelines check the same things
and more; a job that passes here may still fail there with the same kinds of errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, prod

from noyau.api.ports import Models
from noyau.api.preflight_training import TrainingChecks
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobSpec, MeasureSpec, SegmentSpec
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec

MOST_THREADS = 1024
LONGEST_URI = 4096
LABELS_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Checks:
    """The preflight of the service.

    Attributes:
        models: the known models.
        access: which places may be read and written.
        device: raises the error for a device and a backend that cannot be had on this machine.
        most_images: image references in one job.
        most_tile_voxels: voxels of one tile core.
    """

    models: Models
    access: AccessPolicy
    device: Callable[[str, str], None]
    most_images: int
    most_tile_voxels: int

    def check(self, spec: JobSpec) -> None:
        """Raises the error that the job would end with."""
        if isinstance(spec, TrainSpec):
            self._training.train(spec)
            return
        if isinstance(spec, SynthSpec):
            self._training.synth(spec)
            return
        self._check_images(spec.images)
        if isinstance(spec, SuggestSpec):
            self._training.suggest(spec)
            return
        _check_labels_name(spec.labels)
        if isinstance(spec, SegmentSpec):
            self._check_segment(spec)
        else:
            _check_channels(spec)
        if spec.output is not None:
            self.access.check(spec.output, write=True)
            return
        for image in spec.images:
            self.access.check(image.uri, write=True)

    @property
    def _training(self) -> TrainingChecks:
        return TrainingChecks(
            self.models, self.access, lambda device: self.device(device, "torch"), self.most_images,
            self.most_tile_voxels,
        )  # fmt: skip

    def _check_images(self, images: tuple[ImageRef, ...]) -> None:
        if not images:
            raise InvalidInput("The job names no image.", "Give at least one.")
        if len(images) > self.most_images:
            raise LimitExceeded(
                f"The job names {len(images)} images; the limit is {self.most_images}.", "Submit several jobs."
            )
        for image in images:
            _check_selection(image)
            self.access.check(image.uri)

    def _check_segment(self, spec: SegmentSpec) -> None:
        if spec.model is not None:
            self.models.get(spec.model)
        if spec.tile is not None:
            if min(spec.tile) < 1:
                raise InvalidInput(f"The tile {_list(spec.tile)} is empty.", "Give three positive numbers: z,y,x.")
            if prod(spec.tile) > self.most_tile_voxels:
                raise LimitExceeded(
                    f"The tile {_list(spec.tile)} has {prod(spec.tile)} voxels; the limit is {self.most_tile_voxels}.",
                    "Take a smaller tile.",
                )
        _check_count("batch", spec.batch)
        _check_count("number of workers", spec.workers)
        if spec.diameter is not None and not (isfinite(spec.diameter) and spec.diameter > 0):
            raise InvalidInput(f"The diameter {spec.diameter} is not positive.", "Give it in micrometres.")
        if spec.foreground is not None and not 0 < spec.foreground < 1:
            raise InvalidInput(f"The foreground threshold {spec.foreground} is not between 0 and 1.")
        if spec.min_volume is not None and not (isfinite(spec.min_volume) and spec.min_volume >= 0):
            raise InvalidInput(f"The smallest volume {spec.min_volume} is not a positive number.")
        # Only what was asked for by name can be absent; asking costs the import of a large library.
        if (spec.device, spec.backend) not in (("auto", "auto"), ("cpu", "auto")):
            self.device(spec.device, spec.backend)


def _check_labels_name(name: str) -> None:
    if not LABELS_NAME.fullmatch(name):
        raise InvalidInput(
            f"'{name[:100]}' cannot name a label group.",
            "Use up to 100 letters, digits, '_', '-' and '.', with no dot or dash at the start.",
        )


def _check_selection(image: ImageRef) -> None:
    if not image.uri or len(image.uri) > LONGEST_URI:
        raise InvalidInput("An image is given without a usable path or URI.", f"Use 1 to {LONGEST_URI} characters.")
    if image.level < 0:
        raise InvalidInput(f"Level {image.level} of {image.uri} cannot exist.", "Levels count from 0, the finest.")
    _check_channel(image.channel)
    if image.time is not None and not 0 <= image.time[0] <= image.time[1]:
        raise InvalidInput(
            f"The time points {image.time[0]} to {image.time[1]} of {image.uri} cannot exist.",
            "Time points count from 0; the last must not lie before the first.",
        )


def _check_channels(spec: MeasureSpec) -> None:
    for channel in spec.channels:
        _check_channel(channel)


def _check_channel(channel: int | str | None) -> None:
    if channel == "" or (isinstance(channel, int) and channel < 0):
        raise InvalidInput(f"Channel '{channel}' cannot exist.", "Channels have a name, or an index from 0.")


def _check_count(name: str, value: int | None) -> None:
    if value is not None and not 1 <= value <= MOST_THREADS:
        raise InvalidInput(f"The {name} cannot be {value}.", f"Take 1 to {MOST_THREADS}.")


def _list(values: tuple[int, ...]) -> str:
    return ",".join(str(value) for value in values)
