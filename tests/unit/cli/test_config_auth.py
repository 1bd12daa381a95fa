"""Settings about callers: read, refused where they cannot work, and turned into what protects the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from noyau.commands.connecting import private_settings
from noyau.config import Settings, load_settings, settings_from_json, settings_to_json
from noyau.domain.errors import InvalidInput
from noyau.jobs.settings import GroupLimits
from noyau.operations.starting import check_start
from noyau.wiring_auth import binding_of, job_limits, token_verifier

EXAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "auth.example.toml"


def toml(folder: Path, text: str) -> Settings:
    path = folder / "noyau.toml"
    path.write_text(text)
    return load_settings(path)


def test_by_default_nobody_is_asked() -> None:
    settings = load_settings()
    assert not settings.asks_callers
    assert token_verifier(settings.auth.tokens) is None
    assert job_limits(settings).of("any") == GroupLimits()


def test_the_example_says_what_it_means() -> None:
    settings = load_settings(EXAMPLE)
    assert settings.asks_callers and binding_of(settings).asks_callers
    assert settings.auth.tokens.roles == "realm_access.roles"
    assert settings.auth.managers["role:noyau-manager"] == ("*",)
    assert job_limits(settings).of("imaging") == GroupLimits(8, 1000)
    assert job_limits(settings).of("another") == GroupLimits(4, 200)
    assert token_verifier(settings.auth.tokens) is not None
    assert settings_from_json(settings_to_json(settings)) == settings


def test_the_environment_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOYAU_AUTH__TOKENS__ISSUER", "https://login.example.org")
    monkeypatch.setenv("NOYAU_AUTH__TOKENS__AUDIENCE", '["noyau"]')
    monkeypatch.setenv("NOYAU_AUTH__TOKENS__KEYS", "https://login.example.org/keys")
    monkeypatch.setenv("NOYAU_AUTH__OPERATORS", '["token:root"]')
    monkeypatch.setenv("NOYAU_AUTH__GROUPS", json.dumps({"certificate:scope": ["imaging"]}))
    monkeypatch.setenv("NOYAU_JOBS__GROUPS", json.dumps({"imaging": {"running": 2}}))
    settings = load_settings()
    assert settings.asks_callers
    assert settings.auth.operators == ("token:root",)
    assert settings.auth.groups == {"certificate:scope": ("imaging",)}
    assert job_limits(settings).of("imaging") == GroupLimits(2, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[auth.tokens]\nissuer = "https://a.example"', "all three"),
        ('[auth.tokens]\nissuer = "i"\naudience = ["a"]\nkeys = "http://login.example.org/k"', "without TLS"),
        ('[auth.tokens]\nissuer = "i"\naudience = ["a"]\nkeys = "https://u:hunter2@login.example.org/k"', "password"),
        ('[auth.tokens]\nalgorithms = ["HS256"]', "algorithms"),
        ('[auth.tokens]\nalgorithms = ["none"]', "algorithms"),
        ("[auth.tokens]\nalgorithms = []", "algorithms"),
        ('[auth]\noperators = ["ada"]', "should begin with token:"),
        ('[auth]\noperators = ["omero:ada"]', "should begin with token:"),
        ('[auth.managers]\nada = ["*"]', "should begin with token:"),
        ('[auth]\noperator = ["token:ada"]', "auth.operators"),
        ("[jobs.groups.a]\nrunning = 0", "too small"),
        ("[limits]\ncalls_per_minute = 0", "too small"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        toml(tmp_path, text)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_cannot_work_here_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no way to prove"):
        check_start(toml(tmp_path, "[auth]\nrequired = true"))
    with pytest.raises(InvalidInput, match="no folder"):
        check_start(toml(tmp_path, f'[auth]\naudit_file = "{tmp_path}/none/audit.jsonl"'))
    tokens = f'[auth.tokens]\nissuer = "i"\naudience = ["a"]\nkeys = "{tmp_path}/keys.json"'
    with pytest.raises(InvalidInput, match=r"keys\.json cannot be read"):
        check_start(toml(tmp_path, tokens))
    (tmp_path / "keys.json").write_text("{}")
    check_start(toml(tmp_path, tokens))


def test_beyond_this_machine_tls_and_proofs_are_needed_or_a_word(tmp_path: Path) -> None:
    for name in ("server.pem", "server.key", "ca.pem", "keys.json"):
        (tmp_path / name).write_text("")
    tls = f'tls_certificate = "{tmp_path}/server.pem"\ntls_key = "{tmp_path}/server.key"'
    listen = '[listen]\naddress = "0.0.0.0:1"\n'
    tokens = f'[auth.tokens]\nissuer = "i"\naudience = ["a"]\nkeys = "{tmp_path}/keys.json"\n'
    for text, told in (
        (listen, "nothing would protect it"),
        (listen + tokens, "nothing would protect it"),
        (listen + tls, "anyone there could run jobs"),
    ):
        with pytest.raises(InvalidInput, match=told):
            check_start(toml(tmp_path, text))
    for text in (
        listen + tls + "\n" + tokens,
        listen + tls + f'\ntls_client_ca = "{tmp_path}/ca.pem"',
        listen + "insecure = true",
    ):
        check_start(toml(tmp_path, text))


def test_a_private_service_asks_nobody_whatever_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOYAU_AUTH__REQUIRED", "true")
    monkeypatch.setenv("NOYAU_LISTEN__TLS_CLIENT_CA", str(tmp_path / "ca.pem"))
    assert not private_settings(tmp_path, 1).asks_callers
