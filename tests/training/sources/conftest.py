"""The files that prepare the collection are scripts beside it, not an installed package."""

import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[3] / "training" / "sources"
sys.path.insert(0, str(SOURCES))
