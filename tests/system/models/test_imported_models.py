"""`segment` with models of other makers: imported, run with their own processing, and joined over windows."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
import zarr
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.inference.cache import BackendCache
from noyau.models.bioimageio import import_archive
from noyau.models.bioimageio.objects import ObjectRule
from noyau.models.registry import ModelRegistry
from noyau.pipelines import segment
from noyau.pipelines.context import PipelineContext
from torch import nn

SIDE, RADIUS = 260, 9
CENTRES = [(y, x) for y in range(20, SIDE - 16, 40) for x in range(20, SIDE - 16, 40)]
SCALE = [{"id": "scale_linear", "kwargs": {"gain": 0.001, "offset": -0.1}}]


def discs() -> np.ndarray:
    """A grid of discs, uint16."""
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.full((SIDE, SIDE), 100, np.uint16)
    for cy, cx in CENTRES:
        image[(y - cy) ** 2 + (x - cx) ** 2 <= RADIUS**2] = 1100
    return image


class Threshold(nn.Module):
    """Foreground from a picture between 0 and 1; as many channels as asked for, the second one the border."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = torch.sigmoid(20.0 * (x - 0.5))
        if self.channels == 1:
            return inside
        blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        return torch.cat([inside, torch.sigmoid(40.0 * (0.2 - torch.abs(blurred - 0.5)))], dim=1)


class Labels(nn.Module):
    """Names every disc of a window by the place of its first pixel, as a network with a decoder of its own would."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = (x > 0.5).float()
        size = x.size(3)
        places = torch.arange(0, x.size(2) * size, dtype=torch.float32).view(1, 1, x.size(2), size)
        names = mask * (places + 1.0)
        for _ in range(20):
            names = torch.nn.functional.max_pool2d(names, 3, 1, 1) * mask
        return names


def archive(path: Path, network: nn.Module, channels: list[str], size: Any, dtype: str = "float32") -> Path:
    """An archive with the network as TorchScript."""
    least = size if isinstance(size, int) else size["min"]
    image = discs()[:least, :least].astype(np.float32)[None, None]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        output = network(torch.from_numpy(image * np.float32(0.001) + np.float32(-0.1))).numpy()
        program = io.BytesIO()
        torch.jit.save(torch.jit.script(network.eval()), program)
    space = [{"type": "space", "id": axis, "size": size} for axis in "yx"]
    same = [{"type": "space", "id": a, "size": {"tensor_id": "raw", "axis_id": a}} for a in "yx"]
    document = {
        "format_version": "0.5.4",
        "type": "model",
        "name": "Discs",
        "inputs": [
            {
                "id": "raw",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["raw"]}, *space],
                "preprocessing": SCALE,
                "test_tensor": {"source": "in.npy"},
            }
        ],
        "outputs": [
            {
                "id": "labels" if dtype != "float32" else "maps",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": channels}, *same],
                "data": {"type": dtype},
                "test_tensor": {"source": "out.npy"},
            }
        ],
        "weights": {"torchscript": {"source": "net.pt", "pytorch_version": "2.0"}},
    }
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("rdf.yaml", yaml.safe_dump(document))
        out.writestr("net.pt", program.getvalue())
        for name, array in (("in.npy", image), ("out.npy", output)):
            buffer = io.BytesIO()
            np.save(buffer, array)
            out.writestr(name, buffer.getvalue())
    return path


@pytest.fixture
def run(tmp_path: Path, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Imports an archive, segments the discs with it, and gives labels, result and provenance."""
    # The process in which programs are tried has tests of its own and takes seconds.
    monkeypatch.setattr("noyau.models.bioimageio.foreign.try_out", lambda *_: None)
    image = make_image(tmp_path / "discs.ome.zarr", discs(), "yx", scale=[0.5, 0.5])

    def go(
        network: nn.Module, channels: list[str], size: Any, *, rule: ObjectRule | None = None, **changes: Any
    ) -> Any:
        dtype = changes.pop("dtype", "float32")
        models = tmp_path / "models"
        packed = archive(tmp_path / "discs.zip", network, channels, size, dtype)
        info = import_archive(packed, models, objects=rule, allow_torchscript=True)
        spec = SegmentSpec((ImageRef(str(image)),), model="discs", overwrite=True, device="cpu", **changes)
        context = PipelineContext(
            registry=ModelRegistry([models]),
            access=AccessPolicy((str(tmp_path),)),
            workdir=tmp_path / "work",
            backends=BackendCache(),
        )
        result = segment.run(spec, context)
        labels = np.asarray(zarr.open_group(image, mode="r")["labels/nuclei/0"][...])
        provenance = json.loads((image / "noyau" / "nuclei" / "provenance.json").read_text())
        return info, result, labels, provenance

    return go


def each_disc_is_one(labels: np.ndarray) -> None:
    """Every disc has one label over its whole area, and none is shared."""
    plane = labels.reshape(SIDE, SIDE)
    mask = discs() > 500
    assert (plane[~mask] == 0).all()
    names = [np.unique(plane[cy - 5 : cy + 6, cx - 5 : cx + 6]) for cy, cx in CENTRES]
    assert all(len(found) == 1 and found[0] > 0 for found in names)
    assert len({int(found[0]) for found in names}) == len(CENTRES) == plane.max()
    assert (plane[mask] > 0).mean() > 0.98


@pytest.mark.parametrize("tile", [None, (1, 64, 64), (1, 70, 110)])
def test_a_map_of_the_foreground(run: Callable[..., Any], tile: Any) -> None:
    info, result, labels, provenance = run(Threshold(1).eval(), ["foreground"], {"min": 32, "step": 16}, tile=tile)
    assert (info.kind, result.nuclei) == ("foreground", len(CENTRES))
    each_disc_is_one(labels)
    assert any("joined" in warning for warning in result.warnings)
    assert provenance["tiling"]["exact"] is False
    assert provenance["normalisation"]["values"]["0"]["steps"][0]["kwargs"] == {"gain": 0.001, "offset": -0.1}
    assert provenance["compute"]["backend"] == "torch"


def test_foreground_and_border(run: Callable[..., Any]) -> None:
    network = Threshold(2).eval()
    info, result, labels, _ = run(network, ["nuclei", "boundary"], {"min": 32, "step": 16}, tile=(1, 64, 64))
    assert (info.kind, result.nuclei) == ("border", len(CENTRES))
    each_disc_is_one(labels)


@pytest.mark.parametrize("size", [160, {"min": 64, "step": 1}])
def test_objects_named_by_the_network_in_windows_of_one_size(run: Callable[..., Any], size: Any) -> None:
    network = Labels().eval()
    info, result, labels, provenance = run(network, ["instance labels"], size, dtype="int32", tile=(1, 64, 64))
    assert (info.kind, info.decoder, result.nuclei) == ("labels", "vote", len(CENTRES))
    each_disc_is_one(labels)
    if size == 160:
        assert provenance["tiling"]["window"] == [1, 160, 160]
    assert any("no bounded neighbourhood" in warning for warning in result.warnings)
    assert provenance["tiling"]["exact"] is False


def test_it_runs_on_torch_and_says_so(run: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInput, match="discs@1 runs on torch, not on openvino"):
        run(Threshold(1).eval(), ["foreground"], {"min": 32, "step": 16}, backend="openvino")
