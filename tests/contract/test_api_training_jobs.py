"""Jobs around training over a real connection: they come back as they were sent, and mistakes are told at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from noyau.domain.errors import (
    FailedPrecondition,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NoyauError,
    PermissionRefused,
)
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, JobSpec, JobState
from noyau.domain.training_jobs import SuggestSpec, SynthSpec, TrainSpec

HERE = "{images}"
IMAGE = (ImageRef(f"{HERE}/a.ome.zarr"),)


def placed(spec: JobSpec, folder: Path) -> Any:
    """The spec with the folder that the server may touch in place of `HERE`."""
    change: dict[str, Any] = {}
    if isinstance(spec, TrainSpec):
        change["data"] = tuple(uri.replace(HERE, str(folder)) for uri in spec.data)
    if isinstance(spec, SuggestSpec):
        change["images"] = tuple(ImageRef(ref.uri.replace(HERE, str(folder))) for ref in spec.images)
    if isinstance(spec, SuggestSpec | SynthSpec):
        change["output"] = spec.output.replace(HERE, str(folder))
    return dataclasses.replace(spec, **change)


@pytest.mark.parametrize(
    "spec",
    [
        TrainSpec("mine", (f"{HERE}/*.npz",), overrides={"batch": 4, "augment": {"noise": 0.5}}, steps=10),
        TrainSpec("mine", (HERE,), parent="nuclei-3d", mode="finetune", alias="production", on_bad_pair="skip"),
        SuggestSpec(IMAGE, f"{HERE}/out", model="nuclei-3d", crop=(8, 32, 32), voxel_size=VoxelSize(2.0, 1.0, 1.0)),
        SynthSpec(f"{HERE}/out", ndim=2, count=3, shape=(1, 64, 64), previews=False),
    ],
)
def test_a_job_comes_back_as_it_was_sent(api: Any, image_folder: Path, spec: JobSpec) -> None:
    sent = placed(spec, image_folder)
    with api.client() as client:
        job = client.submit(sent)
        assert job.spec == sent
        assert client.get(job.id).spec == sent
        task = type(sent).__name__.removesuffix("Spec").lower()
        assert [found.id for found in client.list(task=task).jobs] == [job.id]


def test_models_and_files_of_a_result_reach_the_caller(api: Any, image_folder: Path) -> None:
    result = JobResult(models=("mine@1",), files=("/out/curves.png",))
    with api.client() as client:
        job = client.submit(TrainSpec("mine", (str(image_folder),)))
        lease = api.store.claim("w", kinds=("train",), lease_seconds=60)
        api.store.finish(lease, JobState.SUCCEEDED, result=result)
        assert client.get(job.id).result == result


BAD: list[tuple[JobSpec, type[NoyauError], str]] = [
    (TrainSpec("a/b", (HERE,)), InvalidInput, "cannot name a model"),
    (TrainSpec("a", (HERE,), alias="../x"), InvalidInput, "alias"),
    (TrainSpec("a"), InvalidInput, "no data"),
    (TrainSpec("a", ("",)), InvalidInput, "without a path"),
    (TrainSpec("a", (HERE,), mode="finetune"), InvalidInput, "needs a parent"),
    (TrainSpec("a", (HERE,), mode="finetune", parent="nope"), NotFound, "nope"),
    (TrainSpec("a", (HERE,), mode="finetune", parent="nuclei-3d", ndim=2), InvalidInput, "2"),
    (TrainSpec("a", (HERE,), parent="nuclei-3d"), InvalidInput, "has no parent"),
    (TrainSpec("a", (HERE,), ndim=4), InvalidInput, "dimensions"),
    (TrainSpec("a", ("/etc/*.npz",)), PermissionRefused, "/etc"),
    (TrainSpec("a", (f"{HERE}/*/../../../etc",)), InvalidInput, r"\.\."),
    (TrainSpec("a", (HERE,), minutes=-1.0), InvalidInput, "minutes"),
    (TrainSpec("a", (HERE,), steps=0), InvalidInput, "steps"),
    (TrainSpec("a", (HERE,), processes=1000), InvalidInput, "processes"),
    (TrainSpec("a", (HERE,), val_percent=95), InvalidInput, "validation"),
    (TrainSpec("a", (HERE,), synthetic_count=-1), InvalidInput, "synthetic"),
    (TrainSpec("a", (HERE,), synthetic_fraction=1.5), InvalidInput, "share"),
    (TrainSpec("a", (HERE,), device="cuda"), FailedPrecondition, "GPU"),
    (SuggestSpec((), f"{HERE}/out"), InvalidInput, "no image"),
    (SuggestSpec(IMAGE, ""), InvalidInput, "no place"),
    (SuggestSpec(IMAGE, f"{HERE}/out", crop=(0, 8, 8)), InvalidInput, "crop"),
    (SuggestSpec(IMAGE, f"{HERE}/out", count=-1), InvalidInput, "suggestions"),
    (SuggestSpec(IMAGE, f"{HERE}/out", model="nope"), NotFound, "nope"),
    (SynthSpec("/etc/x.npz"), PermissionRefused, "/etc"),
    (SynthSpec(f"{HERE}/x", ndim=4), InvalidInput, "dimensions"),
    (SynthSpec(f"{HERE}/x", shape=(1000, 1000, 1000)), LimitExceeded, "limit"),
    (SynthSpec(f"{HERE}/x", density=2.0), InvalidInput, "density"),
]


@pytest.mark.parametrize(("spec", "error", "word"), BAD)
def test_what_must_fail_is_told_at_submit(
    api: Any, image_folder: Path, spec: JobSpec, error: type[NoyauError], word: str
) -> None:
    with api.client() as client:
        with pytest.raises(error, match=word):
            client.submit(placed(spec, image_folder))
        assert client.list().jobs == ()
