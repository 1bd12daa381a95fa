"""What holds for every call: health, reflection, limits, broken messages, deadlines, lost callers, bugs of ours."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import structlog.testing
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from noyau.api.wire.errors import error_from_rpc
from noyau.client import Client
from noyau.domain.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.v1 import jobs_pb2, jobs_pb2_grpc

SERVICES = {
    "noyau.v1.JobService",
    "noyau.v1.ModelService",
    "noyau.v1.PreviewService",
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
}


def test_reflection_lists_the_services_and_describes_their_messages(api: Any) -> None:
    # As grpcurl does it: nothing is known of the service but its address.
    with grpc.insecure_channel(api.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == SERVICES
        pool = DescriptorPool(database)
        methods = {method.name for method in pool.FindServiceByName("noyau.v1.JobService").methods}
        assert methods == {"Submit", "Get", "List", "Watch", "Cancel"}
        assert (
            pool.FindMessageTypeByName("inference.ModelInferRequest").fields_by_name["raw_input_contents"].number == 7
        )


def test_health_is_told_per_service_and_turns_when_the_service_stops(start_api: Callable[..., Any]) -> None:
    running = start_api()
    with grpc.insecure_channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        check = health_pb2.HealthCheckRequest
        for service in ("", "noyau.v1.JobService", "inference.GRPCInferenceService"):
            assert stub.Check(check(service=service)).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as unknown:
            stub.Check(check(service="noyau.v1.Nothing"))
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        seen: list[int] = []
        first = threading.Event()

        def watch() -> None:
            try:
                for answer in stub.Watch(check(service="noyau.v1.JobService")):
                    seen.append(answer.status)
                    first.set()
            except grpc.RpcError:
                return

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert first.wait(10)
        running.stop()
        watcher.join(10)
    assert seen == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]


def test_models_are_listed_and_shown(api: Any) -> None:
    with api.client() as client:
        found = client.models()
        assert [info.ref for info in found] == ["nuclei-2d@1", "nuclei-3d@1"]
        assert client.model("nuclei-3d") == found[1]
        assert found[1].arguments == {"levels": [1, 2], "scale": 0.5}
        with pytest.raises(NotFound) as caught:
            client.model("nuclei-9d")
        assert "nuclei-3d@1" in caught.value.remedy
        with pytest.raises(InvalidInput):
            client.model("")


def test_a_preview_goes_there_and_back(api: Any) -> None:
    image = np.zeros((4, 6, 5), ">u2")
    image[1, 2, 3] = 500
    with api.client() as client:
        found = client.preview(image, voxel_size=VoxelSize(2, 1, 1), probability=True, foreground=0.4, min_volume=3.0)
        assert (found.model, found.digest, found.nuclei) == ("nuclei-3d@1", "sha256:00", 1)
        np.testing.assert_array_equal(found.labels, image > 0)
        assert found.labels.dtype == np.uint32
        np.testing.assert_array_equal(found.probability, (image > 0) / 2)
        plane = client.preview(image[1].astype(np.float32), labels=False, probability=True, model="nuclei-2d")
        assert plane.labels is None
        assert plane.probability.shape == (1, 6, 5)
    task, second = api.previewer.tasks
    np.testing.assert_array_equal(task.image, image)
    assert (task.voxel_size, task.foreground, task.min_volume) == (VoxelSize(2, 1, 1), 0.4, 3.0)
    assert (second.model, second.image.dtype) == ("nuclei-2d", np.float32)


def test_impossible_previews_are_refused(api: Any) -> None:
    image = np.ones((2, 3, 4), np.uint8)
    with api.client() as client:
        with pytest.raises(InvalidInput, match="neither"):
            client.preview(image, labels=False)
        with pytest.raises(InvalidInput, match="threshold"):
            client.preview(image, foreground=1.0)
        with pytest.raises(InvalidInput, match="dimensions"):
            client.preview(image[None])
        with pytest.raises(InvalidInput, match="shape"):
            client.preview(image[:0])
        with pytest.raises(InvalidInput, match="complex"):
            client.preview(image.astype(np.complex64))
    assert api.previewer.tasks == []


def test_the_largest_crop_passes_and_a_larger_one_is_told_its_limit(api: Any) -> None:
    with api.client() as client:
        assert client.preview(np.ones((4, 512, 512), np.uint8)).labels.shape == (4, 512, 512)
        with pytest.raises(LimitExceeded, match="MiB"):
            client.preview(np.ones((5, 512, 512), np.uint8))
        with pytest.raises(LimitExceeded, match="larger than"):
            client.preview(np.ones((20, 512, 512), np.uint8))
        assert len(api.previewer.tasks) == 1


def test_bytes_that_are_no_message_are_the_callers_mistake(api: Any) -> None:
    with grpc.insecure_channel(api.address) as channel:
        for method in ("/noyau.v1.JobService/Submit", "/inference.GRPCInferenceService/ModelInfer"):
            call = channel.unary_unary(method)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"\xff\xff\xff\xff")
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        watch = channel.unary_stream("/noyau.v1.JobService/Watch")
        with pytest.raises(grpc.RpcError) as caught:
            list(watch(b"\xff\xff\xff\xff"))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/noyau.v1.JobService/Nothing")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_empty_message_is_told_what_it_lacks(api: Any) -> None:
    with grpc.insecure_channel(api.address) as channel:
        stub = jobs_pb2_grpc.JobServiceStub(channel)
        for call, request in (
            (stub.Submit, jobs_pb2.SubmitJobRequest()),
            (stub.Get, jobs_pb2.GetJobRequest()),
            (stub.Cancel, jobs_pb2.CancelJobRequest()),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert isinstance(error_from_rpc(caught.value, "here"), InvalidInput)


def test_a_bug_of_ours_gives_a_number_and_the_log_the_rest(api: Any) -> None:
    api.previewer.failure = RuntimeError("password=secret")
    with structlog.testing.capture_logs() as logs, api.client() as client, pytest.raises(InternalError) as caught:
        client.preview(np.ones((2, 3, 4), np.uint8))
    assert "secret" not in str(caught.value)
    number = re.search(r"incident ([0-9a-f]{12})", str(caught.value))
    assert number is not None
    entry = next(entry for entry in logs if entry.get("incident") == number.group(1))
    assert isinstance(entry["exc_info"], RuntimeError)


def test_a_deadline_ends_the_work(api: Any) -> None:
    api.previewer.block = True
    with Client(api.address, preview_timeout=0.5) as client, pytest.raises(DeadlineExceeded):
        client.preview(np.ones((2, 3, 4), np.uint8))
    assert api.previewer.cancelled.wait(5)


def test_a_caller_that_goes_away_frees_what_it_used(api: Any) -> None:
    api.previewer.block = True
    client = Client(api.address)
    thread = threading.Thread(target=lambda: _ignore(lambda: client.preview(np.ones((2, 3, 4), np.uint8))))
    thread.start()
    assert api.previewer.started.wait(10)
    client.close()
    thread.join(10)
    assert api.previewer.cancelled.wait(10)


def test_abandoned_watches_do_not_use_up_the_calls(start_api: Callable[..., Any], image_folder: Path) -> None:
    running = start_api(concurrent_calls=3)
    with running.client() as client:
        job = client.submit(SegmentSpec((ImageRef(str(image_folder / "a.ome.zarr")),)))
        for _ in range(6):
            watchers = [client.watch(job.id) for _ in range(2)]
            for watcher in watchers:
                next(watcher)
            for watcher in watchers:
                watcher.close()
            time.sleep(0.2)
        assert client.get(job.id).id == job.id


def test_too_many_calls_at_once_are_refused(start_api: Callable[..., Any]) -> None:
    running = start_api(concurrent_calls=1)
    running.previewer.block = True
    with Client(running.address, preview_timeout=3) as client:
        image = np.ones((2, 3, 4), np.uint8)
        busy = threading.Thread(target=lambda: _ignore(lambda: client.preview(image)))
        busy.start()
        assert running.previewer.started.wait(10)
        with pytest.raises(LimitExceeded):
            client.models()
        busy.join(10)


def test_nobody_there_says_how_to_get_a_service(tmp_path: Path) -> None:
    with Client(f"unix:{tmp_path / 'nobody.sock'}", timeout=5) as client, pytest.raises(Unavailable) as caught:
        client.models()
    assert "noyau serve" in caught.value.remedy
    assert "--local" in caught.value.remedy


def _ignore(action: Callable[[], Any]) -> None:
    try:
        action()
    except Exception:
        return
