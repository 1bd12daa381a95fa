"""How OpenVINO starts."""

from __future__ import annotations

import os

import pytest
from noyau.models.openvino_core import openvino_core


def test_it_reports_nothing_to_its_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.delenv("OPENVINO_TELEMETRY_DISABLE", raising=False)
    assert "CPU" in openvino_core().available_devices
    assert os.environ["OPENVINO_TELEMETRY_DISABLE"] == "1"
