"""`noyau models` without a service: the user's own models in a folder, with nothing to start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from noyau.cli import build_app
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry
from typer.testing import CliRunner


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("NOYAU_MODELS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NOYAU_SERVER", raising=False)

    def invoke(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(build_app(), ["models", *arguments])
        return result.exit_code, result.stdout, result.stderr

    return invoke


@pytest.fixture
def registered(tmp_path: Path, make_model_folder: Callable[..., Path]) -> None:
    """Versions 1 and 2 of the model `m` are there."""
    registry = ModelRegistry(home=ModelHome(str(tmp_path / "home"), tmp_path / "cache"), test=lambda folder: None)
    for _ in range(2):
        registry.register(make_model_folder("m"), by="ada")


def test_promote_roll_back_and_look(run: Callable[..., Any], registered: None) -> None:
    assert run("promote", "m@latest")[1].startswith("m@production is m@2 sha256:")
    assert run("alias", "m@1", "best")[1].startswith("m@best is m@1 sha256:")
    assert run("rollback", "m", "--by", "bob")[1].startswith("m@production is m@1 sha256:")
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert "best, production" in out and "nuclei-3d@1" in out and "ada" in out
    assert "m@2" in run("show", "m@latest")[1]
    out = run("history", "m")[1]
    assert "rollback" in out and "bob" in out
    assert run("alias", "m", "best", "--remove")[1] == "m@best is gone\n"
    assert run("remove", "m@2")[1] == "m@2 is gone\n"


def test_json_has_what_the_table_has(run: Callable[..., Any], registered: None) -> None:
    models = {(m["name"], m["version"]): m for m in json.loads(run("list", "--json")[1])["models"]}
    assert models["m", "2"]["aliases"] == ["latest"]
    assert models["m", "2"]["by"] == "ada" and models["m", "2"]["registered"]
    assert models["nuclei-3d", "1"]["origin"] == "shipped"
    assert json.loads(run("promote", "m@1", "--json")[1])["alias"] == "production"
    assert [e["action"] for e in json.loads(run("history", "m", "--json")[1])["events"]] == ["registered"] * 2 + [
        "alias"
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("promote", "m"), 3, "m@latest"),
        (("promote", "m@9"), 4, "m@1, m@2"),
        (("promote", "m@1", "--alias", "latest"), 3, "newest"),
        (("promote", "x@1"), 4, "Known models"),
        (("rollback", "m"), 4, "production"),
        (("remove", "m"), 11, "m@2"),
        (("remove", "nuclei-3d@1"), 11, "not registered"),
        (("show", "m@none"), 4, "aliases: latest (version 2)"),
        (("history", "../m"), 4, "../m"),
        (("register", "none"), 4, "none"),
        (("import", "none.zip"), 4, "no archive"),
        (("export", "m", "/nowhere/at/all.zip"), 4, "no folder"),
        (("alias", "m@1", "Best"), 3, "lower-case"),
    ],
)
def test_mistakes_are_told_in_one_line(
    run: Callable[..., Any], registered: None, arguments: tuple[str, ...], code: int, word: str
) -> None:
    found, _, err = run(*arguments)
    assert found == code, err
    assert word in err
    assert len(err.splitlines()) == 1


def test_a_damaged_index_is_a_warning_beside_the_list(
    run: Callable[..., Any], registered: None, tmp_path: Path
) -> None:
    (tmp_path / "home" / "m" / "index.json").write_text("{")
    code, out, err = run("list")
    assert code == 0 and "nuclei-3d@1" in out
    assert err.startswith("warning: m: ") and "index.json" in err
    assert run("show", "m")[0] == 12
    code, out, _ = run("repair", "m")
    assert code == 0 and "versions 1, 2 again" in out
    assert run("show", "m")[0] == 0
    assert run("repair", "m")[0] == 11
