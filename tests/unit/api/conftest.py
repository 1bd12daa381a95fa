"""Makes the forger of tokens importable (`from forge import ...`)."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode leaves sys.path alone, so siblings would not be found.
sys.path.insert(0, str(Path(__file__).parents[2] / "forging"))
