"""Does the model draw its training clips again? For every generated clip the nearest clip of the latent bank,
beside the same for rendered clips of the same scenes, which the bank cannot hold. A copy would be much nearer
than those, and much nearer than its own second nearest.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..dit import from_tokens
from ..latents import encode, open_bank
from .context import Context
from .prompts import Generated

CHUNK = 500  # clips of the bank at a time


def nearest(z: Tensor, bank: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """z [N, T', C, h, w] normalised -> distances to the two nearest clips [N, 2] and the seeds of those, i64.
    A distance is the root mean square of the difference, channels weighted by what they show."""
    weight = (bank["weight"] / bank["weight"].mean()).sqrt()[:, None, None]
    mean, std = (bank[k][:, None, None] for k in ("mean", "std"))
    q, parts = (z * weight).flatten(1), []
    for chunk in bank["z"].split(CHUNK):
        b = ((chunk.float() - mean) / std * weight).flatten(1)
        parts.append(torch.cdist(q, b, compute_mode="donot_use_mm_for_euclid_dist") / q.shape[1] ** 0.5)
    return torch.cat(parts, 1).topk(2, largest=False)


def memorisation(c: Context, made: Generated) -> tuple[dict[str, Any], list[tuple[int, int]]]:
    """Figures, and the generated clips nearest to a training clip as (index over all arms, seed of that clip)."""
    bank = open_bank(c.data / "latents.pt")
    generated = from_tokens(torch.cat(list(made.latents.values())), *c.pipe.grid)
    twins, _, _ = encode(c.pipe.model.vae, iter(c.twins(made.scenes())))
    rendered = (twins.float() - bank["mean"][:, None, None]) / bank["std"][:, None, None]
    figures: dict[str, Any] = {"training_clips": len(bank["z"]), "clips": len(generated)}
    found = {k: nearest(v, bank) for k, v in (("generated", generated), ("rendered", rendered))}
    for kind, (distance, _) in found.items():
        ratio = distance[:, 0] / distance[:, 1]
        values = {"median": distance[:, 0].median(), "smallest": distance[:, 0].min(), "ratio": ratio.min()}
        figures[kind] = {k: round(v.item(), 4) for k, v in values.items()}
    near = found["generated"][0][:, 0]
    figures["nearer_than_any_rendered"] = int((near < found["rendered"][0][:, 0].min()).sum())
    order = near.argsort()[:8].tolist()
    return figures, [(k, int(found["generated"][1][k, 0])) for k in order]
