"""A service that asks everybody who calls, and whose only proof is a session of OMERO."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from noyau.client import Client
from noyau.domain.errors import NotFound, PermissionRefused, Unauthenticated
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec
from omero_kit import ALIAS, PASSWORD_ENV, server_of
from omero_place import Place
from omero_seed import Seed

SERVE = [sys.executable, "-c", "from noyau.cli import main; main()", "serve"]


@dataclass(frozen=True)
class Closed:
    """Where it listens, and its folder."""

    address: str
    folder: Path

    def of(self, key: str) -> Client:
        return Client(self.address, timeout=60, omero=(ALIAS, key))


@pytest.fixture(scope="module")
def closed(omero_place: Place, seed: Seed) -> Iterator[Closed]:
    """No job is run there; bob is its operator."""
    # Short enough for the name of a socket.
    folder = Path(tempfile.mkdtemp(prefix="noyau-test-"))
    server = server_of(omero_place, seed)
    (folder / "noyau.toml").write_text(
        f'[omero.{ALIAS}]\nhost = "{server.host}"\nport = {server.port}\ntls = {str(server.tls).lower()}\n'
        f'user = "{server.user}"\npassword_env = "{PASSWORD_ENV}"\n'
        f'[auth]\nrequired = true\noperators = ["omero:{ALIAS}:{seed.users["bob"]}"]\n'
        f'audit_file = "{folder}/audit.jsonl"\n[jobs]\nworkers = 0\n'
    )
    address = f"unix:{folder / 's.sock'}"
    arguments = ["--config", str(folder / "noyau.toml"), "--address", address, "--state-dir", str(folder / "state")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*SERVE, *arguments, "--root", str(folder)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, PASSWORD_ENV: seed.password},
        )
    assert process.stdout is not None
    assert "listens" in process.stdout.readline(), (folder / "log").read_text()[-3000:]
    yield Closed(address, folder)
    process.terminate()
    process.wait(60)
    process.stdout.close()
    shutil.rmtree(folder)


def test_a_session_of_omero_opens_the_door_and_shows_own_jobs_only(
    closed: Closed, seed: Seed, login: Callable[..., Any]
) -> None:
    spec = SegmentSpec((ImageRef(f"omero://{ALIAS}/image/{seed.images['lab'].id}"),), device="cpu")
    with Client(closed.address) as nobody, pytest.raises(Unauthenticated, match="has to know who calls"):
        nobody.list()
    with closed.of("not-a-key-of-anyone") as nobody, pytest.raises(Unauthenticated, match="session key"):
        nobody.list()
    keys = {user: login(user).getSessionId() for user in ("bob", "carol")}
    keys["alice"] = login("alice", "lab").getSessionId()
    with closed.of(keys["alice"]) as alice, closed.of(keys["bob"]) as operator:
        job = alice.submit(spec, owner="somebody else")
        assert (job.owner, job.group) == (f"omero:{ALIAS}:{seed.users['alice']}", seed.groups["lab"])
        assert [found.id for found in alice.list().jobs] == [job.id]
        assert operator.get(job.id).id == job.id
        with pytest.raises(PermissionRefused):
            alice.registry.remove("nuclei-3d@1")
        with closed.of(keys["carol"]) as other:
            assert other.list().jobs == ()
            with pytest.raises(NotFound):
                other.get(job.id)
        assert operator.cancel(job.id).state is JobState.CANCELLED
    lines = [json.loads(line) for line in (closed.folder / "audit.jsonl").read_text().splitlines()]
    done = [(line["call"], line["who"], line["role"]) for line in lines if line["status"] == "OK"]
    assert done == [
        ("JobService/Submit", [f"omero:{ALIAS}:{seed.users['alice']}"], "user"),
        ("JobService/Cancel", [f"omero:{ALIAS}:{seed.users['bob']}"], "operator"),
    ]
    written = (closed.folder / "audit.jsonl").read_text() + (closed.folder / "log").read_text()
    assert not any(key in written for key in keys.values())
