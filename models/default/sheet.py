"""Contact sheets of clips."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor


def write_sheet(
    clips: Sequence[Tensor], path: str | os.PathLike[str], frames: Sequence[int] | None = None, columns: int = 2
) -> None:
    """One row of frames per clip [T, 3, H, W] u8, rows in columns; five frames spread over the clip."""
    last = clips[0].shape[0] - 1
    picks = frames if frames is not None else [last * k // 4 for k in range(5)]
    rows = [np.concatenate([c[k].permute(1, 2, 0).numpy() for k in picks], 1) for c in clips]
    columns = min(columns, len(rows))
    while len(rows) % columns:
        rows.append(np.zeros_like(rows[0]))
    n = len(rows) // columns
    image = np.concatenate([np.concatenate(rows[c * n : (c + 1) * n], 0) for c in range(columns)], 1)
    part = f"{path}.part"
    Image.fromarray(image).save(part, format="PNG")
    os.replace(part, path)
