"""The model card's pictures: a contact sheet with the prompt under each clip, and the clips nearest to training
clips. Together they stay below a size that a repository can carry."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

MAX_BYTES = 1_500_000  # of all pictures together
SCALES = (1.0, 0.875, 0.75, 0.625, 0.5)
LINE = 13  # pixels
BACKGROUND = 255


@dataclass(frozen=True)
class Pictures:
    """prompts with their clips [N, T, 3, H, W] u8; nearest: (generated clip, training clip)."""

    prompts: list[str]
    frames: Tensor
    nearest: list[tuple[Tensor, Tensor]]


def strip(clip: Tensor, times: Sequence[int], scale: float) -> Image.Image:
    """Frames of a clip [T, 3, H, W] u8 side by side."""
    frames = torch.stack([clip[t] for t in times])
    if scale != 1:
        size = [round(n * scale) for n in frames.shape[2:]]
        frames = F.interpolate(frames.float(), size, mode="bilinear", antialias=True).round().byte()
    row = torch.cat(list(F.pad(frames, (0, 2), value=BACKGROUND)), 2)[..., :-2]
    return Image.fromarray(row.permute(1, 2, 0).numpy())


def contact_sheet(strips: Sequence[Image.Image], texts: Sequence[str], columns: int) -> Image.Image:
    """Cells of one strip with its text below."""
    width, height = strips[0].size
    font = ImageFont.load_default(size=LINE - 2)
    wrapped = [textwrap.wrap(t, max(12, width // 6)) for t in texts]
    below = LINE * max((len(w) for w in wrapped), default=0) + 4
    rows = -(-len(strips) // columns)
    sheet = Image.new("RGB", (columns * (width + 4), rows * (height + below)), (BACKGROUND,) * 3)
    draw = ImageDraw.Draw(sheet)
    for k, (image, lines) in enumerate(zip(strips, wrapped, strict=True)):
        x, y = k % columns * (width + 4), k // columns * (height + below)
        sheet.paste(image, (x, y))
        for n, line in enumerate(lines):
            draw.text((x + 1, y + height + n * LINE), line, fill=(0, 0, 0), font=font)
    return sheet


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def draw_sheets(p: Pictures, scale: float) -> dict[str, bytes]:
    last = p.frames.shape[1] - 1
    clips = [strip(c, (0, last), scale) for c in p.frames]
    pairs = [strip(torch.cat([a, b], 3), (last // 2,), scale) for a, b in p.nearest]
    sheets = {"held_out.png": encoded(contact_sheet(clips, p.prompts, columns=min(4, len(clips))))}
    if pairs:
        sheets["nearest.png"] = encoded(contact_sheet(pairs, [""] * len(pairs), columns=min(4, len(pairs))))
    return sheets


def write(directory: Path, p: Pictures) -> float:
    """Write DIRECTORY/*.png at the largest scale that fits MAX_BYTES; returns that scale."""
    directory.mkdir(parents=True, exist_ok=True)
    for scale in SCALES:
        sheets = draw_sheets(p, scale)
        if sum(len(s) for s in sheets.values()) <= MAX_BYTES:
            for name, data in sheets.items():
                part = directory / f"{name}.part"
                part.write_bytes(data)
                part.replace(directory / name)
            return scale
    raise ValueError(f"{len(p.prompts)} clips take more than {MAX_BYTES} bytes even at half size; give fewer --prompts")
