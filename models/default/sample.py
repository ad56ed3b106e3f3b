"""Prompt -> frames with a packed checkpoint: Euler flow matching with classifier-free guidance.

python -m models.default.sample --checkpoint DIR --out sheet.png "a fox going left in the snow at sunset"
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from . import checkpoint
from .captions import FIELDS
from .dit import from_tokens, fused_attention, grid_coords, plain_attention
from .sheet import write_sheet
from .tokenizer import Tokenizer

Record = Callable[[int, int, Tensor], None]  # step, block, hidden state
Velocity = Callable[[Tensor, Tensor], Tensor]  # x [B, N, C], t [] -> [B, N, C] f32


@dataclass(frozen=True)
class Sampler:
    steps: int = 30
    shift: float = 3.0  # Wan's for small pictures; at 5 the first steps are so short that no block changes much in them
    guidance: float = 4.5
    seed: int = 0

    def times(self) -> Tensor:
        """Descending from 1 to 0, steps + 1 values."""
        u = torch.linspace(1, 0, self.steps + 1)
        return self.shift * u / (1 + (self.shift - 1) * u)


class Pipeline:
    def __init__(self, path: str, device: str = "cpu"):
        self.device = device
        self.model = checkpoint.load(path, plain_attention if device == "cpu" else fused_attention)
        for m in (self.model.dit, self.model.text, self.model.vae):
            m.to(device)
        self.config = self.model.config
        self.tokenizer = Tokenizer(self.model.tokenizer_path)
        self.mean, self.std = self.model.latent_statistics(device)
        size, frames = self.config["size"], self.config["frames"]
        self.grid = ((frames - 1) // 4 + 1, size // 16, size // 16)

    def sampler(self, **given: float | None) -> Sampler:
        """The checkpoint's own, but for what is given and not None."""
        return Sampler(**{**self.config.get("sampler", {}), **{k: v for k, v in given.items() if v is not None}})

    def autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16)

    @torch.no_grad()
    def understood(self, text: str) -> dict[str, str]:
        """What the registers read from the prompt; '-' where they read nothing. Empty for checkpoints that do
        not name their classes."""
        names = self.config.get("names")
        if names is None:
            return {}
        logits = self.model.text.attributes(self.model.text(self.tokenizer([text]).to(self.device)))
        return {f: [*names[f], "-"][int(p.argmax())] for f, p in zip(FIELDS, logits, strict=False)}

    @torch.no_grad()
    def noise(self, clips: int, seed: int) -> Tensor:
        """[B, N, C] f32, drawn on the CPU"""
        n, channels = self.grid[0] * self.grid[1] * self.grid[2], self.config["dit"]["channels"]
        return torch.randn(clips, n, channels, generator=torch.Generator().manual_seed(seed)).to(self.device)

    @torch.no_grad()
    def velocity(self, prompts: Sequence[str], guidance: float, record: Record | None = None) -> Velocity:
        """The guided velocity of these prompts, read once. record sees every block output of every call."""
        dit, n, calls = self.model.dit, len(prompts), itertools.count()
        with self.autocast():
            text = self.model.text(self.tokenizer([*prompts, *[""] * n]).to(self.device))
            c = dit.conditions(text, grid_coords(*self.grid, self.device))

        @torch.no_grad()
        def at(x: Tensor, t: Tensor) -> Tensor:
            call = next(calls)
            with self.autocast():
                te, mod = dit.time(t.expand(2 * n).to(self.device))
                h = dit.embed(torch.cat([x, x]), c.place)
                for k, (block, (key, value)) in enumerate(zip(dit.blocks, c.kv, strict=True)):
                    h = block(h, mod, c.cos, c.sin, key, value)
                    if record:
                        record(call, k, h)
                wanted, free = dit.head(h, te).float().chunk(2)
            return free + guidance * (wanted - free)

        return at

    @torch.no_grad()
    def latents(self, prompts: Sequence[str], sampler: Sampler, record: Record | None = None) -> Tensor:
        """-> normalised latents [B, N, C] f32. record sees every block output."""
        x, velocity = self.noise(len(prompts), sampler.seed), self.velocity(prompts, sampler.guidance, record)
        ts = sampler.times()
        for i in range(sampler.steps):
            x = x + (ts[i + 1] - ts[i]) * velocity(x, ts[i])
        return x

    @torch.no_grad()
    def decode(self, x: Tensor) -> Tensor:
        """[B, N, C] -> frames [B, 4n+1, 3, H, W] u8"""
        z = from_tokens(x, *self.grid) * self.std + self.mean
        with self.autocast():
            y = self.model.vae.decoder(z)
        return (y.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def main() -> None:
    p = argparse.ArgumentParser(description="Generate clips from a packed checkpoint.")
    p.add_argument("prompts", nargs="+")
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--out", default="sheet.png")
    p.add_argument("--seed", type=int)
    p.add_argument("--steps", type=int, help="default: the checkpoint's")
    p.add_argument("--shift", type=float)
    p.add_argument("--guidance", type=float)
    p.add_argument("--device", default="cpu")
    a = p.parse_args()
    pipe = Pipeline(a.checkpoint, a.device)
    for prompt in a.prompts:
        print(prompt, "->", pipe.understood(prompt))
    begin = time.monotonic()
    sampler = pipe.sampler(seed=a.seed, steps=a.steps, shift=a.shift, guidance=a.guidance)
    frames = pipe.decode(pipe.latents(a.prompts, sampler))
    print(f"{time.monotonic() - begin:.1f} s")
    write_sheet(list(frames), a.out, columns=2 if len(frames) > 3 else 1)


if __name__ == "__main__":
    main()
