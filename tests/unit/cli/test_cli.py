"""The command line without a service: help, exit codes, JSON, files in and out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from noyau.cli import build_app
from noyau.commands.exits import EXIT_CODES, told
from noyau.commands.showing import plain
from noyau.domain.errors import ErrorKind, error_from_kind
from typer.testing import CliRunner

COMMANDS = (
    "serve",
    "segment",
    "measure",
    "convert",
    "synth",
    "jobs",
    "models",
    "evaluate",
    "train",
    "dataset",
    "bench",
)
HEAVY = ("torch", "monai", "scipy", "skimage", "tensorstore", "zarr", "sqlalchemy", "grpc", "pandas", "pydantic")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build_app(), list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in COMMANDS:
        assert command in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    assert run(command, "--help")[0] == 0


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from noyau.cli import build_app; build_app(); print([m for m in sys.argv[1:] if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_exit_codes_cover_all_errors_and_leave_the_usual_ones_alone() -> None:
    assert set(EXIT_CODES) == set(ErrorKind)
    assert min(EXIT_CODES.values()) > 2


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_an_error_becomes_words_json_and_its_code(kind: ErrorKind, capsys: pytest.CaptureFixture[str]) -> None:
    from typer import Exit

    with pytest.raises(Exit) as caught, told(json_wanted=True):
        raise error_from_kind(kind, "The cell is gone.", "Look again.")
    assert caught.value.exit_code == EXIT_CODES[kind]
    out, err = capsys.readouterr()
    assert err == "noyau: The cell is gone. Look again.\n"
    words = json.loads(out)["error"]
    assert words == {
        "kind": kind.value,
        "cause": "The cell is gone.",
        "remedy": "Look again.",
        "exit_code": EXIT_CODES[kind],
    }


def test_ctrl_c_is_cancelled() -> None:
    from typer import Exit

    with pytest.raises(Exit) as caught, told():
        raise KeyboardInterrupt
    assert caught.value.exit_code == 9


def test_json_knows_no_nan() -> None:
    assert plain({"a": float("nan"), "b": (1, Path("x"))}) == {"a": None, "b": [1, "x"]}


def test_a_mistake_on_the_command_line_is_usage() -> None:
    assert run("segment")[0] == 2
    assert run("segment", "a", "--nonsense")[0] == 2


def test_bad_values_are_bad_input(tmp_path: Path) -> None:
    code, _, err = run("segment", str(tmp_path), "--tile", "big", "--local")
    assert code == 3
    assert "tile" in err
    assert run("segment", str(tmp_path), "--detach", "--local")[0] == 3


def test_no_service_says_both_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOYAU_SERVER", raising=False)
    monkeypatch.setattr("noyau.config.DEFAULT_ADDRESS", f"unix:{tmp_path / 'nobody.sock'}")
    code, out, err = run("segment", str(tmp_path), "--json")
    assert code == 7
    assert "--local" in err
    assert "--server" in err
    assert json.loads(out)["error"]["kind"] == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("shape", "text"), [((6, 20, 30), "1.75,0.8,0.8"), ((20, 30), "0.5,0.5"), ((20, 30), "1,0.5,0.5")]
)
def test_convert_makes_an_image_from_npz(tmp_path: Path, shape: tuple[int, ...], text: str) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    np.savez(tmp_path / "a.npz", image=pixels)
    target = tmp_path / "a.ome.zarr"
    code, out, err = run("convert", str(tmp_path / "a.npz"), str(target), "--voxel-size", text)
    assert code == 0, err
    assert str(target) in out
    assert run("convert", str(tmp_path / "a.npz"), str(target), "--voxel-size", text)[0] == 5
    code, out, _ = run("convert", str(tmp_path / "a.npz"), str(target), "--voxel-size", text, "--overwrite", "--json")
    assert code == 0
    assert json.loads(out)["dtype"] == "uint16"


def test_convert_tells_what_is_missing(tmp_path: Path) -> None:
    code, _, err = run("convert", str(tmp_path / "none.npz"), str(tmp_path / "a.ome.zarr"))
    assert code == 4
    assert "none.npz" in err


def test_synth_makes_images_with_truth(tmp_path: Path) -> None:
    code, out, err = run("synth", str(tmp_path / "a.npz"), "--shape", "64,64", "--seed", "3", "--quiet", "--json")
    assert code == 0, err
    assert json.loads(out)["images"][0]["seed"] == 3
    with np.load(tmp_path / "a.npz") as pair:
        assert pair["image"].shape == pair["labels"].shape == (64, 64)


def test_settings_are_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOYAU_JOBS__DATABASE", "postgresql://user:secret@host/db")
    code, out, _ = run("serve", "--show-settings", "--state-dir", str(tmp_path), "--workers", "3")
    assert code == 0
    assert "NOYAU_JOBS__WORKERS=3" in out
    assert f"NOYAU_STATE_DIR={tmp_path}" in out
    assert "secret" not in out


def test_serving_the_world_without_protection_is_refused(tmp_path: Path) -> None:
    code, _, err = run("serve", "--address", "0.0.0.0:0", "--state-dir", str(tmp_path))
    assert code == 3
    assert "--insecure" in err
