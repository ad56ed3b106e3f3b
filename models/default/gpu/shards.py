"""Weights in a few small files: what a slice leaves behind, enough to go on elsewhere and to pack.

Parts are `encoder`, `decoder` (bf16), `dit` and `text` (matrices as int8 with a scale per row, the rest bf16).
Entries are spread over files of limited size; the description `about.json` belongs to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FILES, LIMIT = 4, 14 * 2**20 + 2**19  # with description, log and sheet below 60 MiB
SMALL = 4096  # entries of matrices that are not worth a scale
ROUNDED = ("dit", "text")

Entry = tuple[Tensor, ...]  # (values bf16,) or (values int8, scales f32 [rows, 1])


class TooLarge(ValueError):
    """The parts do not fit into the files."""


def rounded(w: Tensor) -> Entry:
    """int8 per row, symmetric."""
    scale = (w.float().abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
    return (w.float() / scale).round().clamp(-127, 127).to(torch.int8), scale


def entry(part: str, w: Tensor) -> Entry:
    w = w.detach().cpu()
    if part in ROUNDED and w.ndim == 2 and w.numel() > SMALL:
        return rounded(w)
    return (w.to(torch.bfloat16).contiguous(),)


def restored(e: Entry) -> Tensor:
    return e[0].float() * e[1] if len(e) == 2 else e[0].float()


def size(e: Entry) -> int:
    return sum(v.numel() * v.element_size() for v in e) + 512  # and the file's own record of it


def spread(entries: Mapping[str, Entry]) -> list[dict[str, Entry]]:
    """Into at most FILES groups of at most LIMIT bytes. Throws TooLarge."""
    groups: list[dict[str, Entry]] = []
    sizes: list[int] = []
    for name, e in sorted(entries.items(), key=lambda item: -size(item[1])):
        k = next((k for k, used in enumerate(sizes) if used + size(e) <= LIMIT), len(groups))
        if k == FILES:
            total = sum(size(e) for e in entries.values())
            raise TooLarge(f"{total / 2**20:.1f} MiB of weights do not fit into {FILES} files of {LIMIT / 2**20} MiB")
        if k == len(groups):
            groups.append({})
            sizes.append(0)
        groups[k][name] = e
        sizes[k] += size(e)
    return groups


def write(out: Path, weights: Mapping[str, Mapping[str, Tensor]]) -> list[Path]:
    """weights: part -> its tensors. Replaces the shards in OUT; throws TooLarge before it touches them."""
    entries = {f"{part}/{k}": entry(part, v) for part, tensors in weights.items() for k, v in tensors.items()}
    groups = spread(entries)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("weights-*.pt"):
        old.unlink()
    paths = []
    for k, group in enumerate(groups):
        path = out / f"weights-{k + 1}.pt"
        torch.save(group, f"{path}.part")
        Path(f"{path}.part").replace(path)
        paths.append(path)
    return paths


def read(folders: Sequence[Path]) -> dict[str, dict[str, Tensor]]:
    """part -> its tensors, f32; what stands in later folders counts."""
    parts: dict[str, dict[str, Tensor]] = {}
    for folder in folders:
        own: dict[str, dict[str, Tensor]] = {}
        for path in sorted(folder.glob("weights-*.pt")):
            for name, e in torch.load(path, weights_only=True, map_location="cpu").items():
                part, key = name.split("/", 1)
                own.setdefault(part, {})[key] = restored(e)
        parts.update(own)
    return parts


def about(folders: Sequence[Path]) -> dict[str, Any]:
    """The description in the last folder."""
    return json.loads((folders[-1] / "about.json").read_text())  # type: ignore[no-any-return]
