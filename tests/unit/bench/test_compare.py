"""The comparison trains and measures in processes of its own, and one that fails leaves the others their rows."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from noyau.bench import compare as compare_module
from noyau.bench.children import run_child
from noyau.bench.compare import DEFAULT_COMBINATIONS, PATCHES, Outcome, Trial, compare
from noyau.commands.bench_models import COLUMNS, bench_models, markdown
from noyau.domain.errors import InternalError, InvalidInput, JobCancelled
from noyau.domain.progress import SilentReporter
from noyau.models.networks import ARCHITECTURES, arguments_for, build
from noyau.training.objectives import NAMES


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three planes of bright discs, one of them for validation."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    grid = np.stack(np.meshgrid(np.arange(96), np.arange(96), indexing="ij"), -1)
    for index, name in enumerate(("a_1", "a_2", "b_1")):
        labels = np.zeros((96, 96), np.uint16)
        for label, centre in enumerate(((20, 20), (60, 24), (30, 70), (70, 70)), start=1):
            labels[((grid - centre - index) ** 2).sum(-1) < 80] = label
        image = np.random.default_rng(index).poisson(100 + 300 * (labels > 0)).astype(np.uint16)
        np.savez(folder / f"{name}.npz", image=image, labels=labels)
    return folder


@pytest.mark.slow
def test_a_comparison_gives_a_row_for_each_combination(pairs, tmp_path):
    trial = Trial(data=(str(pairs),), val=("b_*",), ndim=2, steps=1, batch=1)
    rows = compare(trial, ["border/unet"], folder=tmp_path / "kept")
    assert [(row.decoder, row.network, row.steps, row.images, row.note) for row in rows] == [
        ("border", "unet", 1, 1, "")
    ]
    row = rows[0]
    assert min(row.forward, row.decode, row.train_gib, row.run_gib, row.parameters) > 0
    assert 0 <= row.f1_70 <= row.f1_50 <= 1 and row.machine
    assert (tmp_path / "kept" / "border-unet" / "package" / "compared" / "1" / "model.json").is_file()


def test_a_combination_that_fails_has_a_row_that_says_why(monkeypatch):
    def child(module, function, request, reporter):
        if request["decoder"] == "star":
            raise InternalError("The measured process ended.")
        return {"steps": 3} if function == "train" else {"seg": 0.5}

    monkeypatch.setattr(compare_module, "run_child", child)
    lengths = []
    trial = Trial(data=("x",), val=("y",), steps=3)
    rows = compare(trial, ["star/unet", "vote/unet"], seen=lambda rows: lengths.append(len(rows)))
    assert lengths == [1, 2]
    assert rows[0].note == "The measured process ended." and math.isnan(rows[0].seg)
    assert rows[1].note == "" and rows[1].seg == 0.5 and rows[1].steps == 3


def test_a_stop_ends_the_comparison(monkeypatch):
    class Stopped(SilentReporter):
        def check(self):
            raise JobCancelled("stopped")

    with pytest.raises(JobCancelled):
        compare(Trial(data=("x",), val=("y",), steps=3), ["vote/unet"], reporter=Stopped())


@pytest.mark.parametrize("text", ["vote", "vote/perceptron", "guess/unet"])
def test_what_is_no_combination_is_refused(text):
    with pytest.raises(InvalidInput, match="no decoder and network"):
        compare(Trial(data=("x",), val=("y",), steps=1), [text])


def test_a_comparison_without_an_end_or_without_data_is_refused():
    with pytest.raises(InvalidInput, match="no budget"):
        compare(Trial(data=("x",), val=("y",)))
    with pytest.raises(InvalidInput, match="pairs to measure on"):
        bench_models(Trial(data=("x",), val=(), steps=1), None, None, None, json=True, quiet=True)


def test_every_decoder_and_every_network_is_compared():
    decoders, networks = zip(*(text.split("/") for text in DEFAULT_COMBINATIONS), strict=True)
    assert set(decoders) == set(NAMES) and set(networks) == set(ARCHITECTURES)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("network", ARCHITECTURES)
def test_one_patch_fits_the_strides_of_all_networks(network, ndim):
    stride = build(network, arguments_for(network, ndim)).total_stride
    assert all(p % s == 0 for p, s in zip(PATCHES[ndim], stride, strict=True))


def test_the_table_is_written_beside_and_then_renamed(monkeypatch, tmp_path, capsys):
    outcome = Outcome("vote", "unet", steps=3, f1_50=0.5, machine="a machine")

    def compared(*args, seen, **kwargs):
        seen([outcome])
        return [outcome]

    monkeypatch.setattr(compare_module, "compare", compared)
    table = tmp_path / "table.md"
    bench_models(Trial(data=("x",), val=("y",), steps=1), None, None, table, json=True, quiet=True)
    assert table.read_text() == markdown([outcome]) and [p.name for p in tmp_path.iterdir()] == ["table.md"]
    assert len(markdown([outcome]).splitlines()) == 3 and "| vote | unet | 0 | 3 | 0.5 |  |" in table.read_text()
    assert json.loads(capsys.readouterr().out)["rows"][0]["seg"] is None
    assert len(COLUMNS) == table.read_text().splitlines()[0].count("|") - 1


def test_a_child_that_fails_tells_its_last_line():
    with pytest.raises(InternalError, match="cannot import name"):
        run_child("json", "no_such_function", {}, SilentReporter())


def test_a_child_gets_its_request_and_gives_an_object():
    assert run_child("builtins", "str", {"value": [1, 2]}, SilentReporter()) == {"value": [1, 2]}
