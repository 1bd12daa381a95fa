"""The Open Inference Protocol over a real connection: metadata, raw and typed tensors, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.oip import open_inference_pb2 as oip
from noyau.oip import open_inference_pb2_grpc as oip_grpc

TYPES = {"FP32": "<f4", "UINT16": "<u2", "UINT8": "u1"}


@pytest.fixture
def stub(api: Any) -> Iterator[oip_grpc.GRPCInferenceServiceStub]:
    with grpc.insecure_channel(api.address) as channel:
        yield oip_grpc.GRPCInferenceServiceStub(channel)


def image() -> np.ndarray:
    values = np.zeros((3, 4, 5))
    values[1, 2, 3] = 200
    return values


def request(datatype: str = "UINT16", *, raw: bool = True, outputs: tuple[str, ...] = (), plane: bool = False) -> Any:
    values = image()[1] if plane else image()
    tensor = oip.ModelInferRequest.InferInputTensor(name="image", datatype=datatype, shape=values.shape)
    message = oip.ModelInferRequest(model_name="nuclei-3d", model_version="1", id="7", inputs=[tensor])
    if raw:
        message.raw_input_contents.append(values.astype(TYPES[datatype]).tobytes())
    elif datatype == "FP32":
        message.inputs[0].contents.fp32_contents.extend(values.ravel().tolist())
    else:
        message.inputs[0].contents.uint_contents.extend(values.ravel().astype(int).tolist())
    for name in outputs:
        message.outputs.add(name=name)
    return message


def test_the_server_and_its_models_describe_themselves(stub: Any) -> None:
    assert stub.ServerLive(oip.ServerLiveRequest()).live
    assert stub.ServerReady(oip.ServerReadyRequest()).ready
    assert stub.ServerMetadata(oip.ServerMetadataRequest()).name == "noyau"
    assert stub.ModelReady(oip.ModelReadyRequest(name="nuclei-3d", version="1")).ready
    assert not stub.ModelReady(oip.ModelReadyRequest(name="nuclei-9d")).ready
    found = stub.ModelMetadata(oip.ModelMetadataRequest(name="nuclei-2d"))
    assert (found.name, list(found.versions), found.platform) == ("nuclei-2d", ["1"], "noyau")
    assert [(t.name, t.datatype, list(t.shape)) for t in found.inputs] == [("image", "FP32", [-1, -1])]
    assert {(t.name, t.datatype) for t in found.outputs} == {("labels", "UINT32"), ("probability", "FP32")}
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelMetadata(oip.ModelMetadataRequest(name="nuclei-9d"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("datatype", list(TYPES))
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_tensors_of_every_type_come_back_as_labels_and_probability(
    stub: Any, api: Any, datatype: str, raw: bool
) -> None:
    answer = stub.ModelInfer(request(datatype, raw=raw, outputs=("probability", "labels")))
    assert (answer.model_name, answer.model_version, answer.id) == ("nuclei-3d", "1", "7")
    assert answer.parameters["model_digest"].string_param == "sha256:00"
    assert [(t.name, t.datatype, list(t.shape)) for t in answer.outputs] == [
        ("probability", "FP32", [3, 4, 5]),
        ("labels", "UINT32", [3, 4, 5]),
    ]
    if raw:
        probability = np.frombuffer(answer.raw_output_contents[0], "<f4")
        labels = np.frombuffer(answer.raw_output_contents[1], "<u4")
    else:
        probability = np.array(answer.outputs[0].contents.fp32_contents)
        labels = np.array(answer.outputs[1].contents.uint_contents)
    np.testing.assert_array_equal(labels.reshape(3, 4, 5), image() > 0)
    np.testing.assert_array_equal(probability.reshape(3, 4, 5), (image() > 0) / 2)
    assert api.previewer.tasks[0].image.dtype == np.dtype(TYPES[datatype])


def test_labels_are_what_a_request_without_outputs_gets_and_a_plane_stays_one(stub: Any, api: Any) -> None:
    answer = stub.ModelInfer(request(plane=True))
    assert [(t.name, list(t.shape)) for t in answer.outputs] == [("labels", [4, 5])]
    assert api.previewer.tasks[0].image.shape == (1, 4, 5)
    assert not api.previewer.tasks[0].probability


def test_parameters_reach_the_model(stub: Any, api: Any) -> None:
    message = request()
    message.parameters["voxel_size"].string_param = "2, 0.5,0.5"
    message.parameters["foreground"].double_param = 0.25
    message.parameters["min_volume"].int64_param = 9
    message.parameters["device"].string_param = "cpu"
    stub.ModelInfer(message)
    task = api.previewer.tasks[0]
    assert (task.voxel_size, task.foreground, task.min_volume) == (VoxelSize(2, 0.5, 0.5), 0.25, 9.0)
    assert (task.device, task.model) == ("cpu", "nuclei-3d@1")


def broken() -> dict[str, Any]:
    cases = {
        name: request() for name in ("type", "shape", "short", "both", "name", "output", "twice", "voxel", "model")
    }
    cases["type"].inputs[0].datatype = "INT64"
    cases["shape"].inputs[0].shape[:] = [3, -4, 5]
    cases["short"].raw_input_contents[0] = b"12345"
    cases["both"].inputs[0].contents.uint_contents.append(1)
    cases["name"].inputs[0].name = "picture"
    cases["output"].outputs.add(name="outlines")
    cases["twice"].outputs.add(name="labels")
    cases["twice"].outputs.add(name="labels")
    cases["voxel"].parameters["voxel_size"].string_param = "wide"
    cases["model"].model_name = ""
    cases["range"] = request("UINT8", raw=False)
    cases["range"].inputs[0].contents.uint_contents[0] = 300
    cases["none"] = oip.ModelInferRequest(model_name="nuclei-3d")
    return cases


@pytest.mark.parametrize("case", list(broken()))
def test_requests_that_do_not_fit_the_metadata_are_refused(stub: Any, api: Any, case: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(broken()[case])
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert api.previewer.tasks == []
