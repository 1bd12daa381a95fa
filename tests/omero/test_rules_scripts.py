"""Rules of the server about scripts: how they are found, what they are given, and that their session ends with them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import Glacier2
import omero
import omero.scripts
import pytest
from omero.rtypes import rint, rlist, rlong, rstring, unwrap
from omero_place import Place
from omero_seed import Seed

SCRIPT = """
import time
import omero.scripts as scripts
from omero.rtypes import rlong, rstring

client = scripts.client(
    "Rules.py",
    "A script for the tests.",
    scripts.String("Data_Type", optional=False, grouping="1", values=[rstring("Image"), rstring("Dataset")],
    default="Image"), scripts.List("IDs", optional=False, grouping="2").ofType(rlong(0)),
    scripts.Int("Seconds", default=0, min=0, max=60),
    authors=["Tests"],
    version="1.0",
)
try:
    inputs = client.getInputs(unwrap=True)
    context = client.sf.getAdminService().getEventContext()
    print("running as", context.userName)
    time.sleep(inputs.get("Seconds", 0))
    client.setOutput("Key", rstring(client.getSessionId()))
    client.setOutput("Message", rstring(f"{context.userName} {context.groupName} {inputs['IDs']}"))
finally:
    client.closeSession()
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def script(omero_place: Place, seed: Seed) -> int:
    """Id of an official script."""
    from omero_seed import connect

    root = connect(omero_place, omero_place.admin, omero_place.password)
    try:
        path = f"/noyau-tests-{uuid.uuid4().hex[:6]}/Rules.py"
        return int(root.sf.getScriptService().uploadOfficialScript(path, SCRIPT))
    finally:
        root.closeSession()


def run(client: Any, script: int, inputs: dict[str, Any]) -> dict[str, Any]:
    process = client.sf.getScriptService().runScript(script, inputs, None)
    callback = omero.scripts.ProcessCallbackI(client, process)
    try:
        for _ in range(900):
            if callback.block(200) is not None:
                break
        return dict(process.getResults(0))
    finally:
        callback.close()
        process.close(False)


def test_inputs_are_found_out_by_running_the_script(login: Callable[..., Any], script: int) -> None:
    params = login("alice", "lab").sf.getScriptService().getParams(script)
    assert (params.name, params.version, params.authors) == ("Rules.py", "1.0", ["Tests"])
    assert unwrap(params.inputs["Data_Type"].values) == ["Image", "Dataset"]
    assert unwrap(params.inputs["Seconds"].max) == 60
    assert not params.inputs["IDs"].optional


def test_a_script_runs_as_the_user_in_the_group_of_the_session(
    login: Callable[..., Any], script: int, seed: Seed
) -> None:
    client = login("bob", "open")
    results = run(client, script, {"Data_Type": rstring("Image"), "IDs": rlist([rlong(4), rlong(2)])})
    assert unwrap(results["Message"]) == f"{seed.users['bob']} {seed.groups['open']} [4, 2]"
    output = results["stdout"].val
    store = client.sf.createRawFileStore()
    store.setFileId(output.id.val)
    assert bytes(store.read(0, store.size())).startswith(b"running as bob")
    store.close()


def test_the_session_of_a_script_ends_with_it(login: Callable[..., Any], script: int, omero_place: Place) -> None:
    client = login("alice", "lab")
    results = run(client, script, {"Data_Type": rstring("Image"), "IDs": rlist([rlong(1)])})
    key = unwrap(results["Key"])
    assert key != client.getSessionId()
    other = omero.client(omero_place.tcp) if omero_place.tcp else omero.client(omero_place.host, omero_place.port)
    try:
        with pytest.raises(Glacier2.PermissionDeniedException):
            for _ in range(20):
                other.joinSession(key)
                other.closeSession()
                time.sleep(0.5)
    finally:
        other.__del__()
    assert client.sf.getAdminService().getEventContext().userId > 0


@pytest.mark.parametrize(
    "inputs",
    [
        {"Data_Type": rstring("Plate"), "IDs": rlist([rlong(1)])},
        {"Data_Type": rstring("Image")},
        {"Data_Type": rstring("Image"), "IDs": rlist([rlong(1)]), "Seconds": rint(61)},
    ],
)
def test_wrong_inputs_are_refused(login: Callable[..., Any], script: int, inputs: dict[str, Any]) -> None:
    with pytest.raises(omero.ValidationException):
        login("alice", "lab").sf.getScriptService().runScript(script, inputs, None)


def test_a_script_can_be_cancelled(login: Callable[..., Any], script: int) -> None:
    client = login("alice", "lab")
    inputs = {"Data_Type": rstring("Image"), "IDs": rlist([rlong(1)]), "Seconds": rint(60)}
    process = client.sf.getScriptService().runScript(script, inputs, None)
    assert process.poll() is None
    process.cancel()
    for _ in range(500):
        if process.poll() is not None:
            break
        time.sleep(0.2)
    assert unwrap(process.poll()) != 0
    assert process.getJob().status.value.val == "Cancelled"


def test_results_of_a_running_script_are_not_there_yet(login: Callable[..., Any], script: int) -> None:
    client = login("alice", "lab")
    inputs = {"Data_Type": rstring("Image"), "IDs": rlist([rlong(1)]), "Seconds": rint(60)}
    process = client.sf.getScriptService().runScript(script, inputs, None)
    with pytest.raises(omero.ServerError):
        process.getResults(0)
    process.cancel()


def test_only_an_administrator_uploads_official_scripts(login: Callable[..., Any]) -> None:
    with pytest.raises(omero.SecurityViolation):
        login("alice", "lab").sf.getScriptService().uploadOfficialScript("/x/Mine.py", SCRIPT)


def test_an_official_script_is_found_by_its_path_and_replaced(
    login: Callable[..., Any], omero_place: Place, seed: Seed
) -> None:
    service = login(omero_place.admin).sf.getScriptService()
    path = f"/noyau-tests-{uuid.uuid4().hex[:6]}/Once.py"
    number = service.uploadOfficialScript(path, SCRIPT)
    assert service.getScriptID(path) == number
    with pytest.raises(omero.ApiUsageException):
        service.uploadOfficialScript(path, SCRIPT)
    service.editScript(omero.model.OriginalFileI(number, False), SCRIPT.replace("1.0", "2.0"))
    assert login("alice", "lab").sf.getScriptService().getParams(number).version == "2.0"
    service.deleteScript(number)
    assert service.getScriptID(path) == -1
