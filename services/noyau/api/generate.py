"""Regenerates the committed protobuf code: `python -m noyau.api.generate [output folder]`.

A tool for developers, called by `make proto`; it needs grpcio-tools and mypy-protobuf (extra `test`). A test runs it
into an empty folder and compares the outcome with what is committed.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

SERVICES = Path(__file__).resolve().parents[2]
PROTO = SERVICES.parent / "proto"

# Virtual folder of the .proto files, which becomes the Python package, and where they lie. The Open Inference
# Protocol moves into a package of ours, because others install a top-level module for the same messages.
FOLDERS = {"noyau/v1": PROTO / "noyau" / "v1", "noyau/oip": PROTO / "inference"}


def generate(output: Path) -> None:
    """Writes the Python modules and their type stubs for every .proto file below `output`.

    Raises:
        subprocess.CalledProcessError: protoc refused a file; its message is on stderr.
    """
    output = output.resolve()
    plugin = Path(sysconfig.get_path("scripts")) / "protoc-gen-mypy_grpc"
    for virtual, folder in FOLDERS.items():
        (output / virtual).mkdir(parents=True, exist_ok=True)
        files = sorted(folder.glob("*.proto"))
        names = [f"{virtual}/{file.name}" for file in files]
        services = [name for name, file in zip(names, files, strict=True) if "\nservice " in file.read_text()]
        include = f"-I{virtual}={folder}"
        _protoc(include, f"--python_out={output}", f"--pyi_out={output}", *names)
        _protoc(
            include,
            f"--plugin=protoc-gen-mypy_grpc={plugin}",
            f"--grpc_python_out={output}",
            f"--mypy_grpc_out=quiet:{output}",
            *services,
        )


def _protoc(*arguments: str) -> None:
    # From the root folder: protoc would take a file that lies at the virtual path for the one that is meant.
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True, cwd="/")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else SERVICES)
