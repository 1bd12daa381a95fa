"""Measurements in processes of their own: peak memory is that of a process, and one must not warm the next."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from noyau.domain.errors import InternalError
from noyau.domain.progress import Reporter

POLL_SECONDS = 0.5


def run_child(module: str, function: str, request: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Calls `function(request as JSON text)` of a module in a fresh process, and returns the JSON object it gives.

    Raises:
        InternalError: the process failed; the message has its last line.
        NoyauError: what the reporter raises to stop; the process is ended first.
    """
    code = f"import sys; from {module} import {function}; sys.stdout.write('\\n' + {function}(sys.argv[1]))"
    command = [sys.executable, "-c", code, json.dumps(request)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while True:
            reporter.check()
            try:
                out, errors = process.communicate(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode != 0:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise InternalError(f"The measured process ended with status {process.returncode}: {last}")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found
