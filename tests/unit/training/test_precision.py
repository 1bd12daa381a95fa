"""Half precision: it trains, its scale is part of the checkpoint, and overflows are told from divergence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from noyau.domain.errors import FailedPrecondition, InvalidInput, JobCancelled
from noyau.domain.progress import SilentReporter
from noyau.training.batches import BatchSource
from noyau.training.checkpoint import read_checkpoint
from noyau.training.config import TrainConfig
from noyau.training.dataset import find_files, load_pairs
from noyau.training.devices import loaders_of, memory_of, precision_name, precision_of, training_device
from noyau.training.loop import Loop


@pytest.fixture
def configure(pairs_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]) -> Callable[..., TrainConfig]:
    def make(out: str = "run", **changes: Any) -> TrainConfig:
        (tmp_path / out).mkdir(exist_ok=True)
        values: dict[str, Any] = {
            "name": "tiny", "ndim": 2, "data": (str(pairs_folder),), "out": tmp_path / out, "max_steps": 4,
            "patch": (32, 32), "batch": 1, "warmup": 1, "arguments": tiny_network, "threads": torch.get_num_threads(),
        }  # fmt: skip
        return TrainConfig(**{**values, **changes})

    return make


def loop_of(config: TrainConfig, reporter: Any = None) -> Loop:
    pairs = load_pairs(find_files(config.data), 2, config.normalisation)
    return Loop(config, BatchSource(config, pairs), reporter or SilentReporter())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_comes_near_to_single(configure: Callable[..., TrainConfig], precision: str) -> None:
    single = loop_of(configure("single", precision="fp32")).run().network.state_dict()
    half = loop_of(configure("half", precision=precision)).run().network.state_dict()
    same = [torch.equal(single[name], half[name]) for name in single if single[name].is_floating_point()]
    assert not all(same)
    for name, value in single.items():
        torch.testing.assert_close(half[name], value, rtol=0.1, atol=0.05)


class Impatient(SilentReporter):
    """Stops the run after two steps."""

    def __init__(self) -> None:
        self.left = 2

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise JobCancelled("enough")


def test_a_resumed_run_goes_on_with_its_scale(configure: Callable[..., TrainConfig]) -> None:
    loop_of(configure("straight", precision="fp16")).run()
    with pytest.raises(JobCancelled):
        loop_of(configure("broken", precision="fp16"), Impatient()).run()
    assert read_checkpoint(configure("broken").out)["scaler"]["scale"] > 0
    loop_of(configure("broken", precision="fp16", resume=True)).run()
    straight, broken = (read_checkpoint(configure(name).out) for name in ("straight", "broken"))
    assert straight["scaler"] == broken["scaler"]
    for name, value in straight["network"].items():
        assert torch.equal(value, broken["network"][name])


def test_an_overflow_lowers_the_scale_and_is_no_divergence(configure: Callable[..., TrainConfig]) -> None:
    loop = loop_of(configure(precision="fp16", max_steps=30))
    scaler = loop._state.scaler
    scaler.load_state_dict({**scaler.state_dict(), "scale": 2.0**40})
    result = loop.run()
    assert result.step == 30 and result.changes == ()
    assert scaler.get_scale() < 2.0**30
    assert all(torch.isfinite(value).all() for value in result.network.state_dict().values())


@pytest.mark.parametrize(
    ("able", "expected"),
    [({}, torch.float32), ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
     ({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16)],
)  # fmt: skip
def test_a_processor_trains_in_bfloat16_where_it_has_it(
    able: dict[str, bool],
    expected: torch.dtype,
    configure: Callable[..., TrainConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    cpu = training_device("cpu")
    assert precision_of(configure(), cpu) is expected
    assert precision_name(configure()) == {torch.float32: "fp32", torch.bfloat16: "bf16"}[expected]
    assert precision_of(configure(precision="fp32"), cpu) is torch.float32
    # The attention of this one does not stand it.
    assert precision_of(configure(architecture="swin-unetr"), cpu) is torch.float32


def test_a_processor_has_one_batch_ahead(configure: Callable[..., TrainConfig]) -> None:
    cpu = training_device("cpu")
    assert loaders_of(configure(), cpu) == 1
    assert loaders_of(configure(loaders=3), cpu) == 3 and memory_of(cpu) > 2**20
    assert precision_of(configure(), torch.device("cuda")) is torch.float16


def test_devices_that_cannot_be_had_are_named() -> None:
    with pytest.raises(InvalidInput, match="'gpu' is unknown"):
        training_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(FailedPrecondition, match="GPU"):
            training_device("cuda:1")


@pytest.mark.gpu
def test_a_gpu_trains_and_augments_in_mixed_precision(configure: Callable[..., TrainConfig]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    config = configure(device="cuda", max_steps=60, lr=1e-2)
    source = BatchSource(config, load_pairs(find_files(config.data), 2, config.normalisation))
    assert source.batch(0)[0].is_cuda
    result = Loop(config, source, SilentReporter()).run()
    assert result.step == 60 and next(result.network.parameters()).is_cuda
    assert all(torch.isfinite(value).all() for value in result.network.state_dict().values())
    assert read_checkpoint(config.out)["scaler"]["scale"] > 0
