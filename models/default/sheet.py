"""Contact sheets of clips."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

# What a training draws at each of its checkpoints.
PROMPTS = (
    "a fox moving from left to right in the snow at sunset",
    "a rocket rising in space at night",
    "a pumpkin growing in the desert at noon",
    "a red car going left in the city at night, in the rain",
    "a penguin bouncing to the left of a train in the mountains in daylight",
    "a dolphin circling underwater by day, camera pans right",
)


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
    part = Path(f"{path}.part")
    part.write_bytes(png(image))
    os.replace(part, path)


def png(image: np.ndarray) -> bytes:
    """[H, W, 3] u8 as PNG. By hand, since a machine that only trains has no imaging library."""
    height, width, _ = image.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], 1)  # filter 0 per line

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
