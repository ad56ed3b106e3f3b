"""Makes `benchmark`, `models` and `made_up` importable however pytest is started."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
for folder in (ROOT, ROOT / "tests/bench", Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from made_up import MadeUp


@pytest.fixture
def made_up(tmp_path: Path) -> MadeUp:
    return MadeUp(tmp_path, [f"prompt {i}" for i in range(12)])
