#!/usr/bin/env python
"""Measures nuclei that are outlined already, by Noyau or by hand, and saves tables beside the selected images."""

import omero.scripts as scripts
from noyau.client.script import ServiceAt, submit_and_follow
from noyau.domain.jobs import MeasureSpec
from omero.rtypes import rlong, rstring, wrap

# `noyau omero install-scripts` writes the service of this OMERO server here.
SERVICE = ServiceAt(address="127.0.0.1:50051", alias="omero", ca="")


def dialog():
    """The script's client, with what OMERO.web asks the user."""
    kinds = [rstring(kind) for kind in ("Image", "Dataset", "Project", "Well", "Plate", "Screen")]
    return scripts.client(
        "Measure_Nuclei.py",
        "Measures nuclei as they are outlined now: ROIs that Noyau found, that you corrected or drew,\n"
        "or Noyau's label image where there are no ROIs. Outlines stay as they are; a table is attached.",
        scripts.String("Data_Type", optional=False, grouping="01", values=kinds, default="Image"),
        scripts.List("IDs", optional=False, grouping="02").ofType(rlong(0)),
        scripts.String("Channels", grouping="03", description="Indices (from 0) or names, comma between. Empty: all."),
        scripts.String("Name", grouping="04", default="nuclei", description="Name of Noyau's results, if there are."),
        scripts.Bool("Replace", grouping="05", default=False, description="Replace earlier measurements."),
        authors=["Noyau"],
        version="0.1.0",
        institutions=["Noyau"],
        contact="the administrators of this OMERO server",
    )  # fmt: skip


def job(inputs):
    """What the user asked for."""
    channels = [text.strip() for text in inputs.get("Channels", "").split(",") if text.strip()]
    return MeasureSpec(
        images=SERVICE.images(inputs["Data_Type"], inputs["IDs"]),
        labels=inputs.get("Name", "nuclei"),
        channels=tuple(int(text) if text.isdigit() else text for text in channels),
        overwrite=inputs.get("Replace", False),
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
        if outcome.link:
            client.setOutput("Images", wrap(outcome.link))
    finally:
        client.closeSession()


if __name__ == "__main__":
    run()
