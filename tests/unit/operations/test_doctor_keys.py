"""`noyau doctor` on the keys by which tokens are checked."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from noyau.config import Settings
from noyau.config_auth import AuthSettings, TokenSettings
from noyau.operations.findings import Finding, Status
from noyau.operations.remote import token_keys

KEYS = json.dumps({"keys": [{"kty": "EC", "kid": "a", "crv": "P-256", "x": "x", "y": "y"}]}).encode()


def finding(keys: str) -> Finding:
    tokens = TokenSettings(issuer="i", audience=("a",), keys=keys)
    (found,) = token_keys(Settings(auth=AuthSettings(tokens=tokens)))
    return found


@pytest.fixture
def site() -> Iterator[str]:
    """An issuer: good keys, a page that is none, a detour, and too much of everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/detour" else 200)
            if self.path == "/detour":
                self.send_header("Location", "/keys")
            self.end_headers()
            self.wfile.write({"/keys": KEYS, "/much": b" " * (2**20 + 1) + KEYS}.get(self.path, b"<html>"))

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_without_an_issuer_there_is_nothing_to_say() -> None:
    assert list(token_keys(Settings())) == []


def test_keys_that_can_be_read_are_counted(site: str, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(KEYS)
    for place in (f"{site}/keys", str(tmp_path / "keys.json")):
        found = finding(place)
        assert (found.status, found.found) == (Status.OK, f"1 at {place}")


@pytest.mark.parametrize("path", ["/page", "/detour", "/much"])
def test_what_cannot_be_used_fails_with_a_remedy(site: str, path: str) -> None:
    found = finding(site + path)
    assert found.status is Status.FAILED and "auth.tokens.keys" in found.remedy


def test_nobody_there_fails(tmp_path: Path) -> None:
    assert finding(str(tmp_path / "none.json")).status is Status.FAILED
    assert finding("http://127.0.0.1:9/keys").status is Status.FAILED
