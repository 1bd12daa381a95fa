"""PreviewService: a crop in, labels or probabilities out."""

from __future__ import annotations

from math import isfinite
from typing import Any

from noyau.api.ports import Previewer, PreviewTask
from noyau.api.wire.images import voxel_size_from_wire
from noyau.api.wire.pixels import pixels_from_wire, pixels_to_wire
from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.v1 import preview_pb2, preview_pb2_grpc


class PreviewServicer(preview_pb2_grpc.PreviewServiceServicer):
    def __init__(self, previewer: Previewer, crop_bytes: int) -> None:
        self._previewer = previewer
        self._crop_bytes = crop_bytes

    async def Preview(self, request: preview_pb2.PreviewRequest, context: Any) -> preview_pb2.PreviewResponse:
        check_crop_size(len(request.image.data), self._crop_bytes)
        task = PreviewTask(
            image=pixels_from_wire(request.image),
            voxel_size=voxel_size_from_wire(request.voxel_size) if request.HasField("voxel_size") else None,
            model=request.model or None,
            labels=not request.skip_labels,
            probability=request.want_probability,
            device=request.device or "auto",
            foreground=request.foreground if request.HasField("foreground") else None,
            min_volume=request.min_volume if request.HasField("min_volume") else None,
        )
        check_task(task)
        outcome = await self._previewer.preview(task)
        return preview_pb2.PreviewResponse(
            labels=None if outcome.labels is None else pixels_to_wire(outcome.labels),
            probability=None if outcome.probability is None else pixels_to_wire(outcome.probability),
            nuclei=0 if outcome.labels is None else int(outcome.labels.max()),
            model=outcome.model,
            model_digest=outcome.digest,
        )


def check_crop_size(size: int, limit: int) -> None:
    """Raises LimitExceeded for a crop of more bytes than the service takes."""
    if size > limit:
        raise LimitExceeded(
            f"The crop has {size / 2**20:.0f} MiB; this service takes {limit / 2**20:.0f} MiB.",
            "Send a smaller crop, or submit a job for the whole image.",
        )


def check_task(task: PreviewTask) -> None:
    """Raises InvalidInput for parameters that no model could use."""
    if not (task.labels or task.probability):
        raise InvalidInput("The request asks for neither labels nor probabilities.", "Ask for at least one.")
    if task.foreground is not None and not 0 < task.foreground < 1:
        raise InvalidInput(f"The foreground threshold {task.foreground} is not between 0 and 1.")
    if task.min_volume is not None and not (isfinite(task.min_volume) and task.min_volume >= 0):
        raise InvalidInput(f"The smallest volume {task.min_volume} is not a positive number.")
