"""The training job: read, plan, train, draw, package, register. Each start goes on where the last one was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from noyau.domain.jobs import JobResult
from noyau.domain.model import ModelInfo
from noyau.domain.training_jobs import TrainSpec
from noyau.models.package import LoadedModel, write_package
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.omero_pairs import with_fetched_data
from noyau.pipelines.train_data import TrainingData, read_data, with_synthetic
from noyau.pipelines.train_decoder import with_chosen_vote
from noyau.pipelines.train_pictures import picture_curves, picture_examples
from noyau.pipelines.train_plan import PLAN_NAME, Plan, make_plan, read_plan, write_plan
from noyau.pipelines.train_processes import several
from noyau.pipelines.train_run import FIRST_VERSION, Origin, train_on
from noyau.training.card import CURVES, EXAMPLES, job_card
from noyau.training.data import RECORD_NAME
from noyau.training.export import describe
from noyau.training.history import LOG_NAME, read_history
from noyau.training.loop import TrainResult

_FOLDER, _PACKAGE = "run", "package"
_CHECKPOINTS = "checkpoint"


def run(spec: TrainSpec, context: PipelineContext) -> JobResult:
    """Trains a model and registers it. The configuration that was chosen at the first start holds for all.

    Raises:
        NotFound: there is no such parent or data.
        InvalidInput, FailedPrecondition: the data, the parent or the configuration cannot be used.
        LimitExceeded: memory or disk do not suffice.
    """
    context.reporter.stage("prepare")
    spec = with_fetched_data(spec, context)
    folder = context.workdir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    plan = read_plan(folder)
    wanted = plan.parent if plan is not None else spec.parent
    parent = context.registry.load(wanted) if wanted else None
    data = read_data(spec, spec.ndim, context.access, context.reporter)
    if plan is None:
        made, data = make_plan(spec, data, None if parent is None else parent.info, context, folder)
        plan = write_plan(made, folder)
    else:
        data = with_synthetic(data, spec, plan.config, context.reporter).fitted(plan.config)
    _tell(plan, context)
    job = _Run(spec, context, folder, plan, data, parent)
    result = job.train()
    return job.register(job.package(result), job.warnings(result))


def _tell(plan: Plan, context: PipelineContext) -> None:
    """The choices, as events."""
    values = plan.config.record()
    for name, reason in plan.reasons.items():
        outer, _, inner = name.partition(".")
        value = values.get(outer)
        value = value.get(inner, value) if inner and isinstance(value, Mapping) else value
        context.reporter.log(f"{name} {json.dumps(value)}: {reason}")


@dataclass(frozen=True)
class _Run:
    """The parts of one job that need all there is to know."""

    spec: TrainSpec
    context: PipelineContext
    folder: Path
    plan: Plan
    data: TrainingData
    parent: LoadedModel | None

    def train(self) -> TrainResult:
        """Trains, from the checkpoint where there is one. A checkpoint counts as work that was done."""
        context, config = self.context, self.plan.config
        if not self.data.validation:
            context.reporter.log("no pair is held back: the weights of the last step are kept unmeasured", "warning")
        origin = Origin(self.parent, self.plan.found)
        package = None if self.parent is None else context.registry.folder(self.parent.info.ref)

        def saved(step: int) -> None:
            context.ledger.mark(_CHECKPOINTS, str(step))

        with several(self.spec, self.folder, package, context.access) as ranks:
            return train_on(config, self.data, context.reporter, origin, ranks=ranks, saved=saved, thin=True)

    def package(self, result: TrainResult) -> Path:
        """Writes the package with its card, pictures and records into the run's folder."""
        context, config = self.context, self.plan.config
        context.reporter.stage("package")
        info = self._describe(result)
        folder = self.folder / _PACKAGE / config.name / FIRST_VERSION
        folder.mkdir(parents=True, exist_ok=True)
        shown = self.data.validation or self.data.leading
        pictures = {CURVES: picture_curves(self.folder / LOG_NAME, f"{config.name}, {result.step} steps")}
        if self.spec.mode != "pretrain":
            pictures[EXAMPLES] = picture_examples(result.network, info, shown, context.reporter)
        for name, content in pictures.items():
            (folder / name).write_bytes(content)
        (folder / LOG_NAME).write_bytes((self.folder / LOG_NAME).read_bytes())
        (folder / "training.json").write_bytes((self.folder / PLAN_NAME).read_bytes())
        if self.data.record:
            (folder / RECORD_NAME).write_text(json.dumps(self.data.record, indent=1))
        card = job_card(info, self.data.record, self.plan.reasons, self.warnings(result), list(pictures))
        write_package(folder, info, result.network.state_dict(), card)
        return folder

    def register(self, package: Path, warnings: tuple[str, ...]) -> JobResult:
        """Puts the package into the registry, once however often the job starts."""
        context, spec = self.context, self.spec
        context.reporter.stage("register")
        by = context.owner or f"job {context.job_id}"
        info = context.registry.register(package, by=by, alias=spec.alias, name=spec.name, key=context.job_id)
        context.reporter.log(f"registered {info.ref}")
        place = context.registry.folder(info.ref)
        names = (CURVES, EXAMPLES, LOG_NAME, "training.json", RECORD_NAME)
        return JobResult(
            model=info.ref,
            model_digest=info.digest,
            models=(info.ref,),
            files=tuple(str(place / name) for name in names if (place / name).exists()),
            warnings=warnings,
        )

    def _describe(self, result: TrainResult) -> ModelInfo:
        config, spec = self.plan.config, self.spec
        parent = None if self.parent is None else self.parent.info
        info = describe(
            config, result.network, FIRST_VERSION, result.step, result.elapsed, found=self.plan.found, parent=parent
        )
        pairs = (*self.data.leading, *self.data.validation)
        info = with_chosen_vote(info, result.network, pairs, self.context.reporter)
        training = {
            **info.training,
            "mode": spec.mode,
            "decoder": config.decoder,
            "val": [pair.name for pair in self.data.validation],
            "fingerprint": self.plan.found.record(),
            "data": self.data.record.get("parts", []),
            "data_digest": self.data.record.get("digest", ""),
            "job": self.context.job_id,
            "processes": spec.processes,
            "changes": [dict(change) for change in result.changes],
        }
        return replace(
            info,
            description=spec.description or info.description,
            licence=spec.licence or info.licence,
            metrics=self._figures(result),
            training=training,
        )

    def _figures(self, result: TrainResult) -> dict[str, Any]:
        """Validation figures of the weights that are kept."""
        history = read_history(self.folder / LOG_NAME)
        step = result.best.step if self.plan.config.keep == "best" and result.best.exists else result.step
        figures = {
            name.removeprefix("val/"): values[step]
            for name, values in history.items()
            if name.startswith("val/") and step in values
        }
        return {**figures, "validation_images": len(self.data.validation), "step": step} if figures else {}

    def warnings(self, result: TrainResult) -> tuple[str, ...]:
        """What was odd about the data and the run."""
        changed = [f"While training, {c['what']} became {c['to']}: {c['why']}." for c in result.changes]
        if self.plan.config.keep == "best" and result.best.step == 0:
            changed.append(f"No step was better than the parent {self.plan.parent}; the weights are the parent's.")
        return (*self.data.warnings, *changed)
