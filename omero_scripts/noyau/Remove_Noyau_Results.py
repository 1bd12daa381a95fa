#!/usr/bin/env python
"""Removes the Noyau results that you own from the selected images: ROIs, tables, files and label images."""

import omero.scripts as scripts
from noyau.domain.omero_uri import OmeroUri
from noyau.omero.cleaning import remove_run, runs_about
from noyau.omero.line import Line
from omero.rtypes import rlong, rstring


def dialog():
    """The script's client, with what OMERO.web asks the user."""
    kinds = [rstring(kind) for kind in ("Image", "Dataset", "Project", "Well", "Plate", "Screen")]
    return scripts.client(
        "Remove_Noyau_Results.py",
        "Removes what Noyau saved for you: ROIs, tables, files and label images.\n"
        "What you or others drew or attached stays. Nothing is removed unless Remove is ticked.",
        scripts.String("Data_Type", optional=False, grouping="01", values=kinds, default="Image"),
        scripts.List("IDs", optional=False, grouping="02").ofType(rlong(0)),
        scripts.String("Name", grouping="03", description="Only results of this name. Empty: all."),
        scripts.Bool("Only_Interrupted", grouping="04", default=False, description="Only what jobs left unfinished."),
        scripts.Bool("Also_Changed_By_Hand", grouping="05", default=False,
                     description="Also remove ROIs that somebody has corrected since. Otherwise they stay."),
        scripts.Bool("Remove", grouping="06", default=False, description="Not ticked: only say what would be removed."),
        authors=["Noyau"],
        version="0.1.0",
        institutions=["Noyau"],
        contact="the administrators of this OMERO server",
    )  # fmt: skip


def chosen(line, inputs):
    """The runs that the user means."""
    name = inputs.get("Name", "").strip()
    for number in inputs["IDs"]:
        for uri, run, found in runs_about(line, OmeroUri("omero", inputs["Data_Type"].lower(), number)):
            if name in ("", run.name) and not (inputs.get("Only_Interrupted", False) and found.marker):
                yield uri, run, found


def clean(line, inputs):
    """Removes, or only counts; returns the sentence for the user."""
    runs = objects = kept = 0
    edited = inputs.get("Also_Changed_By_Hand", False)
    for uri, run, found in list(chosen(line, inputs)):
        runs += 1
        counts = (len(found.rois), len(found.annotations) + len(found.files), len(found.images))
        print(f"{uri.title}: '{run.name}' of job {run.job}: ROIs, annotations and files, label images: {counts}")
        if inputs.get("Remove", False):
            done = remove_run(line, uri, run, edited=edited)
            objects, kept = objects + done.objects, kept + len(done.kept)
            for place in done.zarr:
                print(f"Labels outside of OMERO were left: {place}")
        else:
            stay = 0 if edited else len(found.edited)
            objects, kept = objects + sum(counts) - stay, kept + stay
    if not runs:
        return "There are no Noyau results of yours."
    stays = f" {kept} ROIs that were changed by hand stay." if kept else ""
    if inputs.get("Remove", False):
        return f"Removed {runs} results of Noyau ({objects} objects).{stays}"
    return f"{runs} results of Noyau ({objects} objects) would be removed; tick Remove to do it.{stays}"


def run():
    """Asks, removes, tells."""
    client = dialog()
    try:
        inputs = client.getInputs(unwrap=True)
        print("Inputs:", inputs)
        client.setOutput("Message", rstring(clean(Line(client, leave=False), inputs)))
    finally:
        client.closeSession()


if __name__ == "__main__":
    run()
