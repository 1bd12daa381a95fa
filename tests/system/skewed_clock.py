"""Runs a program of this folder with a clock that is wrong: `python skewed_clock.py SECONDS PROGRAM ARGUMENTS...`.

Child processes get the same clock, because this file puts itself in front of them as their `sitecustomize`.
"""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
from pathlib import Path

SITE = """
import os, time
_skew = float(os.environ["TEST_CLOCK_SKEW"])
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _skew
time.time_ns = lambda: _time_ns() + int(_skew * 1e9)
"""


def main() -> None:
    seconds, program, *arguments = sys.argv[1:]
    os.environ["TEST_CLOCK_SKEW"] = seconds
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(SITE)
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        exec(SITE, {})
        sys.argv = [program, *arguments]
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
