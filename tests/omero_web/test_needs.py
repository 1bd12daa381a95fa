"""Whether the browser tests run at all, and if not, why."""

from __future__ import annotations

import pytest
from needs import why_not


def test_browser_and_omero_web_are_here() -> None:
    if reason := why_not():
        pytest.skip(f"no test of OMERO.web was run: {reason}")
