"""How OpenVINO starts, and how it runs networks on processors."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Any

# Bound to cores, the threads of every process on a host would share the first ones, and the rest stand idle.
ON_CPU = MappingProxyType({"INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": "NO"})


def openvino_core() -> Any:
    """Its runtime. Raises ImportError where it is not installed."""
    # OpenVINO reports usage to its makers unless told not to, before it is imported.
    os.environ.setdefault("OPENVINO_TELEMETRY_DISABLE", "1")
    import openvino

    return openvino.Core()
