"""Good requests, so that what is made from them gets past the first check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noyau.api.wire.pixels import pixels_to_wire
from noyau.api.wire.specs import spec_to_wire
from noyau.domain.image import ImageRef
from noyau.domain.jobs import MeasureSpec, SegmentSpec
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec
from noyau.oip import open_inference_pb2 as oip
from noyau.v1 import jobs_pb2, models_pb2, preview_pb2


def light(image: str) -> Sequence[Any]:
    """Requests that cost the service little: jobs (nobody runs them), and questions about models.

    Args:
        image: path of one that the service may read and write.
    """
    refs = (ImageRef(image, channel=0, time=(0, 0)),)
    out = f"{image}-out"
    specs = (
        SegmentSpec(refs, model="nuclei-3d", tile=(4, 16, 16), batch=1, foreground=0.5, min_volume=1.0, diameter=5.0),
        MeasureSpec(refs, channels=(0,), output=f"{out}.ome.zarr"),
        TrainSpec("fuzzed", (image,), parent="nuclei-3d", mode="finetune", steps=1, overrides={"lr": 0.1, "batch": 1}),
        SuggestSpec(refs, out, count=1, crop=(4, 8, 8)),
        SynthSpec(output=out),
    )
    jobs = [jobs_pb2.SubmitJobRequest(spec=spec_to_wire(spec), priority=1) for spec in specs]
    listing = jobs_pb2.ListJobsRequest(page_size=2, states=[jobs_pb2.JOB_STATE_QUEUED])
    listing.created_from.FromSeconds(1_700_000_000)
    listing.created_before.FromSeconds(1_900_000_000)
    return (
        *jobs,
        listing,
        models_pb2.GetModelRequest(model="nuclei-3d"),
        models_pb2.ModelHistoryRequest(name="nuclei-3d"),
        models_pb2.SetModelAliasRequest(name="nuclei-3d", alias="candidate", version="latest"),
        oip.ModelMetadataRequest(name="nuclei-3d"),
    )


def heavy() -> Sequence[Any]:
    """Requests that start processes and networks."""
    crop = np.arange(4 * 16 * 16, dtype=np.uint16).reshape(4, 16, 16)
    tensor = oip.ModelInferRequest.InferInputTensor(name="image", datatype="UINT16", shape=crop.shape)
    return (
        preview_pb2.PreviewRequest(
            image=pixels_to_wire(crop), model="nuclei-3d", want_probability=True, foreground=0.5
        ),
        oip.ModelInferRequest(model_name="nuclei-3d", inputs=[tensor], raw_input_contents=[crop.tobytes()]),
        models_pb2.CheckModelRequest(model="nuclei-3d"),
        models_pb2.ExportModelRequest(model="nuclei-3d"),
        models_pb2.UploadModelRequest(registration=models_pb2.Registration(name="fuzzed")),
        models_pb2.UploadModelRequest(data=b"PK\x05\x06" + bytes(18)),
    )
