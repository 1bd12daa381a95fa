"""A biologist segments an image from the menu of OMERO.web and finds the results where they look for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cultures import FIRST, PROJECT, SECOND, Cultures
from playwright.sync_api import expect
from webclient import Webclient

# The tests share a window, so one process runs them all, in their order.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("browser"),
]
IMAGE = "well A1"


@pytest.fixture(scope="module")
def chosen(alice: Webclient, cultures: Cultures) -> Webclient:
    """Alice has selected an image."""
    alice.open(PROJECT, FIRST, IMAGE)
    return alice


@pytest.fixture(scope="module")
def told(chosen: Webclient) -> str:
    """What the script said in the end."""
    dialog = chosen.script_dialog("Segment Nuclei")
    chosen.picture("dialog", dialog)
    chosen.run(dialog)
    chosen.picture("running")
    message = chosen.message()
    chosen.picture("message")
    return message


def nuclei(message: str) -> int:
    """The number that the script told."""
    found = re.match(r"Found (\d+) nuclei in 1 image with nuclei-2d@\d+\.", message)
    assert found, message
    return int(found[1])


def test_an_image_is_seen_before_it_is_segmented(chosen: Webclient, cultures: Cultures) -> None:
    width, height = chosen.thumbnail(cultures.images[IMAGE])
    assert width > height > 50
    expect(chosen.fact("Pixels Size (XYZ)")).to_contain_text("0.50 x 0.50 x 1.00")
    expect(chosen.fact("Channels:")).to_contain_text("DAPI")


def test_the_dialog_offers_models_and_defaults_that_work(chosen: Webclient, cultures: Cultures) -> None:
    dialog = chosen.script_dialog("Segment Nuclei")
    assert dialog.input_value("[name=Data_Type]") == "Image"
    assert dialog.input_value("[name=IDs]") == str(cultures.images[IMAGE])
    models = dialog.locator("[name=Model] option").all_inner_texts()
    assert {"nuclei-2d", "nuclei-3d"} <= {text.strip() for text in models}
    assert dialog.input_value("[name=Model]").lower() == "automatic"
    assert dialog.is_checked("[name=Measure]") and not dialog.is_checked("[name=Replace]")
    dialog.close()


def test_the_message_counts_and_its_buttons_lead_to_the_image(chosen: Webclient, told: str, cultures: Cultures) -> None:
    assert 5 < nuclei(told) < 100
    shown = chosen.popup("#jobsTable tr.script li.btn_url a")
    expect(shown.locator("#dataTree .jstree-clicked")).to_contain_text(IMAGE)
    shown.close()
    chosen.go_to_result()
    expect(chosen.page.locator("#dataTree .jstree-clicked")).to_contain_text(IMAGE)
    expect(chosen.fact("ROI Count:")).to_have_text(str(nuclei(told)))


def test_results_are_in_the_right_hand_panel(chosen: Webclient, told: str, folder: Path) -> None:
    expect(chosen.pane("Attachments")).to_have_text("3")
    files = chosen.page.locator("#fileanns_container li")
    expect(files).to_have_count(3)
    names = [text.split()[0] for text in files.all_inner_texts()]
    assert sorted(name.rpartition(".")[2] for name in names) == ["csv", "h5", "png"]
    overview = files.filter(has_text=".png").locator("a").first.get_attribute("href")
    answer = chosen.page.request.get(chosen.url(str(overview)))
    assert answer.ok and answer.body().startswith(b"\x89PNG")
    expect(chosen.pane("Key-Value Pairs")).to_have_text("1")
    rows = chosen.page.locator("#mapAnnContainer table[data-annid] tbody tr")
    expect(rows.first).to_be_visible()
    texts = dict(row.locator("td").all_text_contents()[:2] for row in rows.all())
    assert texts["nuclei"] == str(nuclei(told))
    assert re.fullmatch(r"nuclei-2d@\d+", texts["model.name"])
    assert str(folder) not in "".join(texts.values()), "no path of the service is shown to users"
    chosen.picture("panel")


def test_the_table_has_a_row_for_each_nucleus(chosen: Webclient, told: str) -> None:
    chosen.pane("Attachments")
    table = chosen.popup("#fileanns_container a[title='View OMERO.table']")
    columns = [text.strip() for text in table.locator("table th").all_inner_texts()]
    assert {"Image", "Roi", "label", "area_um2"} <= set(columns)
    expect(table.locator("table tbody tr", has=table.locator("td"))).to_have_count(nuclei(told))
    chosen.picture("table", table)
    table.close()


def test_iviewer_shows_every_nucleus(chosen: Webclient, told: str) -> None:
    viewer = chosen.popup("a:has-text('Full viewer')")
    viewer.locator("a[href='#rois']").click()
    expect(viewer.locator("a[href='#rois']")).to_contain_text(f"[{nuclei(told)}]")
    expect(viewer.locator(".regions-table-row")).to_have_count(nuclei(told))
    viewer.wait_for_load_state("networkidle")
    chosen.picture("iviewer", viewer)
    viewer.close()


def test_a_dataset_is_segmented_and_each_image_has_its_row(alice: Webclient, told: str, cultures: Cultures) -> None:
    alice.open(PROJECT, SECOND)
    dialog = alice.script_dialog("Segment Nuclei")
    assert dialog.input_value("[name=Data_Type]") == "Dataset"
    assert dialog.input_value("[name=IDs]") == str(cultures.treated)
    alice.run(dialog)
    message = alice.message()
    assert re.match(r"Found \d+ nuclei in 2 images with nuclei-2d@\d+\.", message), message
    alice.picture("dataset-message")
    alice.open(SECOND, "well B2")
    alice.pane("Tables")
    row = alice.page.locator("#bulk_annotations_list + table, #bulk_annotations_list table").first
    expect(row).to_be_visible()
    expect(row).to_contain_text("nuclei")
    alice.picture("dataset-row")
