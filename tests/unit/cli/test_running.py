"""What the command line says of a finished job."""

from __future__ import annotations

import pytest
from noyau.commands.running import show_job_result
from noyau.domain.image import ImageRef
from noyau.domain.jobs import ImageResult, Job, JobResult, JobState, SegmentSpec


def done(*flat: bool) -> Job:
    images = tuple(ImageResult("a.zarr", "l", "t", "o", "p", 2, 12.5, is_flat) for is_flat in flat)
    result = JobResult(images, 2 * len(images), 12.5, "nuclei@1")
    return Job("j", SegmentSpec((ImageRef("a.zarr"),)), JobState.SUCCEEDED, result=result)


@pytest.mark.parametrize(
    ("flat", "size"),
    [
        ((False,), "median volume 12.5 µm³"),
        ((True, True), "median area 12.5 µm²"),
        ((True, False), "median size 12.5 µm³ or µm²"),
        ((), "median volume 12.5 µm³"),
    ],
)
def test_planes_have_areas_and_volumes_have_volumes(
    flat: tuple[bool, ...], size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_job_result(done(*flat), json=False)
    assert capsys.readouterr().out.strip().endswith(size)
