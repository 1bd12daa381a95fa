"""A client that knows nothing of Noyau, `tritonclient` in an environment of its own, gets an inference from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REQUIREMENT = "tritonclient[grpc]==2.73.0"

# What a user of Triton writes; runs in the other environment.
PROGRAM = """
import json, sys
import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

client = InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("nuclei-3d")
metadata = client.get_model_metadata("nuclei-3d", as_json=True)

z, y, x = np.indices((16, 72, 72))
distance = np.sqrt(((z % 24 - 12) * 2.2) ** 2 + (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2)
image = (100 + 800 * (distance < 6) + np.random.default_rng(1).normal(0, 15, z.shape)).astype(np.uint16)
tensor = InferInput("image", image.shape, "UINT16")
tensor.set_data_from_numpy(image)
wanted = [InferRequestedOutput("labels"), InferRequestedOutput("probability")]
answer = client.infer("nuclei-3d", [tensor], outputs=wanted, request_id="7")
labels, probability = answer.as_numpy("labels"), answer.as_numpy("probability")

try:
    client.infer("nuclei-9d", [tensor])
    refusal = ""
except InferenceServerException as error:
    refusal = f"{error.status()} {error.message()}"

print(json.dumps({
    "metadata": metadata, "labels": [str(labels.dtype), *labels.shape], "nuclei": int(labels.max()),
    "probability": [str(probability.dtype), *probability.shape],
    "inside": float(probability[labels > 0].mean()), "id": answer.get_response().id, "refusal": refusal,
}))
"""


@pytest.fixture(scope="module")
def triton_python() -> Path:
    """The interpreter of an environment with tritonclient, kept in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "noyau-tests" / REQUIREMENT.replace("[", "-").replace("]", "")
    python = folder / "bin" / "python"
    probe = [str(python), "-c", "import tritonclient.grpc"]
    if python.is_file() and subprocess.run(probe, capture_output=True).returncode == 0:
        return python
    venv.create(folder, clear=True, with_pip=True)
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", REQUIREMENT], capture_output=True, text=True, timeout=300
    )
    if done.returncode != 0:
        pytest.skip(f"tritonclient cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return python


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real service without workers; previews need none."""
    folder = tmp_path_factory.mktemp("triton")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOYAU_")}
    command = [sys.executable, "-m", "noyau.cli", "serve", "--address", "127.0.0.1:0", "--workers", "0"]
    service = subprocess.Popen(
        [*command, "--state-dir", str(folder / "state")],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        line = service.stdout.readline()
        assert line.startswith("Noyau listens on "), service.stderr and service.stderr.read()
        yield line.split()[3].rstrip(";")
    finally:
        service.terminate()
        service.communicate(timeout=60)


def test_tritonclient_gets_an_inference(triton_python: Path, address: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    # -I: nothing of this environment is seen by the other one.
    done = subprocess.run(
        [str(triton_python), "-I", str(program), address], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["labels"] == ["uint32", 16, 72, 72]
    assert found["probability"] == ["float32", 16, 72, 72]
    assert found["nuclei"] > 0
    assert found["inside"] > 0.5
    assert found["id"] == "7"
    assert found["metadata"]["platform"] == "noyau"
    assert {output["name"] for output in found["metadata"]["outputs"]} == {"labels", "probability"}
    assert found["refusal"].startswith("StatusCode.NOT_FOUND")
    assert "nuclei-3d" in found["refusal"]


def test_our_text_of_the_protocol_is_theirs_byte_for_byte(triton_python: Path, tmp_path: Path) -> None:
    """Same names, numbers, types and methods in everything that we offer."""
    describe = (
        "import json\n"
        "def fields(m):\n"
        "    return {f.name: [f.number, f.type, f.is_repeated, f.message_type.full_name if f.message_type else '',\n"
        "                     f.containing_oneof.name if f.containing_oneof else ''] for f in m.fields}\n"
        "def walk(m):\n"
        "    return {m.full_name: fields(m)} | {k: v for n in m.nested_types for k, v in walk(n).items()}\n"
        "def describe(pb2):\n"
        "    d = pb2.DESCRIPTOR\n"
        "    methods = {m.name: [m.input_type.full_name, m.output_type.full_name]\n"
        "               for m in d.services_by_name['GRPCInferenceService'].methods}\n"
        "    messages = {k: v for m in d.message_types_by_name.values() for k, v in walk(m).items()}\n"
        "    print(json.dumps([methods, messages]))\n"
    )
    theirs = tmp_path / "theirs.py"
    theirs.write_text(f"{describe}from tritonclient.grpc import service_pb2\ndescribe(service_pb2)\n")
    ours = tmp_path / "ours.py"
    ours.write_text(f"{describe}from noyau.oip import open_inference_pb2\ndescribe(open_inference_pb2)\n")
    answers = [
        json.loads(subprocess.run([str(python), str(file)], capture_output=True, text=True, check=True).stdout)
        for python, file in ((triton_python, theirs), (sys.executable, ours))
    ]
    (their_methods, their_messages), (our_methods, our_messages) = answers
    assert len(our_methods) == 6
    for name, types in our_methods.items():
        assert their_methods[name] == types
    assert len(our_messages) > 14
    for name, fields in our_messages.items():
        assert their_messages[name] == fields, name
