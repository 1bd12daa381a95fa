"""The Open Inference Protocol over the same previews, for clients of KServe and Triton."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from noyau.api.ports import Models, Previewer, PreviewTask
from noyau.api.preview import check_crop_size, check_task
from noyau.api.tensors import DATATYPES, image_tensor, infer_response
from noyau.api.threads import Threads
from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo
from noyau.oip import open_inference_pb2 as oip
from noyau.oip import open_inference_pb2_grpc as oip_grpc

PLATFORM = "noyau"
OUTPUTS = ("labels", "probability")


class InferenceServicer(oip_grpc.GRPCInferenceServiceServicer):
    def __init__(
        self, models: Models, previewer: Previewer, threads: Threads, draining: asyncio.Event, crop_bytes: int
    ) -> None:
        self._models = models
        self._previewer = previewer
        self._threads = threads
        self._draining = draining
        self._crop_bytes = crop_bytes

    async def ServerLive(self, request: oip.ServerLiveRequest, context: Any) -> oip.ServerLiveResponse:
        return oip.ServerLiveResponse(live=True)

    async def ServerReady(self, request: oip.ServerReadyRequest, context: Any) -> oip.ServerReadyResponse:
        return oip.ServerReadyResponse(ready=not self._draining.is_set())

    async def ModelReady(self, request: oip.ModelReadyRequest, context: Any) -> oip.ModelReadyResponse:
        try:
            await self._model(request.name, request.version)
        except NotFound:
            return oip.ModelReadyResponse(ready=False)
        return oip.ModelReadyResponse(ready=True)

    async def ServerMetadata(self, request: oip.ServerMetadataRequest, context: Any) -> oip.ServerMetadataResponse:
        return oip.ServerMetadataResponse(name="noyau", version=version("noyau"))

    async def ModelMetadata(self, request: oip.ModelMetadataRequest, context: Any) -> oip.ModelMetadataResponse:
        info = await self._model(request.name, request.version)
        versions = [other.version for other in await self._threads.run(self._models.list) if other.name == info.name]
        shape = [-1] * info.ndim
        tensor = oip.ModelMetadataResponse.TensorMetadata
        return oip.ModelMetadataResponse(
            name=info.name,
            versions=versions,
            platform=PLATFORM,
            # One entry per type would be read as several inputs; clients choose among DATATYPES.
            inputs=[tensor(name="image", datatype=next(iter(DATATYPES)), shape=shape)],
            outputs=[
                tensor(name="labels", datatype="UINT32", shape=shape),
                tensor(name="probability", datatype="FP32", shape=shape),
            ],
        )

    async def ModelInfer(self, request: oip.ModelInferRequest, context: Any) -> oip.ModelInferResponse:
        info = await self._model(request.model_name, request.model_version)
        check_crop_size(request.ByteSize(), self._crop_bytes + 2**20)
        image = image_tensor(request)
        check_crop_size(image.nbytes, self._crop_bytes)
        task = _task(request, info, image if image.ndim == 3 else image[None])
        check_task(task)
        outcome = await self._previewer.preview(task)
        found = {"labels": outcome.labels, "probability": outcome.probability}
        outputs = [
            (name, values.reshape(image.shape)) for name in _wanted(request) if (values := found[name]) is not None
        ]
        response = infer_response(request, info.name, info.version, outputs)
        response.parameters["model_digest"].string_param = outcome.digest
        return response

    async def _model(self, name: str, version: str) -> ModelInfo:
        if not name:
            raise InvalidInput("The request names no model.")
        return await self._threads.run(self._models.get, f"{name}@{version}" if version else name)


def _wanted(request: oip.ModelInferRequest) -> tuple[str, ...]:
    """Names of the wanted outputs in the order of the request; labels where it names none."""
    names = tuple(output.name for output in request.outputs) or ("labels",)
    for name in names:
        if name not in OUTPUTS:
            raise InvalidInput(f"There is no output named '{name}'.", f"Known are {' and '.join(OUTPUTS)}.")
    if len(set(names)) != len(names):
        raise InvalidInput("An output is asked for twice.")
    return names


def _task(request: oip.ModelInferRequest, info: ModelInfo, image: Any) -> PreviewTask:
    wanted = _wanted(request)
    given = {name: _value(parameter) for name, parameter in request.parameters.items()}
    return PreviewTask(
        image=image,
        voxel_size=_voxel_size(given),
        model=info.ref,
        labels="labels" in wanted,
        probability="probability" in wanted,
        device=str(given.get("device", "auto")),
        foreground=_number(given, "foreground"),
        min_volume=_number(given, "min_volume"),
    )


def _value(parameter: oip.InferParameter) -> Any:
    which = parameter.WhichOneof("parameter_choice")
    return None if which is None else getattr(parameter, which)


def _number(given: Mapping[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        return float(value)
    except ValueError as error:
        raise InvalidInput(f"The parameter {name} is '{value}', which is no number.") from error


def _voxel_size(given: Mapping[str, Any]) -> VoxelSize | None:
    text = given.get("voxel_size")
    if text is None:
        return None
    try:
        z, y, x = (float(part) for part in str(text).split(","))
    except ValueError as error:
        raise InvalidInput(f"The parameter voxel_size is '{text}'.", "Give three numbers: z,y,x.") from error
    return VoxelSize(z, y, x)
