"""The rules of the house that no linter knows: size of files and functions, and nothing of a build machine inside."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"v1", "oip"}
FILE_LINES = 320
FUNCTION_LINES = 60


def sources() -> list[Path]:
    folder = ROOT / "services" / "noyau"
    return sorted(p for p in folder.rglob("*.py") if p.relative_to(folder).parts[0] not in GENERATED)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES, f"{path.name} is too long: one idea per file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{path.name}: {node.name} has {length} lines: split it"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_no_path_of_a_build_machine_is_tracked() -> None:
    # Assembled here so that this file does not find itself.
    forbidden = "|".join("(^|[^A-Za-z0-9_])/" + word + "/" for word in ("work", "root", "opt/wheels"))
    found = subprocess.run(["git", "grep", "-nIE", forbidden, "--", "."], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode in (0, 1), found.stderr
    assert found.stdout == ""
