"""Names of files and entries in our archives."""

from __future__ import annotations

RDF = "bioimageio.yaml"
RDF_NAMES = (RDF, "rdf.yaml", "rdf.yml", "model.yaml")
FORMAT_VERSION = "0.5.4"
STATE_DICT, TORCHSCRIPT = "weights.pt", "weights.torchscript"
TEST_INPUT, TEST_OUTPUT = "test_input.npy", "test_output.npy"
ENVIRONMENT = "environment.yaml"
COVER = "cover.png"
DOCUMENTATION = "documentation.md"
INPUT_ID, OUTPUT_ID = "image", "prediction"
VENDOR = "noyau"
"""Our entry under `config` in the description."""
