"""ModelService: which models there are, how new ones come in, and what points to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from noyau.api.call import Call
from noyau.api.callers import certified_name
from noyau.api.identities import identify
from noyau.api.ports import Desk, ModelDesk
from noyau.api.threads import Threads
from noyau.api.uploads import PIECE, receive
from noyau.api.wire.catalogue import (
    catalogue_to_wire,
    entry_to_wire,
    event_to_wire,
    options_from_wire,
    score_to_wire,
)
from noyau.api.wire.models import model_to_wire
from noyau.domain.catalogue import PRODUCTION
from noyau.domain.errors import InvalidInput
from noyau.models.desk import RegisterOptions
from noyau.v1 import models_pb2, models_pb2_grpc


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """Translates messages; decisions are the desk's.

    Args:
        models: the desk.
        threads: where it works.
        slow: where packages are opened, tested and packed, which takes many seconds; the others do not wait for it.
        archive_bytes: largest archive that is taken.
        omero: tells who calls; None where the service knows no OMERO server.
    """

    def __init__(
        self, models: ModelDesk, threads: Threads, slow: Threads, archive_bytes: int, omero: Desk | None = None
    ) -> None:
        self._models = models
        self._threads = threads
        self._slow = slow
        self._archive_bytes = archive_bytes
        self._omero = omero

    async def List(self, request: models_pb2.ListModelsRequest, context: Any) -> models_pb2.ListModelsResponse:
        return catalogue_to_wire(await self._threads.run(self._models.catalogue))

    async def Get(self, request: models_pb2.GetModelRequest, context: Any) -> models_pb2.GetModelResponse:
        entry = await self._threads.run(self._models.entry, _named(request.model))
        return models_pb2.GetModelResponse(model=entry_to_wire(entry))

    async def History(self, request: models_pb2.ModelHistoryRequest, context: Any) -> models_pb2.ModelHistoryResponse:
        events = await self._threads.run(self._models.history, _named(request.name))
        return models_pb2.ModelHistoryResponse(events=map(event_to_wire, events))

    async def Register(
        self, request: models_pb2.RegisterModelRequest, context: Any
    ) -> models_pb2.RegisterModelResponse:
        _require_operator(context)
        if not request.path:
            raise InvalidInput("The request names no package.", "Give the path of a folder or an archive.")
        options = await self._options(request.registration, context)
        entry = await self._slow.run(self._models.register, request.path, options)
        return models_pb2.RegisterModelResponse(model=entry_to_wire(entry))

    async def Upload(
        self, request_iterator: AsyncIterator[models_pb2.UploadModelRequest], context: Any
    ) -> models_pb2.UploadModelResponse:
        _require_operator(context)
        with self._models.scratch() as folder:
            archive = folder / "upload.zip"
            header = await receive(request_iterator, archive, self._archive_bytes, self._threads)
            options = await self._options(header, context)
            entry = await self._slow.run(self._models.register_archive, archive, options)
        return models_pb2.UploadModelResponse(model=entry_to_wire(entry))

    async def Export(
        self, request: models_pb2.ExportModelRequest, context: Any
    ) -> AsyncGenerator[models_pb2.ExportModelResponse, None]:
        with self._models.scratch() as folder:
            archive = folder / "model.zip"
            await self._slow.run(self._models.export, _named(request.model), archive)
            position = 0
            while data := await self._threads.run(_read, archive, position):
                yield models_pb2.ExportModelResponse(data=data)
                position += len(data)

    async def Check(self, request: models_pb2.CheckModelRequest, context: Any) -> models_pb2.CheckModelResponse:
        return score_to_wire(await self._slow.run(self._models.check, _named(request.model)))

    async def SetAlias(
        self, request: models_pb2.SetModelAliasRequest, context: Any
    ) -> models_pb2.SetModelAliasResponse:
        _require_operator(context)
        name, by = _named(request.name), await self._caller(context, request.by)
        if not request.version:
            await self._threads.run(self._models.drop_alias, name, request.alias, by)
            return models_pb2.SetModelAliasResponse()
        entry = await self._threads.run(self._models.set_alias, name, request.alias, request.version, by)
        return models_pb2.SetModelAliasResponse(model=entry_to_wire(entry))

    async def Rollback(
        self, request: models_pb2.RollbackModelRequest, context: Any
    ) -> models_pb2.RollbackModelResponse:
        _require_operator(context)
        name, by = _named(request.name), await self._caller(context, request.by)
        entry = await self._threads.run(self._models.rollback, name, request.alias or PRODUCTION, by)
        return models_pb2.RollbackModelResponse(model=entry_to_wire(entry))

    async def Remove(self, request: models_pb2.RemoveModelRequest, context: Any) -> models_pb2.RemoveModelResponse:
        _require_operator(context)
        by = await self._caller(context, request.by)
        info = await self._threads.run(self._models.remove, _named(request.model), by)
        return models_pb2.RemoveModelResponse(model=model_to_wire(info))

    async def _options(self, message: models_pb2.Registration, context: Any) -> RegisterOptions:
        options = options_from_wire(message)
        return replace(options, by=await self._caller(context, options.by))

    async def _caller(self, context: Call, claimed: str) -> str:
        """Who calls, as was proven; in an open service as OMERO, a certificate or the caller says."""
        found = await self._threads.run(identify, self._omero, context, claimed, "")
        confirmed = found.confirmed or context.caller.is_proven
        return found.owner if confirmed else certified_name(context) or claimed


def _require_operator(context: Call) -> None:
    context.caller.require_operator("change the registry of models")


def _named(model: str) -> str:
    if not model:
        raise InvalidInput("The request names no model.", "List names those that exist.")
    return model


def _read(archive: Path, position: int) -> bytes:
    with archive.open("rb") as file:
        file.seek(position)
        return file.read(PIECE)
