"""`noyau train`: which options make which request, and which do not go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.cli import build_app
from noyau.commands import train as command
from noyau.commands.train_options import parse_settings
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.domain.training_jobs import TrainSpec
from noyau.training.checkpoint import read_checkpoint
from typer.testing import CliRunner

NETWORK = {
    "ndim": 2,
    "offset_scale": 4.0,
    "levels": [
        {"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
        {"channels": 6, "stride": [2, 2], "down": [[3, 3]]},
    ],
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainSpec, Any]]:
    """The jobs that commands submit, instead of a service."""
    jobs: list[tuple[TrainSpec, Any]] = []
    monkeypatch.setattr(command, "run_job", lambda spec, run: jobs.append((spec, run)))
    return jobs


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build_app(), ["train", *arguments])


def test_without_a_folder_a_job_is_submitted(sent: list[tuple[TrainSpec, Any]], tmp_path: Path) -> None:
    done = run(
        "--name", "mine", "--data", str(tmp_path), "--parent", "nuclei-3d", "--settle", "0.5", "--fragment", "40",
        "--set", "augment.noise=0.3", "--set", 'normalisation={"low": 5}', "--set", "decoder=border", "--patch",
        "16,32,32", "--steps", "9", "--alias", "production", "--voxel-size", "2,1,1", "--val", "a_*", "--server", "h:1",
        "--on-bad-pair", "skip", "--detach",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    spec, how = sent[0]
    assert (spec.name, spec.data, spec.parent, spec.mode) == ("mine", (str(tmp_path),), "nuclei-3d", "finetune")
    assert spec.overrides == {
        "settle": 0.5, "fragment": 40, "patch": [16, 32, 32], "augment.noise": 0.3, "normalisation": {"low": 5},
        "decoder": "border",
    }  # fmt: skip
    assert (spec.steps, spec.alias, spec.voxel_size) == (9, "production", VoxelSize(2.0, 1.0, 1.0))
    assert (spec.val, spec.on_bad_pair, spec.device) == (("a_*",), "skip", "auto")
    assert how.server == "h:1" and how.detach


def test_data_is_named_as_the_service_sees_it(
    sent: list[tuple[TrainSpec, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--name", "a", "--data", "pairs/*.npz", "--data", "s3://bucket/x.zarr", "--local").exit_code == 0
    spec, how = sent[0]
    assert spec.data == (f"{tmp_path}/pairs/*.npz", "s3://bucket/x.zarr") and how.local
    assert (spec.mode, spec.overrides, spec.steps, spec.ndim) == ("scratch", {}, None, None)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--data", "x"], "no name"),
        (["--name", "a"], "no data"),
        (["--name", "a", "--data", "x", "--resume"], "into a folder"),
        (["--name", "a", "--data", "x", "--synthetic", "y"], "into a folder"),
        (["--name", "a", "--data", "x", "--mode", "magic"], "no mode"),
        (["--name", "a", "--data", "x", "--on-bad-pair", "eat"], "bad pairs"),
        (["--name", "a", "--data", "x", "--set", "batch"], "no setting"),
        (["--name", "a", "--data", "x", "--set", "=3"], "no setting"),
        (["--name", "a", "--data", "x", "--local", "--detach"], "exclude each other"),
        (["out", "--name", "a", "--data", "x", "--processes", "2"], "for jobs"),
        (["out", "--name", "a", "--data", "x", "--alias", "b"], "for jobs"),
        (["out", "--name", "a", "--data", "x", "--steps", "1", "--set", "colour=3"], "colour"),
        (["out", "--name", "a", "--data", "x", "--steps", "1", "--parent", "nobody"], "nobody"),
        (["out", "--name", "a", "--data", "x"], "no end"),
    ],
)
def test_what_does_not_go_together_is_told(
    sent: list[tuple[TrainSpec, Any]], arguments: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code in (3, 4) and word in done.output.replace("\n", " ") and not sent


def test_a_folder_trains_in_this_process_and_a_package_can_be_the_parent(
    sent: list[tuple[TrainSpec, Any]], tmp_path: Path
) -> None:
    labels = np.zeros((40, 40), np.uint16)
    labels[8:20, 8:20], labels[24:34, 22:36] = 1, 2
    image = np.random.default_rng(0).poisson(50 + 100 * (labels > 0)).astype(np.uint8)
    (tmp_path / "pairs").mkdir()
    np.savez(tmp_path / "pairs" / "a.npz", image=image, labels=labels)
    common = ["--data", str(tmp_path / "pairs"), "--batch", "1", "--threads", "1", "--patch", "32,32", "--quiet"]
    first = ["--name", "one", "--ndim", "2", "--steps", "2", "--set", f"arguments={json.dumps(NETWORK)}", *common]
    done = run(str(tmp_path / "out"), *first, "--json")
    assert done.exit_code == 0, done.output
    package = Path(json.loads(done.output)["package"]) / "one" / "1"
    child = run(
        str(tmp_path / "child"), "--name", "two", "--steps", "1", "--lr", "0", "--parent", str(package), *common
    )
    assert child.exit_code == 0 and not sent, child.output
    record = read_checkpoint(tmp_path / "child")["record"]
    assert record["ndim"] == 2 and record["arguments"]["levels"] == NETWORK["levels"]
    info = json.loads((tmp_path / "child" / "package" / "two" / "1" / "model.json").read_text())
    assert info["parent"] == "one@1"


def test_values_are_json_where_they_can_be() -> None:
    found = parse_settings(["a=1", "b=0.5", "c=true", 'd={"x": [1, 2]}', "e=text", "f=a=b", "g=null"])
    assert found == {"a": 1, "b": 0.5, "c": True, "d": {"x": [1, 2]}, "e": "text", "f": "a=b", "g": None}
    with pytest.raises(InvalidInput):
        parse_settings(["nothing"])
