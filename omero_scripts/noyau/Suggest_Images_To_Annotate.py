#!/usr/bin/env python
"""Ranks the selected images by how much correcting them would teach a Noyau model, and notes the best of them."""

import omero.scripts as scripts
from noyau.client.script import DEFAULT_MODEL, ServiceAt, submit_and_follow
from noyau.domain.training_jobs import SuggestSpec
from omero.rtypes import rlong, rstring, wrap

# `noyau omero install-scripts` writes the service of this OMERO server here.
SERVICE = ServiceAt(address="127.0.0.1:50051", alias="omero", ca="")


def dialog():
    """The script's client, with what OMERO.web asks the user."""
    kinds = [rstring(kind) for kind in ("Dataset", "Image", "Project", "Well", "Plate", "Screen")]
    return scripts.client(
        "Suggest_Images_To_Annotate.py",
        "Finds the images that a model is least sure about and that are unlike each other.\n"
        "A ranked table and a picture are attached to the first selected thing, rank and score to each image.",
        scripts.String("Data_Type", optional=False, grouping="01", values=kinds, default="Dataset"),
        scripts.List("IDs", optional=False, grouping="02").ofType(rlong(0)),
        scripts.String(
            "Model", grouping="03", values=[rstring(name) for name in SERVICE.models()], default=DEFAULT_MODEL,
            description="The model that is to learn. Automatic: the one for volumes or the one for planes."),
        scripts.String("Channel", grouping="04", description="Index (from 0) or name. Empty: the first."),
        scripts.Int("How_Many", grouping="05", min=1, default=10, description="Most images to suggest."),
        scripts.Bool("Replace", grouping="06", default=False, description="Replace earlier suggestions."),
        authors=["Noyau"],
        version="0.1.0",
        institutions=["Noyau"],
        contact="the administrators of this OMERO server",
    )  # fmt: skip


def job(inputs):
    """What the user asked for."""
    model = inputs.get("Model", DEFAULT_MODEL)
    images = SERVICE.images(inputs["Data_Type"], inputs["IDs"], inputs.get("Channel", "").strip())
    return SuggestSpec(
        images=images,
        output=images[0].uri,
        model=None if model == DEFAULT_MODEL else model,
        count=inputs.get("How_Many", 10),
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
