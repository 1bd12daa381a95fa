#!/usr/bin/env python
"""Finds, outlines and measures cell nuclei in the selected images with Noyau, and saves the results beside them."""

import omero
import omero.scripts as scripts
from noyau.client.script import DEFAULT_MODEL, ServiceAt, submit_and_follow
from noyau.domain.jobs import SegmentSpec
from noyau.domain.omero_uri import is_omero, parse_omero
from omero.rtypes import rlong, robject, rstring, wrap

# `noyau omero install-scripts` writes the service of this OMERO server here.
SERVICE = ServiceAt(address="127.0.0.1:50051", alias="omero", ca="")

ROIS = {"Automatic": "auto", "Masks": "masks", "Polygons": "polygons", "Points": "points", "None": "none"}
LABEL_IMAGE = {
    "Where ROIs do not show everything": "auto",
    "Always": "always",
    "Never": "never",
    "In the OME-Zarr behind the image": "zarr",
}


def dialog():
    """The script's client, with what OMERO.web asks the user."""
    kinds = [rstring(kind) for kind in ("Image", "Dataset", "Project", "Well", "Plate", "Screen")]
    return scripts.client(
        "Segment_Nuclei.py",
        "Finds, outlines and measures cell nuclei in 3D and 2D images.\n"
        "Outlines appear in iviewer, measurements in the right-hand panel. You may close the browser meanwhile.",
        scripts.String("Data_Type", optional=False, grouping="01", values=kinds, default="Image"),
        scripts.List("IDs", optional=False, grouping="02").ofType(rlong(0)),
        scripts.String(
            "Model", grouping="03", values=[rstring(name) for name in SERVICE.models()], default=DEFAULT_MODEL,
            description="Automatic takes the model for volumes or the one for planes."),
        scripts.String("Channel", grouping="04", description="Index (from 0) or name. Empty: the first."),
        scripts.Float("Nucleus_Diameter", grouping="05", min=0.0, description="Micrometres. Empty: found out."),
        scripts.String("Name", grouping="06", default="nuclei", description="Name of the results."),
        scripts.Bool("Replace", grouping="07", default=False, description="Replace earlier results of this name."),
        scripts.Bool("Measure", grouping="08", default=True, description="Also make the table of measurements."),
        scripts.String("Save_ROIs_As", grouping="09", values=[rstring(r) for r in ROIS], default="Automatic"),
        scripts.String(
            "Label_Image", grouping="10", values=[rstring(i) for i in LABEL_IMAGE],
            default="Where ROIs do not show everything"),
        authors=["Noyau"],
        version="0.1.0",
        institutions=["Noyau"],
        contact="the administrators of this OMERO server",
        namespaces=[omero.constants.namespaces.NSDYNAMIC],
    )  # fmt: skip


def job(inputs):
    """What the user asked for."""
    model = inputs.get("Model", DEFAULT_MODEL)
    return SegmentSpec(
        images=SERVICE.images(inputs["Data_Type"], inputs["IDs"], inputs.get("Channel", "").strip()),
        model=None if model == DEFAULT_MODEL else model,
        labels=inputs.get("Name", "nuclei"),
        diameter=inputs.get("Nucleus_Diameter") or None,
        overwrite=inputs.get("Replace", False),
        measure=inputs.get("Measure", False),
        rois=ROIS[inputs.get("Save_ROIs_As", "Automatic")],
        label_image=LABEL_IMAGE[inputs.get("Label_Image", "Where ROIs do not show everything")],
    )


def run():
    """Asks, submits, follows, tells."""
    client = dialog()
    try:
        inputs = client.getInputs(unwrap=True)
        print("Inputs:", inputs)

        def message(text):
            client.setOutput("Message", rstring(text))

        outcome = submit_and_follow(SERVICE, client.getSessionId(), job(inputs), print, message)
        message(outcome.message)
        show_first(client, outcome.results)
        if outcome.link:
            client.setOutput("Images", wrap(outcome.link))
    finally:
        client.closeSession()


def show_first(client, results):
    """Offers the first image that has results."""
    images = [parse_omero(uri).id for uri in results if is_omero(uri)]
    if images:
        found = client.sf.getQueryService().find("Image", images[0], {"omero.group": "-1"})
        if found is not None:
            client.setOutput("Image", robject(found))


if __name__ == "__main__":
    run()
