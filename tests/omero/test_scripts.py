"""The scripts of the OMERO.web menu, run by the server as users start them."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import omero.scripts
import pytest
from noyau.client import Client
from noyau.commands.omero_scripts import scripts_for, shipped_scripts
from noyau.domain.access import AccessPolicy
from noyau.domain.axes import Axes
from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec
from noyau.domain.omero_uri import OmeroUri
from noyau.omero.gateway import Gateway
from noyau.omero.truth import read_truth
from noyau.sources.labels import open_labels
from noyau.sources.raster import Raster
from noyau.sources.writing import write_image
from noyau.storage.store import Store
from noyau.training.synthetic import generate, recipe_named
from omero.rtypes import rbool, rint, rlist, rlong, rstring, unwrap
from omero_kit import ALIAS, PASSWORD_ENV, new_image, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed, connect, roi_with_mask
from test_service import Running

pytestmark = pytest.mark.slow
Login = Callable[..., Any]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="noyau-test-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def service(omero_place: Place, seed: Seed, folder: Path) -> Iterator[Running]:
    running = Running(folder, omero_place, seed)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def installed(omero_place: Place, service: Running) -> dict[str, int]:
    """Ids of the scripts by name, installed for the service; installing them again only renews them."""
    from noyau.omero.line import Line
    from noyau.omero.scripts import install_script

    texts = scripts_for(shipped_scripts(), service.address, ALIAS, "")
    root = connect(omero_place, omero_place.admin, omero_place.password)
    line = Line(root, leave=False)
    found = {}
    for name, text in texts.items():
        number, _ = install_script(line, name, text)
        assert install_script(line, name, text) == (number, True)
        found[name] = number
    root.closeSession()
    return found


def run(client: Any, script: int, **inputs: Any) -> dict[str, Any]:
    process = client.sf.getScriptService().runScript(script, inputs, None)
    callback = omero.scripts.ProcessCallbackI(client, process)
    try:
        for _ in range(900):
            if callback.block(200) is not None:
                break
        return {name: unwrap(value) if name == "Message" else value for name, value in process.getResults(0).items()}
    finally:
        callback.close()
        process.close(False)


def plane(seed: int = 3) -> np.ndarray:
    """A plane with nuclei as the shipped model knows them, t/c/z/y/x."""
    volume = generate((1, 128, 128), VoxelSize(1.0, 0.5, 0.5), seed, recipe_named("culture_2d"))
    return np.asarray(volume.image)[np.newaxis, np.newaxis]


def chosen_of(images: list[int]) -> dict[str, Any]:
    return {"Data_Type": rstring("Image"), "IDs": rlist([rlong(i) for i in images])}


def test_the_dialog_offers_what_omero_web_fills_in(installed: dict[str, int], login: Login) -> None:
    params = login("alice", "lab").sf.getScriptService().getParams(installed["Segment_Nuclei.py"])
    assert "Image" in unwrap(params.inputs["Data_Type"].values)
    assert not params.inputs["IDs"].optional
    assert {"automatic", "nuclei-2d", "nuclei-3d"} <= set(unwrap(params.inputs["Model"].values))
    assert all(name.replace("_", "").isalnum() and name[0].isupper() for name in params.inputs)


def test_segmenting_and_removing_from_the_menu(installed: dict[str, int], login: Login) -> None:
    image = new_image(login, "alice", "lab", plane(), pixel_size=(1.0, 0.5, 0.5))
    client = login("alice", "lab")
    chosen = {"Data_Type": rstring("Image"), "IDs": rlist([rlong(image)])}
    results = run(client, installed["Segment_Nuclei.py"], Measure=rbool(True), **chosen)
    assert "nuclei in 1 image with nuclei-2d" in results["Message"]
    assert results["Image"].val.id.val == image
    found = results_on(client, image)
    assert found["rois"] > 0 and found["annotations"] == 4
    again = run(client, installed["Segment_Nuclei.py"], **chosen)
    assert "already" in again["Message"]

    only_told = run(client, installed["Remove_Noyau_Results.py"], **chosen)
    assert "would be removed" in only_told["Message"]
    assert results_on(client, image) == found
    number = rows(client, "select r.id from Roi r where r.image.id = :id order by r.id", id=image)[0][0]
    roi = client.sf.getQueryService().get("Roi", number)
    roi.setName(rstring("two nuclei, really"))
    client.sf.getUpdateService().saveObject(roi)
    removed = run(client, installed["Remove_Noyau_Results.py"], Remove=rbool(True), **chosen)
    assert removed["Message"].startswith("Removed 1 results")
    assert removed["Message"].endswith("1 ROIs that were changed by hand stay.")
    assert results_on(client, image) == {"rois": 1, "annotations": 0, "label_images": 0}
    everything = {"Remove": rbool(True), "Also_Changed_By_Hand": rbool(True)}
    run(client, installed["Remove_Noyau_Results.py"], **everything, **chosen)
    assert results_on(client, image) == {"rois": 0, "annotations": 0, "label_images": 0}


def test_a_script_that_is_stopped_leaves_its_job_running(
    installed: dict[str, int], service: Running, login: Login, omero_place: Place, faults: Callable[..., Any]
) -> None:
    image = new_image(login, "alice", "lab", plane(), pixel_size=(1.0, 0.5, 0.5))
    client = login("alice", "lab")
    chosen = {"Data_Type": rstring("Image"), "IDs": rlist([rlong(image)])}
    scripts = client.sf.getScriptService()
    scripts.getParams(installed["Segment_Nuclei.py"])
    faults(kind="slow", seconds=15, operation="IPixels.retrievePixDescription")
    omero_place.order("/calls", method="GET")
    process = scripts.runScript(installed["Segment_Nuclei.py"], chosen, None)
    said = False
    while not said:
        time.sleep(0.2)
        said = "ISession.setOutput" in omero_place.order("/calls", method="GET")
    assert process.poll() is None
    process.kill()
    while process.poll() is None:
        time.sleep(0.2)
    message = unwrap(process.getResults(0)["Message"])
    found = re.search(r"Job (\S+) goes on in the Noyau service; `noyau jobs watch \1` shows it", message)
    assert found, message
    process.close(False)
    with Client(service.address, omero=(ALIAS, login("alice").getSessionId())) as noyau:
        assert not noyau.get(found[1]).state.is_final
        assert noyau.wait(found[1]).state is JobState.SUCCEEDED
    assert results_on(client, image)["annotations"] == 4


def test_measuring_from_the_menu(installed: dict[str, int], login: Login) -> None:
    image = new_image(login, "alice", "lab", plane(), pixel_size=(1.0, 0.5, 0.5))
    client = login("alice", "lab")
    chosen = {"Data_Type": rstring("Image"), "IDs": rlist([rlong(image)])}
    nothing = run(client, installed["Measure_Nuclei.py"], **chosen)
    assert "no ROIs with an area" in nothing["Message"]
    drawn = roi_with_mask(image, 4, 6, np.ones((9, 7)))
    client.sf.getUpdateService().saveObject(drawn)
    results = run(client, installed["Measure_Nuclei.py"], Channels=rstring("0"), **chosen)
    assert results["Message"] == "Measured 1 nuclei in 1 image."
    link = unwrap(results["Images"])
    assert (link["type"], link["href"]) == ("URL", f"?show=image-{image}")
    assert results_on(client, image) == {"rois": 1, "annotations": 4, "label_images": 0}


def test_suggesting_from_the_menu(installed: dict[str, int], login: Login, seed: Seed) -> None:
    client = login("alice", "lab")
    images = [new_image(login, "alice", "lab", plane(n), pixel_size=(1.0, 0.5, 0.5)) for n in (4, 5)]
    asked = {"Data_Type": rstring("Image"), "IDs": rlist([rlong(i) for i in images]), "How_Many": rint(1)}
    results = run(client, installed["Suggest_Images_To_Annotate.py"], **asked)
    assert results["Message"].startswith("1 image to annotate next for nuclei-2d"), results["Message"]
    (best,) = [i for i in images if f"Image:{i}" in results["Message"]]
    assert unwrap(results["Images"])["href"] == f"?show=image-{best}"
    assert results_on(client, images[0])["annotations"] == 4
    if best == images[1]:
        assert results_on(client, best)["annotations"] == 1
    again = run(client, installed["Suggest_Images_To_Annotate.py"], **asked)
    assert "already" in again["Message"]
    removed = run(client, installed["Remove_Noyau_Results.py"], Remove=rbool(True), **chosen_of(images))
    assert removed["Message"].startswith("Removed")
    assert [results_on(client, i)["annotations"] for i in images] == [0, 0]


def test_an_embryo_from_the_menu_has_the_labels_that_it_has_as_ome_zarr(
    installed: dict[str, int],
    service: Running,
    login: Login,
    omero_place: Place,
    seed: Seed,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with np.load(shared_data / "bbbc050" / "Emb10_t101.npz") as arrays:
        pixels = arrays["image"]
    beside = service.folder / "embryo.ome.zarr"
    spacing = {"z": 1.75, "y": 0.8, "x": 0.8}
    raster = Raster(pixels, Axes("zyx"), spacing, ("nuclei",))
    write_image(Store(str(beside)), raster, "image", "0.5", lambda: None)
    with Client(service.address, omero=(ALIAS, login("alice", "lab").getSessionId())) as noyau:
        done = noyau.wait(noyau.submit(SegmentSpec((ImageRef(str(beside)),))).id)
    assert done.state is JobState.SUCCEEDED, done.error
    with open_labels(str(beside), name="nuclei", access=AccessPolicy.everything()) as labels:
        expected = labels.read(Box.of(labels.info.shape))

    image = new_image(login, "alice", "lab", pixels[np.newaxis, np.newaxis], pixel_size=tuple(spacing.values()))
    results = run(login("alice", "lab"), installed["Segment_Nuclei.py"], **chosen_of([image]))
    assert f"Found {expected.max()} nuclei in 1 image with nuclei-3d" in results["Message"]
    uri = OmeroUri(ALIAS, "image", image)
    with Gateway([server_of(omero_place, seed)]) as gateway:
        truth = read_truth(visitor_of(gateway, seed, "alice").at(uri), uri, pixels.shape)
    assert expected.max() >= 2
    assert (truth.labels == expected).all()


def test_training_needs_something_drawn(installed: dict[str, int], login: Login) -> None:
    image = new_image(login, "alice", "lab", np.zeros((1, 1, 1, 64, 64), np.uint8))
    results = run(
        login("alice", "lab"),
        installed["Train_Nuclei_Model.py"],
        Data_Type=rstring("Image"),
        IDs=rlist([rlong(image)]),
        Model_Name=rstring("mine"),
        Start_From=rstring("nuclei-2d"),
    )
    assert "to learn from" in results["Message"]


def test_the_service_is_written_into_the_scripts(tmp_path: Path) -> None:
    texts = scripts_for(shipped_scripts(), "noyau.example.org:50051", "lab", "/etc/ca.pem")
    assert 'address="noyau.example.org:50051", alias="lab", ca="/etc/ca.pem"' in texts["Segment_Nuclei.py"]
    assert all(compile(text, name, "exec") for name, text in texts.items())
    with pytest.raises(InvalidInput):
        scripts_for(shipped_scripts(), 'a")\nimport os #', "lab", "")
    with pytest.raises(NotFound):
        scripts_for(tmp_path, "a:1", "lab", "")
