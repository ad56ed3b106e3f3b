"""Makes `models` importable however pytest is started; bundles exported in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
torch.set_num_threads(1)

COMMITTED = {"tiny-wan": ROOT / "tests/data/bundles/tiny-wan", "synthetic": ROOT / "tests/data/bundles/synthetic"}


def start_export(adapter: str, out: Path) -> subprocess.Popen[str]:
    """Start `python -m models.export`: names inside archives depend on what a process traced before."""
    command = [sys.executable, "-W", "ignore", "-m", "models.export", adapter, "--out", str(out)]
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The tiny Wan bundle, exported twice."""
    folders = [tmp_path_factory.mktemp("export") / str(i) for i in range(2)]
    processes = [start_export("wan", folder) for folder in folders]
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    return folders


def pytest_configure(config: pytest.Config) -> None:
    """TorchScript's deprecation is known."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")
