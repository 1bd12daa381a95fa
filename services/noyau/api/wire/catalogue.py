"""What a registry tells of its models, on the wire."""

from __future__ import annotations

from noyau.api.wire.jobs import time_from_wire, time_to_wire
from noyau.api.wire.models import model_from_wire, model_to_wire
from noyau.domain.catalogue import (
    Catalogue,
    ModelAction,
    ModelElement,
    ModelEntry,
    ModelEvent,
    ModelProblem,
    ModelScore,
    Origin,
)
from noyau.models.bioimageio.objects import ObjectRule
from noyau.models.desk import RegisterOptions
from noyau.v1 import models_pb2


def entry_to_wire(entry: ModelEntry) -> models_pb2.Model:
    message = model_to_wire(entry.info)
    message.aliases.extend(entry.aliases)
    message.origin = entry.origin.value
    message.registered_by = entry.by
    message.ClearField("registered")
    if entry.registered is not None:
        message.registered.FromDatetime(entry.registered)
    return message


def entry_from_wire(message: models_pb2.Model) -> ModelEntry:
    return ModelEntry(
        info=model_from_wire(message),
        # A service that knows no registry says nothing.
        origin=Origin(message.origin) if message.origin else Origin.SHIPPED,
        aliases=tuple(message.aliases),
        by=message.registered_by,
        registered=time_from_wire(message.registered) if message.HasField("registered") else None,
    )


def catalogue_to_wire(catalogue: Catalogue) -> models_pb2.ListModelsResponse:
    problems = [models_pb2.ModelProblem(what=p.what, cause=p.cause, remedy=p.remedy) for p in catalogue.problems]
    return models_pb2.ListModelsResponse(models=map(entry_to_wire, catalogue.entries), problems=problems)


def catalogue_from_wire(message: models_pb2.ListModelsResponse) -> Catalogue:
    problems = tuple(ModelProblem(p.what, p.cause, p.remedy) for p in message.problems)
    return Catalogue(tuple(map(entry_from_wire, message.models)), problems)


def event_to_wire(event: ModelEvent) -> models_pb2.ModelEvent:
    return models_pb2.ModelEvent(
        at=time_to_wire(event.at),
        by=event.by,
        action=event.action.value,
        version=event.version,
        alias=event.alias,
        previous=event.previous,
    )


def event_from_wire(message: models_pb2.ModelEvent) -> ModelEvent:
    return ModelEvent(
        at=time_from_wire(message.at),
        by=message.by,
        action=ModelAction(message.action),
        version=message.version,
        alias=message.alias,
        previous=message.previous,
    )


def score_to_wire(score: ModelScore) -> models_pb2.CheckModelResponse:
    elements = [
        models_pb2.ModelElement(name=e.name, present=e.present, where=e.where, why=e.why, purpose=e.purpose)
        for e in score.elements
    ]
    return models_pb2.CheckModelResponse(model=score.model, elements=elements)


def score_from_wire(message: models_pb2.CheckModelResponse) -> ModelScore:
    elements = tuple(ModelElement(e.name, e.present, e.where, e.why, e.purpose) for e in message.elements)
    return ModelScore(message.model, elements)


def options_to_wire(options: RegisterOptions) -> models_pb2.Registration:
    rule = options.objects
    objects = None
    if rule is not None:
        objects = models_pb2.ObjectRule(
            kind=rule.kind,
            output=rule.output,
            foreground=rule.foreground,
            border=rule.border,
            threshold=rule.threshold,
        )
    return models_pb2.Registration(
        name=options.name or "",
        alias=options.alias or "",
        by=options.by,
        key=options.key,
        allow_torchscript=options.torchscript,
        objects=objects,
    )


def options_from_wire(message: models_pb2.Registration) -> RegisterOptions:
    rule = message.objects
    objects = None
    if message.HasField("objects"):
        border = rule.border if rule.HasField("border") else None
        objects = ObjectRule(rule.kind, rule.output, rule.foreground, border, rule.threshold or 0.5)
    return RegisterOptions(
        by=message.by,
        name=message.name or None,
        alias=message.alias or None,
        key=message.key,
        objects=objects,
        torchscript=message.allow_torchscript,
    )
