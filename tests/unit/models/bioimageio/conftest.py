"""Archives as other makers write them, and hostile ones: every part can be replaced."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from noyau.domain.processing import apply, freeze, steps_from
from torch import nn

STEPS = [{"id": "scale_range", "kwargs": {"axes": ["y", "x"], "min_percentile": 1, "max_percentile": 99}}]
SIGMOID = [{"id": "sigmoid"}]


class Smooth(nn.Module):
    """A network that can be understood: foreground where the mean of 3 x 3 pixels is above one half."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1)
        with torch.no_grad():
            self.conv.weight.fill_(20.0 / 9.0)
            self.conv.bias.fill_(-10.0)
            # A border where the picture is neither dark nor bright: a channel of the opposite slope will do.
            self.conv.weight[1:] *= -1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def image_2d(size: int = 64) -> np.ndarray:
    """Bright discs on a dark ground, float32 (1, 1, Y, X)."""
    y, x = np.mgrid[:size, :size]
    image = np.full((size, size), 100.0)
    for cy, cx in ((14, 14), (14, 46), (44, 20), (46, 48)):
        image[(y - cy) ** 2 + (x - cx) ** 2 <= 64] = 900.0
    return image[None, None].astype(np.float32)


def run(network: nn.Module, image: np.ndarray, pre: list[dict], post: list[dict]) -> np.ndarray:
    """What the archive promises as its test output."""
    steps = steps_from(pre)
    with torch.inference_mode():
        raw = network(torch.from_numpy(apply(freeze(steps, image), image)))
    return apply(steps_from(post), raw.numpy(), 1)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def torchscript(network: nn.Module) -> bytes:
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network.eval(), torch.zeros(1, 1, 64, 64)), buffer)
    return buffer.getvalue()


def saved(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def field(number: int, value: bytes | str | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def onnx_tensor(name: str, array: np.ndarray, extra: bytes = b"") -> bytes:
    dims = b"".join(field(1, n) for n in array.shape)
    return dims + field(2, 1) + field(8, name) + (extra or field(9, array.astype("<f4").tobytes()))


def onnx(network: Smooth, *, extra: bytes = b"", domain: str = "") -> bytes:
    """The ONNX file of the network: one convolution. `extra` replaces the data of its weights."""
    weight, bias = network.conv.weight.detach().numpy(), network.conv.bias.detach().numpy()
    pads = field(1, "pads") + b"".join(field(8, 1) for _ in range(4)) + field(20, 7)
    node = field(1, "x") + field(1, "w") + field(1, "b") + field(2, "y") + field(4, "Conv") + field(5, pads)
    node += field(7, domain) if domain else b""

    def value(name: str, channels: int) -> bytes:
        dims = field(1, field(1, 1)) + field(1, field(1, channels)) + field(1, field(2, "h")) + field(1, field(2, "v"))
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    graph = field(1, node) + field(2, "g") + field(5, onnx_tensor("w", weight, extra))
    graph += field(5, onnx_tensor("b", bias)) + field(11, value("x", 1)) + field(12, value("y", len(bias)))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def safetensors_header(length: int) -> bytes:
    return struct.pack("<Q", length) + b"{}"


def describe(weights: dict[str, Any], channels: list[str], **changes: Any) -> dict[str, Any]:
    """The description of an archive with one 2D image as input."""
    size = {"min": 16, "step": 4}
    same = [{"type": "space", "id": a, "size": {"tensor_id": "raw", "axis_id": a}} for a in "yx"]
    document = {
        "format_version": "0.5.4",
        "type": "model",
        "name": "Discs in noise",
        "description": "Finds discs.",
        "authors": [{"name": "A. Maker"}],
        "cite": [{"text": "Discs", "doi": "10.1234/discs"}],
        "license": "CC-BY-4.0",
        "documentation": {"source": "README.md"},
        "inputs": [
            {
                "id": "raw",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": ["raw"]},
                    *({"type": "space", "id": a, "size": size} for a in "yx"),
                ],
                "data": {"type": "float32"},
                "preprocessing": STEPS,
                "test_tensor": {"source": "test_input.npy"},
            }
        ],
        "outputs": [
            {
                "id": "maps",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": channels}, *same],
                "data": {"type": "float32"},
                "postprocessing": SIGMOID,
                "test_tensor": {"source": "test_output.npy"},
            }
        ],
        "weights": weights,
    }
    return {**document, **changes}


@pytest.fixture
def tools() -> dict[str, Callable[..., Any]]:
    """The helpers of this file by name; test files of this folder cannot import one another."""
    return {name: value for name, value in globals().items() if callable(value)}


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """Writes a zip of files by name; the description, a mapping, gets its digests filled in."""

    def write(files: dict[str, bytes | dict], name: str = "model.zip", digests: bool = True) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry, content in files.items():
                if isinstance(content, dict):
                    content = yaml.safe_dump(with_digests(content, files) if digests else content).encode()
                archive.writestr(entry, content)
        return path

    return write


def with_digests(value: Any, files: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        found = {key: with_digests(item, files) for key, item in value.items()}
        source = value.get("source")
        if isinstance(source, str) and isinstance(files.get(source), bytes) and "sha256" not in value:
            found["sha256"] = hashlib.sha256(files[source]).hexdigest()
        return found
    if isinstance(value, list):
        return [with_digests(item, files) for item in value]
    return value


@pytest.fixture
def foreign(pack: Callable[..., Path]) -> Callable[..., Path]:
    """An archive of another maker with the weights of a kind, all parts of which may be replaced."""

    def make(kind: str = "onnx", channels: tuple[str, ...] = ("foreground",), **changes: Any) -> Path:
        network = Smooth(len(channels)).eval()
        image = changes.pop("image", image_2d())
        files = changes.pop("files", {})
        output = run(network, image, STEPS, SIGMOID)
        entries = {
            "onnx": {"source": "weights.onnx", "opset_version": 13},
            "torchscript": {"source": "weights.pt", "pytorch_version": "2.0"},
        }
        content = onnx(network) if kind == "onnx" else torchscript(network)
        weights = changes.pop("weights", {kind: entries[kind]})
        document = describe(weights, list(channels), **changes)
        return pack(
            {
                "rdf.yaml": document,
                "README.md": b"# Discs\n\nMade for a test.\n",
                "test_input.npy": npy(image),
                "test_output.npy": npy(output),
                entries[kind]["source"]: content,
                **files,
            }
        )

    return make


@pytest.fixture
def no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the process in which programs are tried, for tests of something else: it takes seconds to start."""
    monkeypatch.setattr("noyau.models.bioimageio.foreign.try_out", lambda *_: None)


class Saves(nn.Module):
    """A TorchScript program that writes a file."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "evil")
        return x


class Reads(nn.Module):
    """One that reads a file into memory."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_file("/etc/passwd", False, 10)


class Wakes(nn.Module):
    """One that runs when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return self.count, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.count = state[0]
        self.training = state[1]


def program(network: nn.Module) -> bytes:
    """A TorchScript file with the network's own statements."""
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), buffer)
    return buffer.getvalue()


ARGUMENTS = {"ndim": 2, "levels": [{"channels": 4, "stride": [2, 2], "down": [[3, 3]], "up": [[3, 3]]}]}


@pytest.fixture(scope="session")
def own_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small package of ours, with random weights and a picture."""
    from noyau.domain.geometry import VoxelSize
    from noyau.domain.model import ModelInfo
    from noyau.models.networks import build
    from noyau.models.package import write_package

    folder = tmp_path_factory.mktemp("own") / "tiny" / "2"
    info = ModelInfo(
        "tiny", "2", "", 2, "vote-unet", ARGUMENTS, VoxelSize(1.0, 0.5, 0.5), 20.0, (0, 8, 8), (1, 2, 2), (1, 64, 64),
        description="A small model for tests.", licence="CC0-1.0", metrics={"f1_50": 0.5},
        training={"data": ["discs"], "batch": 2, "lr": 0.003, "weight_decay": 0.001, "minutes_used": 3.0},
        author="A. Maker", cite=("Discs, doi 10.1234/discs",),
    )  # fmt: skip
    torch.manual_seed(0)
    write_package(folder, info, build("vote-unet", ARGUMENTS).state_dict(), "# tiny\n\nFinds little.\n")
    (folder / "curves.png").write_bytes(b"\x89PNG not really")
    return folder


@pytest.fixture(scope="session")
def own_files(own_package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the archive of that package."""
    from noyau.models.bioimageio import export

    path = export(own_package, tmp_path_factory.mktemp("exported") / "tiny.zip")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
