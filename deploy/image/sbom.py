"""Lists what an image contains, as CycloneDX 1.5 JSON: Python distributions and Debian packages. Runs in the image.

    python sbom.py --name noyau --version 0.1.0 --created 2026-01-01T00:00:00Z > sbom.cdx.json

Format: https://cyclonedx.org/docs/1.5/json/; package URLs: https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
import uuid
from typing import Any
from urllib.parse import quote

_DPKG = "${Package}\t${Version}\t${Architecture}\t${db:Status-Abbrev}\n"
# An SPDX expression is words, versions, brackets; anything else is the name of a licence.
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")


def python_components() -> list[dict[str, Any]]:
    """Distributions of the Python that runs this."""
    found: dict[str, dict[str, Any]] = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        version = distribution.version
        purl = f"pkg:pypi/{name}@{quote(version)}"
        found[purl] = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            **_licences(distribution),
        }
    return sorted(found.values(), key=lambda one: str(one["purl"]))


def _licences(distribution: importlib.metadata.Distribution) -> dict[str, Any]:
    """What the distribution says of its licence; of a whole text, which old ones have there, the first line."""
    metadata: Any = distribution.metadata
    expression = metadata.get("License-Expression", "")
    if expression and _EXPRESSION.fullmatch(expression):
        return {"licenses": [{"expression": expression}]}
    said = expression or metadata.get("License", "") or ""
    line = next((one.strip() for one in said.splitlines() if one.strip()), "")
    if not line:
        classes = metadata.get_all("Classifier") or []
        line = next((one.rpartition(" :: ")[2] for one in classes if one.startswith("License ::")), "")
    return {"licenses": [{"license": {"name": line[:200]}}]} if line else {}


def debian_components() -> list[dict[str, Any]]:
    """Installed Debian packages; none on another system."""
    try:
        done = subprocess.run(["dpkg-query", "--show", f"--showformat={_DPKG}"], capture_output=True, text=True)
    except FileNotFoundError:
        return []
    found = []
    for line in sorted(done.stdout.splitlines()):
        name, version, architecture, status = line.split("\t")
        if status.strip() == "ii":
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
            found.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return found


def document(name: str, version: str, created: str) -> dict[str, Any]:
    """The whole list. The same contents give the same document, its serial number included."""
    components = python_components() + debian_components()
    contents = json.dumps([name, version, created, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, contents)}",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "component": {"type": "container", "bom-ref": f"{name}-image", "name": name, "version": version},
            "properties": [
                {"name": "python", "value": platform.python_version()},
                {"name": "machine", "value": platform.machine()},
            ],
        },
        "components": components,
    }


def main() -> int:
    """Writes the document to standard output."""
    options = argparse.ArgumentParser(description="Lists what this image contains (CycloneDX 1.5 JSON).")
    options.add_argument("--name", required=True)
    options.add_argument("--version", required=True)
    options.add_argument("--created", required=True, help="time of the document, RFC 3339")
    arguments = options.parse_args()
    json.dump(document(arguments.name, arguments.version, arguments.created), sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
