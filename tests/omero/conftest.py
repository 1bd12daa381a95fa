"""The server of the OMERO tests, its users and images, and the check that nothing unknown was asked of the simulated
one.

Tests never import the simulated server: they reach it as they would reach a real one, so that they run unchanged
against a real one that OMERO_HOST, OMERO_PORT and OMERO_ROOT_PASSWORD (or OMERO_USER and OMERO_PASSWORD of an
administrator) name.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# pytest's importlib mode leaves sys.path alone, so siblings would not be found.
sys.path.insert(0, str(Path(__file__).parent))

from omero_ledger import ProductLedger
from omero_place import Place, Refused, open_place

if TYPE_CHECKING:
    from omero_seed import Seed

if any(importlib.util.find_spec(name) is None for name in ("Ice", "omero")):
    # Without the client the tests cannot even be read. One file says why they do not run.
    collect_ignore = [p.name for p in Path(__file__).parent.glob("test_*.py") if p.name != "test_client.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup` each file stays together, for its service; the parts of the fault run may be apart."""
    for item in items:
        if any(folder.name.startswith("omero") for folder in item.path.parents):
            part = getattr(item, "callspec", None) if item.path.name == "test_faults.py" else None
            group = item.path.name if part is None else f"{item.path.name} {part.params['part']}"
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def omero_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where the server is."""
    try:
        with open_place(tmp_path_factory.mktemp("omero-server")) as place:
            yield place
    except Refused as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def seed(omero_place: Place) -> Seed:
    """Users, groups and images; whoever changes an image makes one of its own."""
    from omero_seed import make_seed

    return make_seed(omero_place)


@pytest.fixture
def login(omero_place: Place, seed: Seed) -> Iterator[Callable[..., Any]]:
    """Logs in: `login("alice", "lab")` gives a client, which is closed after the test. Short names are of the seed."""
    from omero_seed import connect

    clients = []

    def enter(user: str, group: str | None = None, *, tls: bool = False) -> Any:
        name, password = seed.users.get(user, user), seed.password
        if user == omero_place.admin:
            password = omero_place.password
        client = connect(omero_place, name, password, seed.groups.get(group or "", group), tls=tls)
        clients.append(client)
        return client

    yield enter
    for client in clients:
        client.__del__()


@pytest.fixture
def faults(omero_place: Place) -> Iterator[Callable[..., Any]]:
    """Orders a failure of the simulated server: `faults(kind="drop", at=3, operation="RawPixelsStore.*")`."""
    if not omero_place.control:
        pytest.skip("a real server does not fail on order")
    yield lambda **order: omero_place.order("/faults", order)
    omero_place.order("/faults/clear")


@pytest.fixture(scope="session")
def product_ledger() -> Iterator[ProductLedger]:
    """What the product asked of the server in these tests; new entries have to be in the file beside this one."""
    path = Path(__file__).with_name("ledger.txt")
    ledger = ProductLedger(path, write=os.environ.get("NOYAU_OMERO_LEDGER") == "write")
    yield ledger
    new = ledger.finish()
    assert not new, (
        "the product uses operations or queries of OMERO that nobody has looked at yet; run"
        " NOYAU_OMERO_LEDGER=write make test-omero and review the change of ledger.txt:\n" + "\n".join(new)
    )


@pytest.fixture(autouse=True)
def _known_and_noted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails the test that used something which the simulated server does not know: clients swallow such errors.

    What tests of the product used (all but those of the server's own rules) is noted.
    """
    uses = "omero_place" in request.fixturenames
    place: Place | None = request.getfixturevalue("omero_place") if uses else None
    if place is None or not place.control:
        yield
        return
    product = not request.path.name.startswith("test_rules_")
    ledger: ProductLedger | None = request.getfixturevalue("product_ledger") if product else None
    request.getfixturevalue("seed")
    place.order("/used", method="GET")
    yield
    if ledger is not None:
        ledger.note(place.order("/used", method="GET"))
    found = place.order("/violations", method="GET")
    if not request.node.get_closest_marker("unknown_on_purpose"):
        assert not found, "the simulated server does not know:\n" + "\n".join(found)
