"""JobService over a real connection: what a caller sees of submit, get, list, watch and cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from noyau.domain.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NoyauError,
    OutOfRange,
    PermissionRefused,
    Unavailable,
)
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import (
    Event,
    EventKind,
    ImageResult,
    JobError,
    JobResult,
    JobState,
    MeasureSpec,
    SegmentSpec,
)
from noyau.v1 import jobs_pb2, jobs_pb2_grpc


@pytest.fixture
def spec(image_folder: Path) -> SegmentSpec:
    return SegmentSpec((ImageRef(str(image_folder / "a.ome.zarr")),), model="nuclei-3d", tile=(32, 64, 64))


def test_a_submitted_job_comes_back_as_it_was_sent(api: Any, image_folder: Path) -> None:
    spec = MeasureSpec(
        (ImageRef(str(image_folder / "a.ome.zarr"), channel="DAPI", time=(0, 3), level=1),),
        channels=(0, "GFP"),
        voxel_size=VoxelSize(2.0, 0.5, 0.5),
    )
    with api.client() as client:
        job = client.submit(spec, owner="ann", group="lab", priority=3, idempotency_key="k")
        assert job.spec == spec
        assert (job.owner, job.group, job.priority, job.state) == ("ann", "lab", 3, JobState.QUEUED)
        assert client.get(job.id) == job
        assert client.submit(spec, owner="ann", group="lab", priority=3, idempotency_key="k").id == job.id
        with pytest.raises(AlreadyExists):
            client.submit(SegmentSpec(spec.images), owner="ann", idempotency_key="k")


def test_result_and_error_of_a_job_reach_the_caller(api: Any, spec: SegmentSpec) -> None:
    image = ImageResult("a", "a/labels/nuclei", "a/tables/nuclei", "a/o.png", "a/p.json", 7, 412.5)
    result = JobResult((image,), 7, 412.5, "nuclei-3d@1", "sha256:00", ("assumed 1 um",))
    with api.client() as client:
        good, bad = client.submit(spec), client.submit(spec)
        first, second = (api.store.claim(str(i)) for i in (1, 2))
        api.store.finish(first, JobState.SUCCEEDED, result=result)
        api.store.finish(second, JobState.FAILED, error=JobError("DATA_LOSS", "Chunk 0/3 is damaged.", "Restore it."))
        assert client.result(good.id) == result
        assert api.store.leftovers() == 2
        api.store.cleaned(good.id)
        assert api.store.leftovers() == 1
        with pytest.raises(NoyauError) as caught:
            client.result(bad.id)
    assert caught.value.kind.value == "DATA_LOSS"
    assert (caught.value.cause, caught.value.remedy) == ("Chunk 0/3 is damaged.", "Restore it.")


def test_pages_and_filters(api: Any, spec: SegmentSpec) -> None:
    with api.client() as client:
        ids = [client.submit(spec, group="odd" if i % 2 else "even").id for i in range(7)]
        measure = client.submit(MeasureSpec(spec.images)).id
        seen: list[str] = []
        token = ""
        while True:
            page = client.list(page_size=3, page_token=token)
            seen += [job.id for job in page.jobs]
            token = page.next_token
            if not token:
                break
        assert seen == [measure, *reversed(ids)]
        assert [job.id for job in client.list(group="odd").jobs] == ids[5::-2]
        assert [job.id for job in client.list(task="measure").jobs] == [measure]
        client.cancel(ids[0])
        assert [job.id for job in client.list(states=(JobState.CANCELLED,)).jobs] == [ids[0]]
        with pytest.raises(InvalidInput, match="page"):
            client.list(page_size=5000)
        with pytest.raises(InvalidInput, match="token"):
            client.list(page_token="nonsense")


def test_watch_sends_what_was_and_what_comes_until_the_end(api: Any, spec: SegmentSpec) -> None:
    with api.client() as client:
        job = client.submit(spec)
        lease = api.store.claim("w")
        seen: list[Event] = []
        watcher = threading.Thread(target=lambda: seen.extend(client.watch(job.id)))
        watcher.start()
        api.store.append_event(lease, EventKind.STAGE, {"name": "predict"})
        time.sleep(0.3)
        api.store.append_event(lease, EventKind.PROGRESS, {"stage": "predict", "done": 3, "total": 12, "unit": "tile"})
        api.store.append_event(lease, EventKind.METRIC, {"name": "nuclei", "value": 7})
        api.store.append_event(lease, EventKind.LOG, {"level": "warning", "message": "thin"})
        api.store.finish(lease, JobState.SUCCEEDED, result=JobResult())
        watcher.join(10)
        assert not watcher.is_alive()
        assert seen == list(api.store.events_since(job.id))
        assert [event.seq for event in seen] == list(range(1, 8))
        assert seen[-1].payload == {"state": "SUCCEEDED"}
        assert list(client.watch(job.id, after=5)) == seen[5:]
        assert list(client.watch(job.id, after=7)) == []
        with pytest.raises(OutOfRange):
            list(client.watch(job.id, after=99))
        with pytest.raises(OutOfRange):
            list(client.watch(job.id, after=-1))
        with pytest.raises(NotFound):
            list(client.watch("0000"))


def test_watch_without_following_ends_at_once(api: Any, spec: SegmentSpec) -> None:
    with api.client() as client:
        job = client.submit(spec)
        assert [event.payload for event in client.watch(job.id, follow=False)] == [{"state": "QUEUED"}]


def test_watch_goes_on_where_it_was_after_a_restart(
    start_api: Callable[..., Any], spec: SegmentSpec, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path / 'api.sock'}"
    first = start_api(address)
    with first.client() as client:
        job = client.submit(spec)
        lease = first.store.claim("w")
        seen: list[Event] = []
        halfway = threading.Event()

        def watch() -> None:
            for event in client.watch(job.id):
                seen.append(event)
                if event.seq == 2:
                    halfway.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert halfway.wait(10)
        first.stop()
        first.store.append_event(lease, EventKind.STAGE, {"name": "while nobody served"})
        second = start_api(address)
        second.store.finish(lease, JobState.SUCCEEDED, result=JobResult())
        watcher.join(20)
        assert not watcher.is_alive()
        assert seen == list(second.store.events_since(job.id))
        assert [event.seq for event in seen] == [1, 2, 3, 4]


def test_a_service_that_stays_away_is_given_up(start_api: Callable[..., Any], spec: SegmentSpec) -> None:
    running = start_api()
    with running.client() as client:
        job = client.submit(spec)
        events = client.watch(job.id, patience=1.0)
        next(events)
        running.stop()
        with pytest.raises(Unavailable):
            list(events)


def test_cancel_waits_for_the_job_to_stop_but_not_for_ever(api: Any, spec: SegmentSpec) -> None:
    with api.client() as client:
        running, waiting = client.submit(spec, priority=9), client.submit(spec)
        assert client.cancel(waiting.id).state is JobState.CANCELLED
        lease = api.store.claim("w")
        assert lease.job.id == running.id
        started = time.monotonic()
        job = client.cancel(running.id)
        assert 1.5 < time.monotonic() - started < 4.0
        assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
        stopper = threading.Timer(0.3, lambda: api.store.finish(lease, JobState.CANCELLED))
        stopper.start()
        assert client.cancel(running.id).state is JobState.CANCELLED
        stopper.join()
        finished = client.submit(spec)
        api.store.finish(api.store.claim("w"), JobState.SUCCEEDED, result=JobResult())
        with pytest.raises(FailedPrecondition):
            client.cancel(finished.id)
        with pytest.raises(NotFound):
            client.cancel("0000")


BAD: list[tuple[dict[str, Any], type[NoyauError], str]] = [
    ({"model": "nuclei-9d"}, NotFound, "nuclei-9d"),
    ({"device": "cuda"}, FailedPrecondition, "GPU"),
    ({"tile": (0, 64, 64)}, InvalidInput, "tile"),
    ({"tile": (1000, 1000, 1000)}, LimitExceeded, "tile"),
    ({"labels": "../escape"}, InvalidInput, "label"),
    ({"labels": ".hidden"}, InvalidInput, "label"),
    ({"batch": 0}, InvalidInput, "batch"),
    ({"workers": -2}, InvalidInput, "workers"),
    ({"foreground": 1.5}, InvalidInput, "foreground"),
    ({"diameter": -1.0}, InvalidInput, "diameter"),
    ({"diameter": float("nan")}, InvalidInput, "diameter"),
    ({"min_volume": float("inf")}, InvalidInput, "volume"),
    ({"images": ()}, InvalidInput, "no image"),
    ({"images": (ImageRef("/etc/passwd"),)}, PermissionRefused, "outside"),
    ({"images": (ImageRef("s3://bucket/key"),)}, PermissionRefused, "bucket"),
    ({"images": (ImageRef("ftp://host/key"),)}, InvalidInput, "ftp"),
    ({"images": (ImageRef(""),)}, InvalidInput, "path"),
    ({"output": "/tmp/elsewhere"}, PermissionRefused, "outside"),
]


@pytest.mark.parametrize(("change", "error", "word"), BAD, ids=[f"{next(iter(c))}-{w}" for c, _, w in BAD])
def test_what_must_fail_is_told_at_submit(
    api: Any, spec: SegmentSpec, change: dict[str, Any], error: type[NoyauError], word: str
) -> None:
    wrong = SegmentSpec(**{"images": spec.images, **change})
    with api.client() as client:
        with pytest.raises(error, match=word):
            client.submit(wrong)
        assert client.list().jobs == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [({"level": -1}, "Level"), ({"channel": -1}, "Channel"), ({"time": (5, 2)}, "time"), ({"channel": ""}, "Channel")],
)
def test_impossible_selections_are_told_at_submit(
    api: Any, spec: SegmentSpec, change: dict[str, Any], word: str
) -> None:
    image = ImageRef(**{"uri": spec.images[0].uri, **change})
    with api.client() as client, pytest.raises(InvalidInput, match=word):
        client.submit(SegmentSpec((image,)))


def test_missing_images_and_links_out_of_the_roots_are_told_at_submit(api: Any, image_folder: Path) -> None:
    (image_folder / "link.ome.zarr").symlink_to("/usr")
    with api.client() as client:
        with pytest.raises(NotFound, match="nothing"):
            client.submit(SegmentSpec((ImageRef(str(image_folder / "none.ome.zarr")),)))
        with pytest.raises(PermissionRefused):
            client.submit(SegmentSpec((ImageRef(str(image_folder / "link.ome.zarr")),)))


def test_numbers_that_do_not_fit_are_the_callers_mistake(api: Any, spec: SegmentSpec) -> None:
    with api.client() as client, pytest.raises(InvalidInput):
        client.submit(SegmentSpec(spec.images, batch=2**40))


@pytest.mark.parametrize("bound", ["created_from", "created_before"])
@pytest.mark.parametrize("time", [{"nanos": 2**31 - 1}, {"seconds": -(2**63)}, {"seconds": 2**63 - 1, "nanos": -1}])
def test_a_time_that_no_calendar_has_is_the_callers_mistake(api: Any, bound: str, time: dict[str, int]) -> None:
    request = jobs_pb2.ListJobsRequest()
    for name, value in time.items():
        setattr(getattr(request, bound), name, value)
    with grpc.insecure_channel(api.address) as channel, pytest.raises(grpc.RpcError) as caught:
        jobs_pb2_grpc.JobServiceStub(channel).List(request, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
