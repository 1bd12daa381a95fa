"""Learning without labels: what is hidden, that it is learnt, and that it carries over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from noyau.domain.errors import FailedPrecondition
from noyau.domain.progress import SilentReporter
from noyau.models.networks import build
from noyau.training.batches import BatchSource
from noyau.training.config import AugmentConfig, TrainConfig
from noyau.training.dataset import Pair, load_pair
from noyau.training.growth import inherit
from noyau.training.loop import Loop
from noyau.training.pretraining import DENOISE, SPOTS, DenoiseObjective
from noyau.training.targets import find_objects
from noyau.training.validation import crop_figures

CALM = AugmentConfig(
    gamma=0, blur=0, bias_field=0, attenuation=0, noise=0, thin_planes=0, empty=0, gain=0.1, offset=0.0
)


def configure(folder: Path, network: dict, **changes: object) -> TrainConfig:
    values = {
        "name": "tiny", "ndim": 2, "data": (), "out": folder / "run", "decoder": DENOISE, "arguments": network,
        "patch": (32, 32), "batch": 4, "max_steps": 400, "lr": 0.01, "ema": 0.97, "warmup": 50,
        "threads": torch.get_num_threads(), "augment": CALM, "seed": 3,
    }  # fmt: skip
    folder.joinpath("run").mkdir(exist_ok=True)
    return TrainConfig(**{**values, **changes})  # type: ignore[arg-type]


def unlabelled(folder: Path, config: TrainConfig) -> list[Pair]:
    pairs = [load_pair(path, 2, config.normalisation) for path in sorted(folder.glob("*.npz"))]
    nothing = np.zeros_like(pairs[0].labels)
    return [replace(pair, labels=nothing, objects=find_objects(nothing)) for pair in pairs]


@pytest.mark.parametrize("shape", [(48, 48), (12, 32, 32)])
def test_hidden_voxels_are_asked_for_and_the_others_stay(shape):
    objective = DenoiseObjective()
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    shares = []
    for seed in range(12):
        given, targets = objective.finish(image, objective.nothing(shape), np.random.default_rng(seed))
        hidden = targets.offset_weight[0] > 0
        assert torch.equal(given[~hidden], image[~hidden]) and torch.equal(targets.offsets[0], image)
        assert (given[hidden] != image[hidden]).float().mean() > 0.95
        shares.append(float(hidden.float().mean()))
    assert min(shares) == pytest.approx(SPOTS, abs=0.01) and 0.1 < max(shares) < 0.5
    assert targets.foreground.shape == (0, *shape)


def test_what_lies_outside_the_image_is_not_asked_for():
    objective, shape = DenoiseObjective(), (32, 32)
    known = torch.zeros(1, *shape)
    known[:, :, :16] = 1
    targets = replace(objective.nothing(shape), foreground_weight=known)
    for seed in range(4):
        _, asked = objective.finish(torch.randn(shape), targets, np.random.default_rng(seed))
        assert asked.offset_weight[:, :, 16:].sum() == 0 < asked.offset_weight.sum()


def test_batches_of_one_step_are_the_same_each_time(pairs_folder, tiny_network):
    config = configure(pairs_folder, tiny_network)
    first, again = (BatchSource(config, unlabelled(pairs_folder, config)).batch(7) for _ in range(2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1].offset_weight, again[1].offset_weight)


@pytest.fixture
def noisy_folder(pairs_folder: Path) -> Path:
    """The same discs with a few photons per pixel, so that seeing them takes more than a threshold."""
    for path in pairs_folder.glob("*.npz"):
        with np.load(path) as stored:
            labels = stored["labels"]
        image = np.random.default_rng(1).poisson(10 + 8 * (labels > 0)).astype(np.uint16)
        np.savez(path, image=image, labels=labels)
    return pairs_folder


def test_it_learns_to_fill_in_and_its_body_finds_noisy_nuclei_sooner_than_a_random_one(noisy_folder, tiny_network):
    config = configure(noisy_folder, tiny_network)
    pairs = unlabelled(noisy_folder, config)
    crops = BatchSource(config, pairs).fixed_crops(12)
    trained = Loop(config, BatchSource(config, pairs), SilentReporter()).run().network
    # Better than the best constant, so it looks at the neighbourhood.
    values = torch.cat([t.offsets[t.offset_weight > 0] for _, t in crops])
    assert crop_figures(trained, crops)["offset_error"] < 0.95 * float((values - values.median()).abs().mean())
    errors = [_dice_after_few_steps(noisy_folder, tiny_network, start) for start in (trained.state_dict(), None)]
    assert errors[0] < errors[1] - 0.03


def _dice_after_few_steps(folder: Path, network: dict, parent: dict | None) -> float:
    """Dice loss of the vote on five images, after a short training on another one."""
    config = configure(folder, network, decoder="vote", max_steps=10, lr=0.01, ema=0.5, warmup=2)
    labelled = [load_pair(path, 2, config.normalisation) for path in sorted(folder.glob("*.npz"))]
    result = Loop(config, BatchSource(config, labelled[:1]), SilentReporter(), parent=parent).run()
    with torch.inference_mode():
        crops = BatchSource(config, labelled[1:]).fixed_crops(10)
        return sum(float(config.objective.loss(result.network(x), t).dice) for x, t in crops) / 10


def test_a_child_takes_the_body_and_keeps_its_own_head(pairs_folder, tiny_network):
    parent = build("vote-unet", configure(pairs_folder, tiny_network).network_arguments).state_dict()
    child = build("vote-unet", configure(pairs_folder, tiny_network, decoder="vote").network_arguments)
    own = {name: value.clone() for name, value in child.state_dict().items()}
    inherit(child, parent)
    for name, value in child.state_dict().items():
        assert torch.equal(value, own[name] if name.startswith("head.") else parent[name]), name
    assert any(name.startswith("head.") for name in own)


def test_a_wider_child_takes_the_body_too_and_a_shallower_one_is_refused(pairs_folder, tiny_network):
    pretrained = build("vote-unet", configure(pairs_folder, tiny_network).network_arguments).state_dict()
    levels = tiny_network["levels"]
    wide = {**tiny_network, "levels": [levels[0], {**levels[1], "channels": 12}]}
    inherit(build("vote-unet", wide), pretrained)
    shallow = {**tiny_network, "levels": levels[:1]}
    with pytest.raises(FailedPrecondition):
        inherit(build("vote-unet", shallow), pretrained)
