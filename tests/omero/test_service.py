"""The whole way: a service with an account on the server, a user who proves who they are, the command line."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.client import Client
from noyau.domain.errors import FailedPrecondition, InvalidInput, NotFound, PermissionRefused, Unauthenticated
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec
from noyau.training.synthetic import generate, recipe_named
from omero.rtypes import rstring
from omero_kit import ALIAS, PASSWORD_ENV, new_image, results_on, rows, server_of
from omero_place import Place
from omero_seed import Seed

NOYAU = [sys.executable, "-c", "from noyau.cli import main; main()"]
NOTHING = {"rois": 0, "annotations": 0, "label_images": 0}
Login = Callable[..., Any]


class Running:
    """`noyau serve` with the OMERO server of the tests in its settings."""

    def __init__(self, folder: Path, place: Place, seed: Seed) -> None:
        server = server_of(place, seed)
        self.address = f"unix:{folder / 's.sock'}"
        self.folder = folder
        config = folder / "noyau.toml"
        config.write_text(
            f'[omero.{ALIAS}]\nhost = "{server.host}"\nport = {server.port}\ntls = {str(server.tls).lower()}\n'
            f'user = "{server.user}"\npassword_env = "{PASSWORD_ENV}"\n'
        )
        arguments = ["serve", "--config", str(config), "--address", self.address, "--state-dir", str(folder / "state")]
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "NOYAU_JOBS__THREADS": "2"}
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*NOYAU, *arguments, "--root", str(folder)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**self.environment, PASSWORD_ENV: seed.password},
        )
        if self.process.stdout is None or "listens" not in self.process.stdout.readline():
            raise RuntimeError((folder / "log").read_text()[-3000:])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()

    def everything_written(self) -> bytes:
        """Log and database of the service."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and not path.is_socket()]
        return b"".join(path.read_bytes() for path in files)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short enough for the name of a socket."""
    made = Path(tempfile.mkdtemp(prefix="noyau-test-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def service(omero_place: Place, seed: Seed, folder: Path) -> Iterator[Running]:
    running = Running(folder, omero_place, seed)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A plane with nuclei as the shipped model knows them."""
    volume = generate((1, 128, 128), VoxelSize(1.0, 0.5, 0.5), 3, recipe_named("culture_2d"))
    return np.asarray(volume.image)


def spec(image: int, **changes: Any) -> SegmentSpec:
    return SegmentSpec((ImageRef(f"omero://{ALIAS}/image/{image}"),), device="cpu", **changes)


def plane(login: Login, pixels: np.ndarray, user: str = "alice", group: str = "lab") -> int:
    return new_image(login, user, group, pixels[np.newaxis, np.newaxis], pixel_size=(1.0, 0.5, 0.5))


def test_a_job_of_a_user_goes_on_when_the_user_logs_out(
    service: Running, login: Login, seed: Seed, pixels: np.ndarray
) -> None:
    image = plane(login, pixels)
    visitor = login("alice", "lab")
    key = visitor.getSessionId()
    with Client(service.address, omero=(ALIAS, key)) as client:
        job = client.submit(spec(image))
        visitor.killSession()
        done = client.wait(job.id)
    assert done.state is JobState.SUCCEEDED, done.error
    assert (done.owner, done.group) == (f"omero:{ALIAS}:{seed.users['alice']}", seed.groups["lab"])
    assert done.result is not None and done.result.nuclei > 0
    found = results_on(login("alice", "lab"), image)
    assert found == {"rois": done.result.nuclei, "annotations": 4, "label_images": 0}
    written = service.everything_written()
    assert key.encode() not in written
    assert seed.password.encode() not in written


def test_who_proves_nothing_is_refused_at_once(service: Running, seed: Seed, login: Login) -> None:
    image = seed.images["lab"].id
    with Client(service.address) as client:
        with pytest.raises(Unauthenticated, match="nobody proved"):
            client.submit(spec(image))
        with pytest.raises(Unauthenticated, match="nothing proves"):
            client.submit(spec(image), owner=f"omero:{ALIAS}:{seed.users['alice']}")
        with pytest.raises(PermissionRefused, match="elsewhere"):
            client.submit(SegmentSpec((ImageRef("omero://elsewhere/image/1"),)))
    with (
        Client(service.address, omero=(ALIAS, "not-a-key-of-anyone")) as client,
        pytest.raises(Unauthenticated, match="does not know the session key"),
    ):
        client.submit(spec(image))
    with (
        Client(service.address, omero=("elsewhere", login("alice").getSessionId())) as client,
        pytest.raises(NotFound, match="elsewhere"),
    ):
        client.submit(spec(image))


def test_a_session_that_has_ended_is_refused_at_once(service: Running, seed: Seed, login: Login) -> None:
    visitor = login("alice", "lab")
    key = visitor.getSessionId()
    visitor.killSession()
    with (
        Client(service.address, omero=(ALIAS, key)) as client,
        pytest.raises(Unauthenticated, match=r"(?s)does not know the session key.*Log in to OMERO again"),
    ):
        client.submit(spec(seed.images["lab"].id))


def test_a_user_gets_only_what_that_user_may_see(service: Running, seed: Seed, login: Login) -> None:
    with Client(service.address, omero=(ALIAS, login("alice").getSessionId())) as client:
        done = client.wait(client.submit(spec(seed.images["private"].id)).id)
    assert done.state is JobState.FAILED
    assert done.error is not None and done.error.kind == "NOT_FOUND"


def test_a_key_is_not_sent_openly() -> None:
    with pytest.raises(InvalidInput, match="travel openly"):
        Client("service.example.org:50051", omero=(ALIAS, "a-key"))
    Client("127.0.0.1:50051", omero=(ALIAS, "a-key")).close()


def test_the_command_line_logs_in_segments_cleans_and_logs_out(
    omero_place: Place, seed: Seed, login: Login, pixels: np.ndarray, tmp_path: Path
) -> None:
    image = plane(login, pixels)
    target = f"omero://{ALIAS}/image/{image}"
    state = {"NOYAU_STATE_DIR": str(tmp_path / "state")}
    server = server_of(omero_place, seed)
    place = ["--host", server.host, "--port", str(server.port), *([] if server.tls else ["--no-tls"])]

    enter = ["omero", "login", ALIAS, *place, "--user", seed.users["alice"]]
    refused = noyau(*enter, said="wrong\n", settings=state)
    assert refused.returncode == 6
    assert "wrong" not in refused.stderr.replace("wrong user", "")
    assert noyau("segment", target, settings=state).returncode == 4
    entered = noyau(
        "omero", "login", ALIAS, *place, "--user", seed.users["alice"], said=seed.password + "\n", settings=state
    )
    assert entered.returncode == 0, entered.stderr
    files = sorted((tmp_path / "state" / "omero").iterdir())
    assert [path.name for path in files] == [f"{ALIAS}.json", f"{ALIAS}.key"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert not any(seed.password in path.read_text() for path in files)

    done = noyau("segment", target, "--local", "--device", "cpu", "--quiet", settings=state)
    assert done.returncode == 0, done.stderr
    client = login("alice", "lab")
    assert results_on(client, image)["annotations"] == 4
    measured = noyau("measure", target, "--local", "--quiet", settings=state)
    assert measured.returncode == 0, measured.stderr
    assert results_on(client, image)["annotations"] == 8

    listed = noyau("omero", "clean", target, said="n\n", settings=state)
    assert "complete" in listed.stdout
    assert results_on(client, image)["annotations"] == 8
    _rename_a_roi(client, image)
    cleaned = noyau("omero", "clean", target, "--yes", settings=state)
    assert cleaned.returncode == 0, cleaned.stderr
    assert "1 ROIs that were changed by hand are kept" in cleaned.stdout
    assert results_on(client, image) == {**NOTHING, "rois": 1}
    cleaned = noyau("omero", "clean", target, "--yes", "--edited", settings=state)
    assert cleaned.returncode == 0, cleaned.stderr
    assert results_on(client, image) == NOTHING

    key = files[1].read_text()
    assert noyau("omero", "logout", ALIAS, settings=state).returncode == 0
    assert not list((tmp_path / "state" / "omero").iterdir())
    assert rows(client, "select s.id from Session s where s.uuid = :key and s.closed is null", key=key) == []


def test_without_a_server_in_the_settings_a_job_is_refused(tmp_path: Path) -> None:
    from noyau.domain.access import AccessPolicy
    from noyau.omero.desk import OmeroDesk
    from noyau.omero.gateway import Gateway
    from noyau.omero.server import OmeroServer

    with pytest.raises(PermissionRefused, match="known: none"):
        AccessPolicy.everything().check("omero://lab/image/1")
    desk = OmeroDesk(Gateway([OmeroServer("lab", "localhost")]))
    with pytest.raises(FailedPrecondition, match="no account"):
        desk.check("alice", False, ["omero://lab/image/1"])


def _rename_a_roi(client: Any, image: int) -> None:
    """A correction by hand."""
    number = rows(client, "select r.id from Roi r where r.image.id = :id order by r.id", id=image)[0][0]
    roi = client.sf.getQueryService().get("Roi", number)
    roi.setName(rstring("two nuclei, really"))
    client.sf.getUpdateService().saveObject(roi)


def noyau(*arguments: str, said: str = "", settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with something on its standard input."""
    return subprocess.run(
        [*NOYAU, *arguments],
        input=said,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NOYAU_JOBS__THREADS": "2", **settings},
    )
