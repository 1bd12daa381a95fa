"""`segment` with decoders that see one window at a time: the same nuclei, joined across windows, and it is said."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noyau.decoding import star_geometry
from noyau.domain.axes import Axes
from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageInfo
from noyau.domain.jobs import SegmentSpec
from noyau.domain.model import ModelInfo
from noyau.domain.progress import MemoryLedger
from noyau.models.package import LoadedModel
from noyau.pipelines import preview, segment
from noyau.pipelines.context import Limits
from noyau.pipelines.prepare import plan_image
from noyau.pipelines.segment_windows import decode_threads
from torch import nn

VOXEL = VoxelSize(1.0, 1.0, 1.0)
RADIUS = 4.5
RAYS = 32


class Adapted(nn.Module):
    """The blob network, answering what another decoder asks for."""

    def __init__(self, network: nn.Module, ndim: int, decoder: str) -> None:
        super().__init__()
        self.network, self.decoder = network, decoder
        self.channels = {"flow": 1 + ndim, "border": 3, "star": 2 + RAYS, "foreground": 1}[decoder]
        self.logits = {"flow": 1, "border": 3, "star": 2, "foreground": 1}[decoder]
        self.quantum = {"flow": 0.01, "border": 1.0, "star": 0.25, "foreground": 1.0}[decoder]
        if decoder == "star":
            vertices = star_geometry.rays(RAYS, (1.0, 1.0, 1.0)).vertices
            self.register_buffer("directions", torch.tensor(np.array(vertices), dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.network(x)
        nucleus, offset = answer[:, :1], answer[:, 1:]
        far = offset.square().sum(1, keepdim=True).sqrt()
        if self.decoder == "foreground":
            return nucleus
        if self.decoder == "flow":
            return torch.cat([nucleus, offset / far.clamp_min(1.0)], 1)
        depth = 2.0 * (2.5 - far)
        if self.decoder == "border":
            return torch.cat([nucleus, torch.full_like(nucleus, -6.0), depth], 1)
        ahead = torch.einsum("rc,nczyx->nrzyx", self.directions, offset)
        lengths = ahead + (ahead.square() + RADIUS**2 - far.square()).clamp_min(0.0).sqrt()
        return torch.cat([nucleus, depth, lengths], 1)


@dataclass
class OtherRegistry:
    """The blob models with another decoder."""

    inner: Any
    decoder: str
    parameters: dict[str, Any]
    bounded: bool = True

    def get(self, ref: str) -> ModelInfo:
        info = self.inner.get(ref)
        return replace(
            info, decoder=self.decoder, parameters=self.parameters, bounded=self.bounded, version=self.decoder,
            digest=f"{info.digest}-{self.decoder}",
        )  # fmt: skip

    def load(self, ref: str) -> LoadedModel:
        info = self.get(ref)
        return LoadedModel(info, Adapted(self.inner.load(ref).network, info.ndim, self.decoder).eval())  # type: ignore[arg-type]


PARAMETERS: dict[str, dict[str, Any]] = {
    "border": {"min_voxels": 15, "seed_voxels": 3, "overlap": [10, 10, 10]},
    "flow": {"min_voxels": 15, "steps": 16, "apart": [3, 3, 3], "arrivals": 10, "reach": 4, "overlap": [10, 10, 10]},
    "star": {"min_voxels": 15, "rays": RAYS, "overlap": [10, 10, 10]},
    "foreground": {"min_voxels": 15, "overlap": [10, 10, 10]},
}


@pytest.fixture
def world(worlds):
    """Blobs so far apart that the saddles between them are background."""
    return worlds((48, 80, 80), spacing=16.0)


def registry_of(workshop, decoder: str, **changes: Any) -> OtherRegistry:
    return OtherRegistry(workshop.registry, decoder, PARAMETERS[decoder], **changes)


def found_at(labels: np.ndarray, centres: np.ndarray) -> list[int]:
    at = np.clip(np.rint(centres).astype(int), 0, np.array(labels.shape) - 1)
    return [int(labels[tuple(p)]) for p in at]


@pytest.mark.parametrize("decoder", PARAMETERS)
def test_the_nuclei_are_found_and_the_result_says_how(workshop, world, decoder):
    uri = workshop.image(world.image)
    context = workshop.context(registry=registry_of(workshop, decoder))
    result = segment.run(workshop.spec(uri, measure=True), context)
    # What the border cuts looks different to each decoder; what lies inside is found by all, each by itself.
    inner = world.centres[((world.centres > 4) & (world.centres < np.array(world.image.shape) - 5)).all(1)]
    names = found_at(workshop.labels(uri), inner)
    assert len(inner) > 40 and 0 not in names and len(set(names)) == len(inner)
    assert 0.8 * len(world.centres) < result.nuclei < 1.2 * len(world.centres)
    assert any(f"decoder '{decoder}'" in warning and "window" in warning for warning in result.warnings)
    with Path(result.images[0].table_uri).open() as file:
        sure = [float(row["certainty"]) for row in csv.DictReader(file)]
    # A star shape fills its outline, with voxels too that the network holds for background.
    least = 0.2 if decoder == "star" else 0.5
    assert len(sure) == result.nuclei and least < min(sure) < max(sure) <= 1.0
    record = json.loads((Path(uri) / "noyau" / "nuclei" / "provenance.json").read_text())
    assert record["tiling"]["exact"] is False and "overlap" in record["tiling"]["joined_by"]
    assert record["parameters"]["decoder"] == decoder and record["parameters"]["min_voxels"] == 15


def test_only_a_network_that_votes_is_asked_for_the_size_of_nuclei(workshop, world):
    uri = workshop.image(world.image)
    asked, unasked, refusing = MemoryLedger(), MemoryLedger(), MemoryLedger()
    registry = registry_of(workshop, "flow")
    segment.run(workshop.spec(uri), workshop.context(ledger=asked))
    segment.run(workshop.spec(uri, overwrite=True, fit_diameter=False), workshop.context(ledger=unasked))
    assert len(asked.finished("size")) == 1 and not unasked.finished("size")
    with pytest.raises(InvalidInput, match="does not vote"):
        context = workshop.context(registry=registry, ledger=refusing)
        segment.run(workshop.spec(uri, overwrite=True, fit_diameter=True), context)


@pytest.mark.parametrize("decoder", PARAMETERS)
def test_small_windows_give_the_nuclei_of_a_large_one(workshop, world, decoder, monkeypatch):
    uri = workshop.image(world.image)
    registry = registry_of(workshop, decoder)
    segment.run(workshop.spec(uri), workshop.context(registry=registry))
    whole = workshop.labels(uri)
    monkeypatch.setattr("noyau.pipelines.segment_image.WINDOW_UNIT", (16, 32, 32))
    monkeypatch.setattr("noyau.sinks.labels.plan_chunks", lambda shape, axes, **_: ((8, 16, 16), None))
    result = segment.run(
        workshop.spec(uri, overwrite=True, workers=2), workshop.context(registry=registry, job_id="small")
    )
    tiled = workshop.labels(uri)
    assert abs(result.nuclei - whole.max()) <= 0.02 * whole.max()
    assert np.unique(tiled[tiled > 0]).tolist() == list(range(1, result.nuclei + 1))
    both = (whole > 0) & (tiled > 0)
    assert both.sum() > 0.97 * (whole > 0).sum()
    # A nucleus of the whole is one nucleus of the windows.
    pairs = np.unique(np.stack([whole[both], tiled[both]]), axis=1)
    assert pairs.shape[1] <= 1.05 * whole.max()


@pytest.mark.parametrize("decoder", ["border", "flow", "foreground"])
def test_planes(workshop, flat_world, decoder):
    uri = workshop.image(flat_world.image[0])
    result = segment.run(workshop.spec(uri), workshop.context(registry=registry_of(workshop, decoder)))
    assert 0.9 * len(flat_world.centres) < result.nuclei < 1.1 * len(flat_world.centres)


def test_a_preview_decodes_as_the_job_does(workshop, world):
    uri = workshop.image(world.image)
    context = workshop.context(registry=registry_of(workshop, "border"))
    segment.run(workshop.spec(uri), context)
    seen = preview.run(
        world.image, registry=context.registry, backends=context.backends, backend="torch", probability=True
    )
    np.testing.assert_array_equal(seen.labels, workshop.labels(uri))
    assert seen.probability.max() > 0.9


def test_a_flat_image_has_no_nuclei(workshop):
    uri = workshop.image(np.full((20, 40, 40), 100, np.uint16))
    assert segment.run(workshop.spec(uri), workshop.context(registry=registry_of(workshop, "border"))).nuclei == 0


def test_a_callers_threshold_reaches_the_decoder(workshop, world):
    uri = workshop.image(world.image)
    sizes = []
    for job, threshold in (("low", 0.2), ("high", 0.9)):
        context = workshop.context(registry=registry_of(workshop, "border"), job_id=job)
        segment.run(workshop.spec(uri, foreground=threshold, overwrite=True), context)
        sizes.append((workshop.labels(uri) > 0).sum())
    assert sizes[0] > 1.1 * sizes[1]


def test_a_network_without_a_bounded_neighbourhood_is_named(workshop, world):
    uri = workshop.image(world.image)
    registry = registry_of(workshop, "border", bounded=False)
    tiled = segment.run(workshop.spec(uri, tile=(16, 32, 32)), workshop.context(registry=registry))
    assert any("no bounded neighbourhood" in warning for warning in tiled.warnings)
    whole = segment.run(workshop.spec(uri, overwrite=True), workshop.context(registry=registry, job_id="whole"))
    assert not any("no bounded neighbourhood" in warning for warning in whole.warnings)


def test_a_decoder_that_is_not_known_is_refused(workshop, world):
    registry = OtherRegistry(workshop.registry, "oracle", {})
    with pytest.raises(FailedPrecondition, match="needs the decoder 'oracle'"):
        segment.run(workshop.spec(workshop.image(world.image)), workshop.context(registry=registry))


def test_parameters_that_do_not_fit_are_refused(workshop, world):
    registry = OtherRegistry(workshop.registry, "border", {"hight": 3})
    with pytest.raises(FailedPrecondition, match="no parameter 'hight'"):
        segment.run(workshop.spec(workshop.image(world.image)), workshop.context(registry=registry))


def test_star_shapes_without_the_package_are_refused_with_a_remedy(workshop, world, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FailedPrecondition, match="stardist") as refused:
        segment.run(
            workshop.spec(workshop.image(world.image)), workshop.context(registry=registry_of(workshop, "star"))
        )
    assert "noyau[stardist]" in refused.value.remedy


def test_predictions_with_many_channels_are_decoded_few_at_a_time(workshop):
    star, border = (registry_of(workshop, name).get("nuclei-3d") for name in ("star", "border"))
    info = ImageInfo(
        shape=(500, 4000, 4000), dtype="uint16", axes=Axes("zyx"), stored_shape=(500, 4000, 4000), voxel_size=VOXEL,
        channels=("0",), times=1, levels=1, chunk=(64, 64, 64),
    )  # fmt: skip
    plans = [plan_image("i", info, model, SegmentSpec(()), Limits(), "torch") for model in (star, border)]
    assert [decode_threads(plan, 16) for plan in plans] == [9, 16]
    assert decode_threads(plans[0], 2) == 2
