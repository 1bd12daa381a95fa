"""ModelService: which models there are."""

from __future__ import annotations

from typing import Any

from noyau.api.ports import Models
from noyau.api.threads import Threads
from noyau.api.wire.models import model_to_wire
from noyau.domain.errors import InvalidInput
from noyau.v1 import models_pb2, models_pb2_grpc


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    def __init__(self, models: Models, threads: Threads) -> None:
        self._models = models
        self._threads = threads

    async def List(self, request: models_pb2.ListModelsRequest, context: Any) -> models_pb2.ListModelsResponse:
        infos = await self._threads.run(self._models.list)
        return models_pb2.ListModelsResponse(models=[model_to_wire(info) for info in infos])

    async def Get(self, request: models_pb2.GetModelRequest, context: Any) -> models_pb2.GetModelResponse:
        if not request.model:
            raise InvalidInput("The request names no model.", "List names those that exist.")
        info = await self._threads.run(self._models.get, request.model)
        return models_pb2.GetModelResponse(model=model_to_wire(info))
