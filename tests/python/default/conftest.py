"""Makes `models.default` importable however pytest is started; a sprite atlas that needs no font."""

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
