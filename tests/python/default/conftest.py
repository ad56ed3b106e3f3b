"""Makes `models.default` importable however pytest is started; a sprite atlas that needs no font; the whole
chain of trainings, twenty steps each."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
torch.set_num_threads(1)

from models.default.captions import SPRITES
from models.default.dataset import SPRITE


def write_atlas(path: Path) -> Path:
    """Discs of different colours, premultiplied RGBA u8 like the real sprites."""
    axis = (np.arange(SPRITE) + 0.5) / SPRITE * 2 - 1
    inside = (axis[None] ** 2 + axis[:, None] ** 2 < 0.8).astype(np.float32)
    rng = np.random.default_rng(0)
    rgba = np.stack([np.stack([inside * c for c in (*rng.random(3), 1.0)]) for _ in SPRITES])
    np.savez_compressed(path, rgba=(rgba * 255).astype(np.uint8), names=SPRITES)
    return path


@pytest.fixture(scope="session")
def atlas_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_atlas(tmp_path_factory.mktemp("atlas") / "atlas.npz")


def train(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "models.default.train", *flags]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, atlas_path: Path) -> Path:
    out = tmp_path_factory.mktemp("chain")
    (out / "data").mkdir()
    (out / "data" / "atlas.npz").write_bytes(atlas_path.read_bytes())
    done = train("--out", str(out), "--steps", "20", "--clips", "16", "--latents", "16", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return out
