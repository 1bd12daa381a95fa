"""Windows of any size for networks with sizes and axes of their own, and labels as votes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from noyau.decoding import vote
from noyau.domain.errors import InvalidInput, JobCancelled, LimitExceeded
from noyau.domain.model import ModelInfo, VoteParams
from noyau.inference.foreign_backend import ForeignBackend
from noyau.inference.label_votes import votes_of
from noyau.inference.selection import choose_for
from torch import nn

EXACT = VoteParams(
    seed_mass=1.0, smooth=(0, 0, 0), nms=(0, 0, 0), rival_radius=0, rival_percent=0, radius=2, min_voxels=1,
    weights=(1, 1, 1), max_offset=(16, 16, 16),
)  # fmt: skip


class Seen(nn.Module):
    """Gives back what it gets and remembers its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        return x


def backend(network: nn.Module, axes: list[str], sizes: dict[str, list[int]], kind: str = "foreground") -> Any:
    processing = {
        "input": {"axes": axes, "dtype": "float32", "steps": [], "sizes": sizes},
        "output": {"index": 0, "axes": axes, "steps": []},
        "objects": {"kind": kind, "foreground": 0, "border": None, "threshold": 0.5},
    }
    ndim = len(sizes)
    info = ModelInfo(
        "x", "1", "", ndim, "torchscript", {}, None, 20.0, (0, 8, 8), (1, 1, 1), (1, 64, 64), kind=kind,
        processing=processing,
    )  # fmt: skip
    return ForeignBackend(network, info, "cpu")


@pytest.mark.parametrize(
    ("axes", "sizes", "window", "seen"),
    [
        (["batch", "channel", "y", "x"], {"y": [16, 8], "x": [16, 8]}, (1, 17, 16), (1, 1, 24, 16)),
        (["batch", "y", "x", "channel"], {"y": [64, 0], "x": [32, 0]}, (1, 50, 32), (1, 64, 32, 1)),
        (["channel", "x", "y"], {"y": [4, 1], "x": [8, 8]}, (1, 5, 20), (1, 24, 5)),
        (["batch", "channel", "z", "y", "x"], {"z": [4, 4], "y": [8, 8], "x": [8, 8]}, (3, 9, 8), (1, 1, 4, 16, 8)),
        (["batch", "z", "x", "y", "channel"], {"z": [2, 1], "y": [8, 8], "x": [8, 4]}, (3, 9, 8), (1, 3, 8, 16, 1)),
        (["batch", "y", "x"], {"y": [1, 1], "x": [1, 1]}, (1, 7, 9), (1, 7, 9)),
    ],
)
def test_axes_and_sizes_are_the_networks_and_the_answer_is_the_windows(axes, sizes, window, seen):
    network = Seen()
    found = backend(network, axes, sizes)
    values = np.random.default_rng(0).random(window).astype(np.float32)
    answer = found.predict(values[None])
    assert network.shapes == [seen]
    assert np.array_equal(answer, np.rint(values * 255).astype(np.uint8)[None, None])


def test_a_window_that_is_too_large_is_refused():
    with pytest.raises(LimitExceeded, match="windows of 32 voxels along x"):
        backend(Seen(), ["batch", "channel", "y", "x"], {"y": [32, 0], "x": [32, 0]}).predict(
            np.zeros((1, 1, 32, 40), np.float32)
        )


def test_a_map_of_another_size_is_refused():
    class Half(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., ::2]

    with pytest.raises(LimitExceeded, match="gives a map of"):
        backend(Half(), ["batch", "channel", "y", "x"], {"y": [8, 8], "x": [8, 8]}).predict(
            np.zeros((1, 1, 8, 8), "f4")
        )


def test_values_that_are_no_probabilities_stay_bytes():
    values = np.array([np.nan, np.inf, -np.inf, -3.0, 7.0, 0.5, 0.0, 1.0], np.float32).reshape(1, 1, 1, 8)
    answer = backend(Seen(), ["batch", "y", "x"], {"y": [1, 1], "x": [1, 1]}).predict(values)
    assert answer.ravel().tolist() == [0, 255, 0, 0, 255, 128, 0, 255]


def test_it_stops_between_windows():
    def stop() -> None:
        raise JobCancelled("The job was cancelled.")

    network = Seen()
    with pytest.raises(JobCancelled):
        backend(network, ["batch", "y", "x"], {"y": [1, 1], "x": [1, 1]}).predict(
            np.zeros((2, 1, 4, 4), "f4"), check=stop
        )
    assert network.shapes == []


def test_labels_come_back_from_their_votes():
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(40), np.arange(40), indexing="ij"), axis=-1)
    places = np.array([(3, 8, 8), (8, 9, 28), (5, 30, 12), (6, 28, 31), (5, 28, 38)])
    far = np.linalg.norm((grid[..., None, :] - places) * np.array([1.6, 1.0, 1.0]), axis=-1)
    labels = np.where(far.min(axis=-1) < 7.5, far.argmin(axis=-1) + 1, 0) * 1000 + rng.integers(1, 2)
    labels[labels < 1000] = 0
    found = vote.decode(votes_of(labels), (0, 0, 0), labels.shape, EXACT).labels
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), found.ravel(), strict=True)}
    assert len(pairs) == len(np.unique(labels)) == len(np.unique(found)) == 6


def test_no_labels_no_votes():
    assert not votes_of(np.zeros((2, 3, 4), np.int64)).any()


def describe(architecture: str) -> ModelInfo:
    return ModelInfo(
        "x", "1", "", 2, architecture, {}, None, 20.0, (0, 8, 8), (1, 1, 1), (1, 64, 64), processing={"input": {}}
    )


def test_another_makers_network_runs_where_it_can_or_is_refused():
    assert choose_for(describe("torchscript"), "cpu", "auto").backend == "torch"
    with pytest.raises(InvalidInput, match="runs on torch, not on openvino"):
        choose_for(describe("monai:UNet"), "cpu", "openvino")
    with pytest.raises(InvalidInput, match="runs on openvino, not on torch"):
        choose_for(describe("onnx"), "cpu", "torch")
    with pytest.raises(InvalidInput, match="cuda:0 was asked for"):
        choose_for(describe("onnx"), "cuda:0", "auto")
