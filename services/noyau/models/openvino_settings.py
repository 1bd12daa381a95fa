"""How OpenVINO runs networks on processors."""

from __future__ import annotations

from types import MappingProxyType

# Bound to cores, the threads of every process on a host would share the first ones, and the rest stand idle.
ON_CPU = MappingProxyType({"INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": "NO"})
