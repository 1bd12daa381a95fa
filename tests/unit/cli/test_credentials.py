"""Every command that talks to a service can prove who calls, in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from noyau.cli import build_app
from noyau.client import TokenFile
from noyau.commands.connecting import connected
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.domain.errors import InvalidInput
from typer.testing import CliRunner

OPTIONS = {"--tls-ca", "--tls-certificate", "--tls-key", "--token-file", "--omero"}


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def options_of(command: Any) -> set[str]:
    return {word for parameter in command.params for word in parameter.opts}


def test_every_command_with_a_server_takes_all_proofs() -> None:
    talking = {
        name: options_of(command)
        for name, command in commands(typer.main.get_command(build_app()))
        if "--server" in options_of(command)
    }
    assert {"segment", "measure", "train", "jobs list", "jobs cancel", "models promote", "doctor"} <= set(talking)
    lacking = {name: OPTIONS - found for name, found in talking.items() if not found >= OPTIONS}
    # The probe of a container asks only whether the service lives.
    assert set(lacking) <= {"health"}


def test_the_token_comes_from_the_file_else_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOYAU_TOKEN", raising=False)
    assert Credentials().token() is None
    monkeypatch.setenv("NOYAU_TOKEN", " a.b.c\n")
    assert Credentials().token() == "a.b.c"
    file = Credentials(token_file=tmp_path / "token").token()
    assert file == TokenFile(tmp_path / "token")


def test_no_option_holds_a_token_itself() -> None:
    for name, command in commands(typer.main.get_command(build_app())):
        assert "--token" not in options_of(command), f"{name}: other users of a machine can read command lines"


def test_options_fill_one_parameter_and_can_be_passed_on() -> None:
    seen: list[Credentials] = []

    @with_credentials
    def command(name: str, credentials: Credentials = NOBODY) -> None:
        seen.append(credentials)

    command("a", token_file=Path("t"), omero="lab")
    command("a", Credentials(tls_ca=Path("ca")))
    command("a")
    assert seen == [Credentials(token_file=Path("t"), omero="lab"), Credentials(tls_ca=Path("ca")), NOBODY]


def test_a_private_service_needs_no_proof_and_a_login_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOYAU_STATE_DIR", str(tmp_path))
    with pytest.raises(InvalidInput, match="go with --server"), connected(None, True, Credentials(omero="lab")):
        pass
    done = CliRunner().invoke(build_app(), ["jobs", "list", "--server", "127.0.0.1:1", "--omero", "lab"])
    assert done.exit_code == 4 and "lab" in done.stderr
    done = CliRunner().invoke(
        build_app(), ["jobs", "list", "--server", "example.org:1", "--token-file", str(tmp_path / "t")]
    )
    assert done.exit_code == 3 and "travel openly" in done.stderr
