"""Hostile and broken archives: each is refused with its reason, and nothing is written anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from noyau.domain.errors import NoyauError
from noyau.models.bioimageio import import_archive

Make = Callable[["Bench"], Path]
CASES: dict[str, tuple[Make, str]] = {}


class Bench:
    """What the makers of hostile archives work with."""

    def __init__(self, tmp_path: Path, tools: dict[str, Any], foreign: Any, pack: Any, own: dict[str, bytes]) -> None:
        self.path, self.tools, self.foreign, self.pack, self.own = tmp_path / "model.zip", tools, foreign, pack, own

    def entry(self, name: str, content: bytes = b"evil", mode: int = 0o644) -> Path:
        """A good archive with one more entry."""
        self.foreign()
        with zipfile.ZipFile(self.path, "a") as archive:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
        return self.path

    def ours(self, **changed: bytes | Callable[[dict], None]) -> Path:
        """An archive of ours with files replaced or a JSON file edited, and the digests of the description right."""
        files = dict(self.own)
        for key, change in changed.items():
            name = key.replace("__", ".")
            if callable(change):
                document = json.loads(files[name])
                change(document)
                files[name] = json.dumps(document).encode()
            else:
                files[name] = change
        document = yaml.safe_load(files["bioimageio.yaml"])
        for name in document["config"]["noyau"]["package"]:
            document["config"]["noyau"]["package"][name] = hashlib.sha256(files[name]).hexdigest()
        return self.pack({**files, "bioimageio.yaml": yaml.safe_dump(document).encode()})

    def state_dict(self, content: bytes, **architecture: Any) -> Path:
        """An archive of another maker with a PyTorch file."""
        arguments = {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "channels": [4, 8], "strides": [2]}
        named = {"import_from": "monai.networks.nets", "callable": "UNet", "kwargs": arguments, **architecture}
        weights = {"pytorch_state_dict": {"source": "w.pt", "architecture": named, "pytorch_version": "2.0"}}
        return self.foreign(weights=weights, files={"w.pt": content, "net.py": b"import os; os.system('touch evil')"})

    def text(self, text: str) -> Path:
        """An archive with nothing but a description."""
        return self.pack({"rdf.yaml": text.encode()})


def case(reason: str) -> Callable[[Make], Make]:
    """Registers a hostile archive under the name of its maker; `reason` is what the refusal must say."""

    def register(make: Make) -> Make:
        CASES[make.__name__] = (make, reason)
        return make

    return register


@case("unsafe name '../../evil'")
def zip_slip(bench: Bench) -> Path:
    return bench.entry("../../evil")


@case("unsafe name '/tmp/noyau-evil'")
def absolute_path(bench: Bench) -> Path:
    return bench.entry("/tmp/noyau-evil")


@case("unsafe name")
def path_of_another_system(bench: Bench) -> Path:
    return bench.entry("..\\evil")


@case("a link or a device")
def symbolic_link(bench: Bench) -> Path:
    return bench.entry("link", b"/etc/passwd", stat.S_IFLNK | 0o777)


@case("more than once")
def two_names_that_are_one(bench: Bench) -> Path:
    return bench.entry("ReadMe.MD")


@case("zip bomb")
def zip_bomb(bench: Bench) -> Path:
    return bench.entry("zeros.bin", bytes(64 * 2**20))


@case("more than 1,000")
def too_many_files(bench: Bench) -> Path:
    return bench.pack({f"{i}.txt": b"" for i in range(1100)})


@case("not a complete zip")
def truncated(bench: Bench) -> Path:
    path = bench.foreign()
    path.write_bytes(path.read_bytes()[:-200])
    return path


@case("not a complete zip")
def no_zip_at_all(bench: Bench) -> Path:
    bench.path.write_bytes(b"#!/bin/sh\ntouch evil\n")
    return bench.path


@case("is damaged")
def wrong_checksum(bench: Bench) -> Path:
    path = bench.foreign()
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("rdf.yaml")
    content = bytearray(path.read_bytes())
    at = entry.header_offset + 60
    content[at : at + 8] = bytes(8)
    path.write_bytes(content)
    return path


@case("no description")
def nothing_in_it(bench: Bench) -> Path:
    return bench.pack({"weights.onnx": b"x"})


@case("YAML bomb")
def yaml_bomb(bench: Bench) -> Path:
    lines = ['a: &a ["x", "x", "x", "x", "x", "x", "x", "x", "x"]']
    names = "abcdefghi"
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} [" + ", ".join([f"*{before}"] * 9) + "]")
    return bench.text("\n".join(lines))


@case("cannot be read as YAML")
def yaml_that_runs_programs(bench: Bench) -> Path:
    return bench.text("type: !!python/object/apply:os.system ['touch evil']")


@case("levels deep")
def yaml_without_bottom(bench: Bench) -> Path:
    return bench.text("a: " + "[" * 5000)


@case("contains itself")
def yaml_that_contains_itself(bench: Bench) -> Path:
    return bench.text("&a [*a]")


@case("of format 0.4.9")
def another_format(bench: Bench) -> Path:
    return bench.text("{type: model, format_version: 0.4.9}")


@case("does not match the digest")
def wrong_digest(bench: Bench) -> Path:
    weights = {"onnx": {"source": "weights.onnx", "opset_version": 13, "sha256": "0" * 64}}
    return bench.foreign(weights=weights)


@case("lacks the file 'gone.onnx'")
def missing_file(bench: Bench) -> Path:
    return bench.foreign(weights={"onnx": {"source": "gone.onnx", "opset_version": 13}})


@case("lacks the file '../../../etc/passwd'")
def description_that_leaves_the_archive(bench: Bench) -> Path:
    return bench.foreign(weights={"onnx": {"source": "../../../etc/passwd", "opset_version": 13}})


@case("nothing is fetched")
def weights_elsewhere(bench: Bench) -> Path:
    return bench.foreign(weights={"onnx": {"source": "http://169.254.169.254/latest", "opset_version": 13}})


@case("claim a header of 107,374,182,400 bytes")
def header_of_100_gigabytes(bench: Bench) -> Path:
    return bench.ours(weights__safetensors=bench.tools["safetensors_header"](100 * 2**30))


@case("cannot be read")
def tensors_outside_the_file(bench: Bench) -> Path:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    return bench.ours(weights__safetensors=struct.pack("<Q", len(header)) + header)


@case("do not fit the network")
def weights_of_another_shape(bench: Bench) -> Path:
    from safetensors.torch import load, save

    state = load(bench.own["weights.safetensors"])
    state["head.conv.weight"] = torch.zeros(9, 9, 9, 9)
    return bench.ours(weights__safetensors=save(state))


@case("not numbers")
def weights_that_are_not_numbers(bench: Bench) -> Path:
    from safetensors.torch import load, save

    state = load(bench.own["weights.safetensors"])
    state["head.conv.weight"][0] = float("nan")
    return bench.ours(weights__safetensors=save(state))


@case("architecture 'os.system' is unknown")
def unknown_architecture(bench: Bench) -> Path:
    return bench.ours(model__json=lambda model: model.update(architecture="os.system"))


@case("its network is not")
def program_in_an_archive_of_ours(bench: Bench) -> Path:
    from noyau.models.foreign.networks import state_of
    from safetensors.torch import save

    weights = save(state_of("torchscript", bench.tools["program"](bench.tools["Saves"]())))
    return bench.ours(
        weights__safetensors=weights,
        model__json=lambda model: model.update(architecture="torchscript", digest=digest(weights)),
    )


@case("not acceptable")
def network_of_a_billion_channels(bench: Bench) -> Path:
    return bench.ours(model__json=lambda model: model["arguments"]["levels"][0].update(channels=10**9))


@case("is above 512")
def decoder_that_fills_the_memory(bench: Bench) -> Path:
    return bench.ours(model__json=lambda model: model["vote"].update(radius=10**8))


@case("cannot be understood|is above")
def numbers_that_are_words(bench: Bench) -> Path:
    return bench.ours(model__json=lambda model: model["vote"].update(radius="wide"))


@case("cannot be understood|cannot be read")
def description_of_lists(bench: Bench) -> Path:
    return bench.ours(model__json=lambda model: model.update(name=["a"], training=[[]]))


@case("cannot be the name of a model")
def name_that_is_a_path(bench: Bench) -> Path:
    return bench.ours(model__json=lambda model: model.update(name="../../evil"))


@case("asks for more than tensors")
def pickle_that_runs_programs(bench: Bench) -> Path:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("touch evil",)

    return bench.state_dict(pickle.dumps(Evil(), protocol=2))


@case("asks for more than tensors")
def pickle_in_a_state_dict(bench: Bench) -> Path:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("touch evil",)

    return bench.state_dict(bench.tools["saved"]({"a": torch.zeros(2), "b": Evil()}))


@case("stand for")
def tensor_of_a_terabyte(bench: Bench) -> Path:
    return bench.state_dict(bench.tools["saved"]({"a": torch.zeros(1).expand(2**38)}))


@case("do not fit the network class 'UNet'")
def state_dict_of_another_network(bench: Bench) -> Path:
    return bench.state_dict(bench.tools["saved"]({"a": torch.zeros(3)}))


@case("not numbers")
def state_dict_with_infinities(bench: Bench) -> Path:
    return bench.state_dict(bench.tools["saved"]({"a": torch.full((3,), float("inf"))}))


@case("code of its own .'net.py'.*never run")
def network_as_code(bench: Bench) -> Path:
    return bench.state_dict(b"", import_from=None, source="net.py")


@case("'os.system' is not one of the known ones")
def network_that_is_a_command(bench: Bench) -> Path:
    return bench.state_dict(b"", import_from="os", callable="system", kwargs={"command": "touch evil"})


@case("'monai.networks.nets.TorchVisionFCModel' is not one of the known ones")
def class_that_downloads(bench: Bench) -> Path:
    return bench.state_dict(bench.tools["saved"]({"a": torch.zeros(3)}), callable="TorchVisionFCModel")


@case("is only taken with --allow-torchscript")
def program_that_nobody_allowed(bench: Bench) -> Path:
    return bench.foreign("torchscript")


@case("calls 'torch.save'")
def program_that_writes_files(bench: Bench) -> Path:
    return bench.foreign("torchscript", files={"weights.pt": bench.tools["program"](bench.tools["Saves"]())})


@case("calls 'torch.from_file'")
def program_that_reads_files(bench: Bench) -> Path:
    return bench.foreign("torchscript", files={"weights.pt": bench.tools["program"](bench.tools["Reads"]())})


@case("calls '__getstate__'")
def program_that_wakes_when_loaded(bench: Bench) -> Path:
    return bench.foreign("torchscript", files={"weights.pt": bench.tools["program"](bench.tools["Wakes"]())})


@case("weights in another file")
def graph_that_reads_files(bench: Bench) -> Path:
    field = bench.tools["field"]
    place = field(13, field(1, "location") + field(2, "/etc/passwd")) + field(14, 1)
    return bench.foreign(files={"weights.onnx": bench.tools["onnx"](bench.tools["Smooth"](), extra=place)})


@case("operators of 'com.evil'")
def graph_with_operators_of_somebody(bench: Bench) -> Path:
    return bench.foreign(files={"weights.onnx": bench.tools["onnx"](bench.tools["Smooth"](), domain="com.evil")})


@case("ONNX file 'weights.onnx' cannot be read")
def graph_that_is_cut_short(bench: Bench) -> Path:
    return bench.foreign(files={"weights.onnx": bench.tools["onnx"](bench.tools["Smooth"]())[:-9]})


@case("The array 'test_input.npy' cannot be read")
def input_that_is_a_pickle(bench: Bench) -> Path:
    return bench.foreign(files={"test_input.npy": bench.tools["npy"](np.array([{}], object))})


@case("speaks of")
def input_of_a_terabyte(bench: Bench) -> Path:
    good = bench.tools["npy"](np.zeros((1, 1, 64, 64), np.float32))
    return bench.foreign(files={"test_input.npy": good.replace(b"(1, 1, 64, 64)", b"(1,9999,64,64)")})


@case("unpacks to more than")
def pair_that_is_a_bomb(bench: Bench) -> Path:
    buffer = bench.path.with_name("pair.npz")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", b"")
        archive.filelist[0].file_size = 10**9
    content = buffer.read_bytes()
    buffer.unlink()
    return bench.ours(selftest__npz=content)


@case("no longer answers its own test input")
def model_that_does_something_else(bench: Bench) -> Path:
    return bench.foreign(files={"test_output.npy": bench.tools["npy"](np.full((1, 1, 64, 64), 0.4, np.float32))})


@case("no test input and output")
def model_without_test(bench: Bench) -> Path:
    document = bench.tools["describe"]({"onnx": {"source": "weights.onnx", "opset_version": 13}}, ["foreground"])
    del document["inputs"][0]["test_tensor"]
    return bench.pack({"rdf.yaml": document, "weights.onnx": b""})


@case("takes 2 inputs")
def model_of_two_images(bench: Bench) -> Path:
    document = bench.tools["describe"]({"onnx": {"source": "weights.onnx", "opset_version": 13}}, ["foreground"])
    return bench.foreign(inputs=[*document["inputs"], {**document["inputs"][0], "id": "second"}])


@case("processing step 'custom' is not supported")
def processing_as_code(bench: Bench) -> Path:
    document = bench.tools["describe"]({}, ["foreground"])
    step = {"id": "custom", "source": "net.py", "callable": "run"}
    return bench.foreign(outputs=[{**document["outputs"][0], "postprocessing": [step]}])


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with sizes and times of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns if path.is_file() else 0)
    return found


@pytest.fixture
def bench(tmp_path, tools, foreign, pack, own_files) -> Bench:
    return Bench(tmp_path, tools, foreign, pack, own_files)


@pytest.mark.parametrize("name", list(CASES))
def test_refused_with_its_reason_and_nothing_written(name, bench, tmp_path, no_trial, monkeypatch):
    make, reason = CASES[name]
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "models"
    archive = make(bench)
    before, alive = tree(tmp_path), os.getpid()
    with pytest.raises(NoyauError, match=reason) as refusal:
        import_archive(archive, models, allow_torchscript=name != "program_that_nobody_allowed")
    assert refusal.value.cause.endswith(".") and len(refusal.value.cause) < 700
    assert tree(tmp_path) == before
    assert not Path("/tmp/noyau-evil").exists() and not Path("evil").exists()
    assert os.getpid() == alive
