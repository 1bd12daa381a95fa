#!/usr/bin/env python
"""Trains a Noyau model from the ROIs that people drew or corrected on the selected images."""

import omero.scripts as scripts
from noyau.client.script import DEFAULT_MODEL, ServiceAt, submit_and_follow
from noyau.domain.training_jobs import TrainSpec
from omero.rtypes import rlong, rstring

# `noyau omero install-scripts` writes the service of this OMERO server here.
SERVICE = ServiceAt(address="127.0.0.1:50051", alias="omero", ca="")

FROM_NOTHING = "none, from scratch"


def dialog():
    """The script's client, with what OMERO.web asks the user."""
    kinds = [rstring(kind) for kind in ("Dataset", "Image", "Project", "Well", "Plate", "Screen")]
    parents = [FROM_NOTHING, *(name for name in SERVICE.models() if name != DEFAULT_MODEL)]
    default = "nuclei-3d" if "nuclei-3d" in parents else FROM_NOTHING
    return scripts.client(
        "Train_Nuclei_Model.py",
        "Makes a better model from corrected results: every ROI with an area is one nucleus.\n"
        "Images without ROIs are left out. You may close the browser meanwhile.",
        scripts.String("Data_Type", optional=False, grouping="01", values=kinds, default="Dataset"),
        scripts.List("IDs", optional=False, grouping="02").ofType(rlong(0)),
        scripts.String("Model_Name", optional=False, grouping="03", description="Name of the new model."),
        scripts.String(
            "Start_From", grouping="04", values=[rstring(name) for name in parents], default=default,
            description="The model that learns on: one for volumes, or one for planes."),
        scripts.Int("Minutes", grouping="05", min=1, default=30, description="Time for training."),
        scripts.Int("Check_On_Percent", grouping="06", min=0, max=90, default=20,
                    description="Share of the images that the model is checked on instead of learning from them."),
        authors=["Noyau"],
        version="0.1.0",
        institutions=["Noyau"],
        contact="the administrators of this OMERO server",
    )  # fmt: skip


def job(inputs):
    """What the user asked for."""
    parent = inputs.get("Start_From", FROM_NOTHING)
    return TrainSpec(
        name=inputs["Model_Name"],
        data=tuple(ref.uri for ref in SERVICE.images(inputs["Data_Type"], inputs["IDs"])),
        parent=None if parent == FROM_NOTHING else parent,
        mode="scratch" if parent == FROM_NOTHING else "finetune",
        minutes=float(inputs.get("Minutes", 30)),
        val_percent=inputs.get("Check_On_Percent", 20),
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
    finally:
        client.closeSession()


if __name__ == "__main__":
    run()
