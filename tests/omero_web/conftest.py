"""OMERO.web with Noyau's service behind its menu, and a user's browser in front of it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# pytest's importlib mode leaves sys.path alone, so neither siblings nor the server of the OMERO tests would be found.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "omero"))

from needs import why_not
from omero_place import Place, Refused, open_place

if TYPE_CHECKING:
    from cultures import Cultures
    from omero_seed import Seed
    from web_server import OmeroWeb
    from webclient import Webclient

if why_not():
    # One file says why the others do not run.
    collect_ignore = [p.name for p in Path(__file__).parent.glob("test_*.py") if p.name != "test_needs.py"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short enough for the name of a socket."""
    made = Path(tempfile.mkdtemp(prefix="noyau-web-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the windows are kept: the folder that NOYAU_PICTURES names, if any."""
    named = os.environ.get("NOYAU_PICTURES")
    if named is None:
        return tmp_path_factory.mktemp("pictures")
    Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named)


@pytest.fixture(scope="module")
def place(folder: Path) -> Iterator[Place]:
    """Where the OMERO server is."""
    (folder / "server").mkdir()
    try:
        with open_place(folder / "server") as found:
            yield found
    except Refused as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def seed(place: Place) -> Seed:
    """Users and groups."""
    from omero_seed import make_seed

    return make_seed(place)


@pytest.fixture(scope="module")
def cultures(place: Place, seed: Seed) -> Cultures:
    """Alice's images."""
    from cultures import make_cultures
    from omero_seed import connect

    client = connect(place, seed.users["alice"], seed.password, seed.groups["lab"])
    try:
        return make_cultures(client)
    finally:
        client.closeSession()


@pytest.fixture(scope="module")
def service(folder: Path, place: Place, seed: Seed) -> Iterator[None]:
    """`noyau serve` with the OMERO server in its settings, and its scripts in the menu."""
    from service_process import ServiceWithScripts

    running = ServiceWithScripts(folder / "service", place, seed)
    yield
    running.stop()


@pytest.fixture(scope="module")
def omero_web(folder: Path, place: Place) -> Iterator[OmeroWeb]:
    """OMERO.web itself."""
    from web_server import OmeroWeb

    running = OmeroWeb(folder / "web", place.host, place.port)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def alice(omero_web: OmeroWeb, service: None, seed: Seed, cultures: Cultures, pictures: Path) -> Iterator[Webclient]:
    """Alice's window, after she has logged in."""
    from webclient import open_webclient

    with open_webclient(omero_web.url, pictures) as window:
        window.log_in(seed.users["alice"], seed.password)
        yield window


@pytest.fixture(autouse=True)
def _nothing_complains(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test after which the browser, OMERO.web or the simulated server complain; keeps a picture of the end."""
    yield
    if "alice" not in request.fixturenames:
        return
    window: Webclient = request.getfixturevalue("alice")
    place: Place = request.getfixturevalue("place")
    window.picture(f"{request.node.name}-end")
    complaints, window.complaints[:] = list(window.complaints), []
    assert not complaints, "\n".join(complaints)
    if place.control:
        found = place.order("/violations", method="GET")
        assert not found, "the simulated server does not know:\n" + "\n".join(found)
