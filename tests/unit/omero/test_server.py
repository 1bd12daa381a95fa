"""Settings of OMERO servers, logins on one's own machine, and what is told when the client is missing."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from noyau.commands.logins import Logins
from noyau.config import load_settings, settings_from_json, settings_to_json
from noyau.domain.errors import FailedPrecondition, InvalidInput, NotFound
from noyau.omero.bindings import omero_library
from noyau.omero.server import OmeroServer
from noyau.wiring import access_policy, omero_gateway


def settings_file(folder: Path, text: str) -> Path:
    path = folder / "noyau.toml"
    path.write_text(text)
    return path


def test_servers_come_from_the_settings_and_reach_the_workers(tmp_path: Path) -> None:
    text = '[omero.lab]\nhost = "omero.example.org"\nuser = "noyau"\npassword_file = "/run/secrets/omero"\nrois = 5\n'
    settings = settings_from_json(settings_to_json(load_settings(settings_file(tmp_path, text))))
    gateway = omero_gateway(settings)
    assert gateway is not None
    server = gateway.server("lab")
    assert (server.host, server.port, server.tls, server.user) == ("omero.example.org", 4064, True, "noyau")
    assert server.budget.rois == 5
    assert access_policy(settings).check("omero://lab/image/1") == "omero://lab/image/1"
    with pytest.raises(NotFound, match="known: lab"):
        gateway.server("other")


def test_a_server_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOYAU_OMERO__LAB__HOST", "omero.example.org")
    assert load_settings().omero["lab"].host == "omero.example.org"


@pytest.mark.parametrize(
    "text",
    [
        '[omero.lab]\nhost = "h"\nuser = "noyau"\n',
        '[omero.lab]\nhost = "h"\nuser = "noyau"\npassword_file = "f"\npassword_env = "E"\n',
        '[omero.lab]\nhost = "h"\nuser = "n"\npassword_env = "E"\nsession_file = "f"\n',
        '[omero.lab]\nhost = "h"\npassword = "secret"\n',
        "[omero.lab]\nport = 4064\n",
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"omero\.lab"):
        load_settings(settings_file(tmp_path, text))


def test_without_servers_there_is_no_gateway(tmp_path: Path) -> None:
    assert omero_gateway(load_settings(settings_file(tmp_path, ""))) is None


def test_a_password_is_read_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    server = OmeroServer("lab", "h", user="noyau", password_file=path)
    with pytest.raises(FailedPrecondition, match="password"):
        server.password()
    path.write_text("secret\n")
    assert server.password() == "secret"
    assert "secret" not in repr(server)
    monkeypatch.setenv("LAB_PASSWORD", "other")
    assert OmeroServer("lab", "h", user="noyau", password_env="LAB_PASSWORD").password() == "other"


def test_logins_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "omero")
    logins.keep(OmeroServer("lab", "omero.example.org", ca=Path("/ca.pem")), "the-key")
    found = logins.server("lab")
    assert (found.host, found.ca, found.own_key()) == ("omero.example.org", Path("/ca.pem"), "the-key")
    assert [server.alias for server in logins.servers()] == ["lab"]
    assert logins.settings()["lab"].session_file == logins.key_file("lab")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in logins.folder.iterdir()}
    assert modes == {0o600}
    logins.forget("lab")
    logins.forget("lab")
    with pytest.raises(NotFound, match="noyau omero login"):
        logins.server("lab")
    with pytest.raises(InvalidInput):
        logins.keep(OmeroServer("../lab", "h"), "k")


def test_a_missing_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "omero", None)
    with pytest.raises(FailedPrecondition, match=r"noyau\[omero\]"):
        omero_library()
