"""Two processes that share every batch against one process with the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from noyau.training.batches import BatchSource
from noyau.training.checkpoint import read_checkpoint
from noyau.training.config import TrainConfig
from noyau.training.dataset import find_files, load_pairs
from noyau.training.ranks import Ranks, device_of_rank
from noyau.training.synced_norm import SyncedNorm, synchronise_norms

STEPS = 4


@pytest.fixture
def settings(tiny_network: dict[str, Any]) -> list[str]:
    return [
        "--ndim", "2", "--steps", str(STEPS), "--patch", "32,32", "--threads", "1", "--lr", "0.001", "--quiet",
        "--set", f"arguments={json.dumps(tiny_network)}", "--set", "warmup=1", "--set", "checkpoint_minutes=0",
        "--set", "precision=fp32",
    ]  # fmt: skip


def noyau(*arguments: str, ranks: int = 1) -> None:
    """Runs the command line, under torchrun where there are several processes."""
    start = [sys.executable, "-c", "from noyau.cli import main; main()"]
    if ranks > 1:
        start = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks),
            "-m", "noyau.cli",
        ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*start, *arguments], env=environment, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stderr


def test_two_ranks_agree_with_one(pairs_folder: Path, tmp_path: Path, settings: list[str]) -> None:
    """torchrun with two ranks of batch 2 against one process of batch 4: the same patches, losses and norms."""
    common = ["--name", "tiny", "--data", str(pairs_folder), *settings]
    noyau("train", str(tmp_path / "two"), "--batch", "2", *common, ranks=2)
    noyau("train", str(tmp_path / "one"), "--batch", "4", *common)
    one, two = (read_checkpoint(tmp_path / name) for name in ("one", "two"))
    assert one["step"] == two["step"] == STEPS
    for kind in ("network", "average"):
        for name, value in one[kind].items():
            torch.testing.assert_close(value, two[kind][name], rtol=2e-3, atol=2e-4, msg=f"{kind} {name}")
    # Steps of this size would tell a difference: Adam moves every weight by about the rate.
    noyau("train", str(tmp_path / "half"), "--batch", "2", *common)
    half = read_checkpoint(tmp_path / "half")["network"]
    assert max(float((value.float() - half[name].float()).abs().max()) for name, value in one["network"].items()) > 2e-3
    assert sorted(p.name for p in (tmp_path / "two" / "package" / "tiny").iterdir()) == ["1"]


def test_two_ranks_train_in_half_precision(pairs_folder: Path, tmp_path: Path, settings: list[str]) -> None:
    settings[-1] = "precision=bf16"
    noyau("train", str(tmp_path), "--name", "tiny", "--data", str(pairs_folder), "--batch", "2", *settings, ranks=2)
    state = read_checkpoint(tmp_path)["network"]
    assert all(torch.isfinite(value).all() for value in state.values())
    # Only the arithmetic is of half precision; what is learned is kept in full.
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}


def test_ranks_draw_the_parts_of_one_batch(pairs_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]) -> None:
    sources = (str(pairs_folder),)
    config = TrainConfig("t", 2, sources, tmp_path, max_steps=1, patch=(32, 32), batch=1, arguments=tiny_network)
    pairs = load_pairs(find_files(config.data), 2, config.normalisation)
    parts = [BatchSource(config, pairs, rank=rank).batch(7) for rank in (0, 1)]
    images, targets = BatchSource(replace(config, batch=2), pairs).batch(7)
    assert torch.equal(torch.cat([part[0] for part in parts]), images)
    assert torch.equal(torch.cat([part[1].offsets for part in parts]), targets.offsets)


def test_norms_keep_their_names_and_values_when_they_are_synchronised() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.Sequential(torch.nn.BatchNorm2d(3)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    synchronise_norms(network, torch.device("cpu"))
    assert isinstance(network[1][0], SyncedNorm)
    after = network.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)
    network.eval()
    assert network(torch.randn(1, 1, 8, 8)).shape == (1, 3, 6, 6)


def test_a_run_of_its_own_shares_nothing() -> None:
    ranks = Ranks()
    assert ranks.leads and ranks.alone and ranks.share([1.0, 0.5]) == [1.0, 0.5]
    ranks.barrier()


def test_each_rank_of_a_host_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_of_rank("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert (device_of_rank("cuda"), device_of_rank("cpu"), device_of_rank("cuda:1")) == ("cuda:3", "cpu", "cuda:1")
