"""What a result was made with: enough to understand it and to make it again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from platform import machine, python_version, system
from typing import Any

from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.inference.backend import Backend
from noyau.pipelines.prepare import ImagePlan
from noyau.pipelines.statistics import Intensity

PACKAGES = ("noyau", "numpy", "scipy", "scikit-image", "connected-components-3d", "torch", "openvino", "tensorstore")
FORMAT = 1


def software() -> dict[str, str]:
    """Versions of what takes part in a result."""
    found = {"python": python_version(), "system": f"{system()} {machine()}"}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """The time as ISO 8601, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _decoder_parameters(plan: ImagePlan) -> dict[str, Any]:
    """What the decoder was given, by name."""
    decoder: Any = plan.decoder or plan.vote
    return asdict(decoder)


def _tiling(plan: ImagePlan) -> dict[str, Any]:
    """How the image was cut, and whether the result depends on it."""
    grid = plan.grid
    return {
        "grid_shape": grid.shape,
        "window": grid.window,
        "halo": grid.halo,
        "frame": grid.frame,
        "tiles": grid.counts,
        "exact": plan.decoder is None and plan.model.bounded,
        "joined_by": "" if plan.decoder is None else "more than half of the union in the overlap of two windows",
    }


def segment_provenance(
    *,
    job_id: str,
    spec: SegmentSpec,
    plan: ImagePlan,
    backend: Backend,
    intensities: dict[int, Intensity],
    result: ImageResult,
    started: str,
) -> dict[str, Any]:
    """The provenance of one segmented image, as a JSON document.

    Args:
        job_id: the job.
        spec: what was asked.
        plan: what that meant for this image.
        backend: what ran the network.
        intensities: normalisation values by time point.
        result: what came out; a restarted job finds its result here.
        started: when the work on this image began.
    """
    model = plan.model
    return {
        "format": FORMAT,
        "task": "segment",
        "job": job_id,
        "started": started,
        "finished": now(),
        "image": {
            "uri": result.uri,
            "shape_zyx": plan.info.shape,
            "dtype": plan.info.dtype,
            "voxel_size_um_zyx": tuple(plan.voxel_size),
            "voxel_size_known": plan.info.voxel_size is not None,
        },
        "model": {"name": model.ref, "digest": model.digest, "description": model.description},
        "request": {key: value for key, value in asdict(spec).items() if key != "images"},
        "selection": asdict(next(iter(spec.images))) if len(spec.images) == 1 else {},
        "parameters": {
            "decoder": model.decoder,
            **_decoder_parameters(plan),
            "min_voxels_in_image": plan.min_voxels,
            "image_voxels_per_model_voxel_zyx": plan.scaling.step,
        },
        "normalisation": {
            **asdict(model.normalisation),
            "values": {str(time): asdict(value) for time, value in intensities.items()},
        },
        "tiling": _tiling(plan),
        "compute": {"backend": backend.name, "device": backend.device, "precision": backend.precision},
        "software": software(),
        "warnings": plan.warnings,
        "result": asdict(result),
    }
