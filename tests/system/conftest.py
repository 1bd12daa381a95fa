"""Makes the helpers of this folder importable for its tests (`from crash_harness import ...`)."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode leaves sys.path alone, so siblings would not be found.
sys.path.insert(0, str(Path(__file__).parent))
