"""Work on packages that takes torch, and may meet hostile files: in this process, or in one of its own.

A service does it in a process of its own, so that it needs no torch itself and outlives whatever a package does to its
memory. Commands on a user's own machine do it at once.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from noyau.domain.errors import DeadlineExceeded, InternalError, InvalidInput, NoyauError, error_from_kind

Runner = Callable[[str, Mapping[str, Any]], Any]
"""Does a task of `TASKS` with arguments that JSON can say, and returns what JSON can say."""

SECONDS = 600.0


def _test(folder: str) -> None:
    from noyau.models.selftest import check

    check(Path(folder))


def _import(archive: str, into: str, name: str | None, objects: dict[str, Any] | None, torchscript: bool) -> list[str]:
    from noyau.models.bioimageio import import_archive
    from noyau.models.bioimageio.objects import ObjectRule

    rule = None if objects is None else ObjectRule(**objects)
    info = import_archive(Path(archive), Path(into), name=name, objects=rule, allow_torchscript=torchscript)
    return [info.name, info.version]


def _export(folder: str, archive: str, overwrite: bool) -> None:
    from noyau.models.bioimageio import export

    export(Path(folder), Path(archive), overwrite=overwrite)


def _score(folder: str) -> dict[str, Any]:
    from noyau.models.bioimageio.check import score

    return asdict(score(Path(folder)))


TASKS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"test": _test, "import": _import, "export": _export, "score": _score}
)


def run_here(task: str, arguments: Mapping[str, Any]) -> Any:
    """Does a task in this process. Raises what the task raises."""
    return TASKS[task](**arguments)


def run_apart(task: str, arguments: Mapping[str, Any], seconds: float = SECONDS) -> Any:
    """Does a task in a process of its own.

    Raises:
        NoyauError: what the task raises.
        DeadlineExceeded: it took too long and was ended.
        InvalidInput: the process died of it, for lack of memory most likely.
    """
    reading, writing = os.pipe()
    with os.fdopen(reading) as answers:
        try:
            process = subprocess.Popen(
                # -P: the folder that the service happens to run in is no place to import from.
                [sys.executable, "-P", "-m", "noyau.models.apart", str(writing)],
                pass_fds=[writing],
                stdin=subprocess.PIPE,
                # Standard output belongs to the caller's results; what libraries print goes to the log.
                stdout=2,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            process.communicate(json.dumps([task, dict(arguments)]).encode(), timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise DeadlineExceeded(f"The model was not done with after {seconds:.0f} seconds.") from error
        finally:
            _end(process)
        return _told(answers.read(), process.returncode)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and those that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _told(text: str, status: int) -> Any:
    if not text:
        raise InvalidInput(
            f"The process that looked at the model died of it (exit status {status}).",
            "It may need more memory than there is.",
        )
    answer = json.loads(text)
    if "incident" in answer:
        raise InternalError("Looking at the model failed unexpectedly.", "The log of the service has the details.")
    if "kind" in answer:
        raise error_from_kind(answer["kind"], answer["cause"], answer["remedy"])
    return answer["value"]


def _main(descriptor: int) -> None:
    task, arguments = json.loads(sys.stdin.buffer.read())
    try:
        answer = {"value": run_here(task, arguments)}
    except NoyauError as error:
        answer = {"kind": error.kind.value, "cause": error.cause, "remedy": error.remedy}
    except BaseException:
        _say(descriptor, {"incident": True})
        raise
    _say(descriptor, answer)


def _say(descriptor: int, answer: Mapping[str, Any]) -> None:
    with os.fdopen(descriptor, "w") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    # Under its real name, so that its errors are those that others know.
    importlib.import_module("noyau.models.apart")._main(int(sys.argv[1]))
