"""From a training job's request and its data to a configuration, which is kept for the job's restarts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.domain.model import ModelInfo
from noyau.domain.training_jobs import TrainSpec
from noyau.inference.selection import choose as choose_device
from noyau.models.foreign.networks import is_foreign
from noyau.models.networks import build
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.train_data import TrainingData, with_synthetic
from noyau.training.choosing import Budget, choose, working_grid
from noyau.training.config import TrainConfig
from noyau.training.devices import memory_of, training_device
from noyau.training.fingerprint import Fingerprint, Spacing, take_fingerprint
from noyau.training.heritage import inherited
from noyau.training.overrides import build_config, merge
from noyau.training.pretraining import DENOISE

PLAN_NAME = "plan.json"
# Share of synthetic patches where the user makes synthetic pairs and says nothing of their share.
_SYNTHETIC_SHARE = 0.25
# What synthetic volumes are made at where neither data nor parent gives a grid, micrometres z/y/x.
_SYNTHETIC_GRID: Spacing = (1.75, 0.8, 0.8)


@dataclass(frozen=True)
class Plan:
    """What a job is going to do.

    Attributes:
        config: of the run.
        found: fingerprint of the data on the model's grid.
        reasons: why the configuration is as it is, by field.
        parent: the model that is started from, as `name@version`; empty from scratch.
    """

    config: TrainConfig
    found: Fingerprint
    reasons: Mapping[str, str]
    parent: str = ""

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "config": self.config.record(),
            "fingerprint": self.found.record(),
            "reasons": dict(self.reasons),
            "parent": self.parent,
        }


def write_plan(plan: Plan, folder: Path) -> Plan:
    """Keeps the plan for restarts, and returns it as they will read it."""
    partial = folder / f".{PLAN_NAME}.partial"
    partial.write_text(json.dumps(plan.record(), indent=1))
    partial.replace(folder / PLAN_NAME)
    kept = read_plan(folder)
    if kept is None:
        raise FailedPrecondition(f"The plan of the training in '{folder}' is gone.")
    return kept


def read_plan(folder: Path) -> Plan | None:
    """The plan of an earlier start of the job; None where there is none."""
    path = folder / PLAN_NAME
    if not path.is_file():
        return None
    stored = json.loads(path.read_text())
    found: Fingerprint = TypeAdapter(Fingerprint).validate_python(stored["fingerprint"])
    return Plan(build_config(stored["config"]), found, stored["reasons"], stored["parent"])


def make_plan(
    spec: TrainSpec, data: TrainingData, parent: ModelInfo | None, context: PipelineContext, folder: Path
) -> tuple[Plan, TrainingData]:
    """Chooses the configuration, and returns it with the data on the model's grid.

    Args:
        spec: what was asked; its overrides win.
        data: on its own grid, without synthetic pairs.
        parent: description of the model that is started from.
        context: of the job.
        folder: of the run.

    Raises:
        InvalidInput: there is nothing to learn from, or an override does not fit.
        FailedPrecondition: the parent cannot be the start of this model, or the device is absent.
    """
    ndim = _dimensions(spec, data, parent)
    reasons: dict[str, str] = {}
    values = _asked(spec, ndim, context, folder)
    values["voxel_size"], reasons["voxel_size"] = _grid(spec, data, parent, ndim)
    if parent is not None:
        values.update(inherited(parent))
        reasons["architecture"] = reasons["normalisation"] = f"the parent is {parent.ref}"
    labelled = spec.mode != "pretrain"
    if not labelled:
        values["decoder"], reasons["decoder"] = DENOISE, "mode pretrain"
    first = build_config(merge({**values, "max_steps": spec.steps or 1}, _trainable(spec)))
    data = with_synthetic(data, spec, first, context.reporter)
    found = take_fingerprint(data.fitted(first).leading, labelled=labelled)
    stride = build(first.architecture, first.network_arguments).total_stride
    device = training_device(first.device)
    budget = Budget(memory_of(device), device.type == "cuda", spec.minutes, spec.steps)
    validated = sum(len(pair.objects.ids) for pair in data.validation)
    chosen = choose(found, spec.mode, stride, budget, validated)
    if data.synthetic and data.train and not spec.synthetic_fraction:
        values["synthetic_fraction"] = _SYNTHETIC_SHARE
        reasons["synthetic_fraction"] = "synthetic pairs are made for the run"
    merged = merge(merge(values, {**chosen.values, **_kept(chosen.values, parent)}), _trainable(spec))
    config = build_config(merged)
    told = {**chosen.reasons, **reasons, **dict.fromkeys(spec.overrides, "as asked")}
    plan = Plan(config, found, told, "" if parent is None else parent.ref)
    # Fitted to the data as it was read, as a restart will do.
    return plan, data.fitted(config)


def _asked(spec: TrainSpec, ndim: int, context: PipelineContext, folder: Path) -> dict[str, Any]:
    """What the request says itself."""
    return {
        "name": spec.name,
        "ndim": ndim,
        "data": spec.data,
        "out": folder,
        "synthetic_count": spec.synthetic_count,
        "synthetic_fraction": spec.synthetic_fraction,
        "val": spec.val,
        "val_percent": spec.val_percent,
        "minutes": spec.minutes,
        "seed": spec.seed,
        "threads": context.threads or 0,
        "device": choose_device(spec.device, "torch").device,
        "resume": True,
    }


def _dimensions(spec: TrainSpec, data: TrainingData, parent: ModelInfo | None) -> int:
    of_data = data.leading[0].image.ndim if data.leading else None
    ndim = spec.ndim or of_data or (parent.ndim if parent else None) or 3
    if parent is not None and parent.ndim != ndim:
        raise InvalidInput(
            f"The parent {parent.ref} has {parent.ndim} dimensions, the images to train on have {ndim}.",
            "Choose a parent of the same dimensions, or train from scratch.",
        )
    if parent is not None and is_foreign(parent.architecture):
        raise FailedPrecondition(
            f"The parent {parent.ref} is a package of another maker and can only be run.",
            "Choose a model that Noyau has trained.",
        )
    return ndim


def _grid(
    spec: TrainSpec, data: TrainingData, parent: ModelInfo | None, ndim: int
) -> tuple[tuple[float, ...] | None, str]:
    """Voxel size of the model, micrometres z/y/x, and why."""
    if spec.voxel_size is not None:
        return tuple(spec.voxel_size), "as asked"
    if parent is not None:
        return None if parent.voxel_size is None else tuple(parent.voxel_size), f"the parent is {parent.ref}"
    if data.train:
        return working_grid(take_fingerprint(data.train, labelled=spec.mode != "pretrain"))
    return (_SYNTHETIC_GRID, "of synthetic volumes") if ndim == 3 else (None, "planes are taken in pixels")


def _kept(chosen: Mapping[str, Any], parent: ModelInfo | None) -> dict[str, Any]:
    """The parent's normalisation wins over the data's, but dark nuclei are shown to it as the bright ones it knows."""
    if parent is None or "normalisation" not in chosen:
        return {}
    return {"normalisation": {**inherited(parent)["normalisation"], "inverted": chosen["normalisation"]["inverted"]}}


def _trainable(spec: TrainSpec) -> dict[str, Any]:
    """The overrides; `val_percent` has been used for the split, and `steps` is what users call `max_steps`."""
    named = {"steps": "max_steps"}
    return {named.get(name, name): value for name, value in spec.overrides.items()}
