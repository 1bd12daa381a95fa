"""What a supervisor tells its worker processes: one line of JSON on their standard input.

It does not go through the command line, where other users of the host could read a database password.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from noyau.jobs.settings import JobLimits, JobTimes


@dataclass(frozen=True)
class WorkerConfig:
    """Settings of worker processes.

    Attributes:
        database: URL of the job store.
        workdir: folder under which every job has its scratch folder; shared between hosts that share a database.
        handlers: `module:function`, see `noyau.jobs.context`.
        handler_settings: JSON values passed to that function.
        limits: quotas.
        times: periods.
        tracer: `module:function` that makes what records spans, called with `handler_settings`; empty: nothing does.
    """

    database: str
    workdir: str
    handlers: str
    handler_settings: Mapping[str, Any] = field(default_factory=dict)
    limits: JobLimits = field(default_factory=JobLimits)
    times: JobTimes = field(default_factory=JobTimes)
    tracer: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> WorkerConfig:
        return TypeAdapter(WorkerConfig).validate_python(json.loads(text))
