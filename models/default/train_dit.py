"""Trains the diffusion transformer and its text encoder on the latent bank.

Rectified flow: x_t = (1 - t) x_0 + t noise, the model predicts noise - x_0. The budget is cut into phases:
a phase trains on n latent frames per clip, drawn at random and kept at their true time coordinates (a fifth
of the tokens is three times the clips per second), the last phase on whole clips.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .captions import Scene, canonical, held_out
from .dit import Block, DiT, DiTConfig, TextEncoder, fused_attention, grid_coords, plain_attention, to_tokens
from .latents import OUTLIER, mean_square
from .loop import Optimisers, Trainer
from .optim import Average, Muon, schedule
from .train_text import TextOptions, Tokenizer, attribute_loss, draw_texts, order_accuracy, word

if TYPE_CHECKING:
    from .data_parallel import Replicas


@dataclass(frozen=True)
class Phase:
    until: float  # fraction of the budget
    frames: int  # latent frames per clip; 0: whole clips
    batch: int


LATE = {"spinning": 1.5, "circling": 4.0}  # how much more often than others a motion that is learnt late is drawn


@dataclass(frozen=True)
class DiTOptions:
    phases: tuple[Phase, ...] = (Phase(0.25, 1, 80), Phase(1.0, 0, 24))
    lr: float = 0.015  # of Muon
    adam: float = 1.5e-3
    flat: float = 0.5
    warm: int = 60
    shift: float = 2.0  # pushes training times towards noise
    sprite: float = 4.0  # extra loss weight of tokens under the sprite
    attributes: float = 0.3  # weight of the attribute loss
    read: int = 128  # further captions a step that only the text encoder reads
    pairs: float = 2.5  # how much more often than others a clip of two subjects is drawn from a bank on the host
    empty: float = 0.1  # captions dropped for guidance
    average: float = 0.996  # some ten minutes of two cores; the learning rate ends decayed besides
    validation: int = 48  # clips at the end of the bank, never trained on
    seed: int = 0


class Model(nn.Module):
    def __init__(self, c: DiTConfig, device: str):
        super().__init__()
        attend = plain_attention if device == "cpu" else fused_attention
        self.text, self.dit = TextEncoder(c), DiT(c, attend)


def compile_blocks(dit: DiT) -> None:
    """One compiled function shared by all blocks: 40 % faster on a CPU. Every new (batch, tokens) pair is
    compiled anew, so keep those few."""
    compiled = torch.compile(Block.forward, dynamic=False)
    for b in dit.blocks:
        b.forward = MethodType(compiled, b)


def draw_times(n: int, shift: float, g: torch.Generator) -> Tensor:
    """Logit-normal, a tenth uniform so that both ends are trained, shifted towards noise. [n] f32"""
    t = torch.sigmoid(torch.randn(n, generator=g, device=g.device))
    chance, uniform = (torch.rand(n, generator=g, device=g.device) for _ in range(2))
    t = torch.where(chance < 0.1, uniform, t)
    return shift * t / (1 + (shift - 1) * t)


def parameter_groups(model: Model) -> tuple[list[Tensor], list[Tensor]]:
    """2-D matrices of blocks and text layers go to Muon, everything else to AdamW."""
    big = [
        p
        for n, p in model.named_parameters()
        if p.ndim == 2 and "table" not in n and ("blocks." in n or "layers." in n)
    ]
    ids = {id(p) for p in big}
    return big, [p for p in model.parameters() if id(p) not in ids]


@dataclass(frozen=True)
class Share:
    """Which rows of a batch are this process's (data_parallel.py)."""

    index: int = 0
    of: int = 1

    def rows(self) -> slice:
        return slice(self.index, None, self.of)


@dataclass
class Batch:
    x: Tensor  # [B, N, C] normalised latents
    coords: Tensor  # [N, 3] or [B, N, 3]
    weight: Tensor  # [B, N] of the loss
    ids: Tensor
    classes: Tensor
    t: Tensor  # [B]
    noise: Tensor

    def part(self, share: Share) -> Batch:
        """The rows of one process."""
        rows = share.rows()
        coords = self.coords if self.coords.ndim == 2 else self.coords[rows]
        x, *rest = (v[rows] for v in (self.x, self.weight, self.ids, self.classes, self.t, self.noise))
        return Batch(x, coords, *rest)


class DiTTrainer(Trainer):
    def __init__(self, config: DiTConfig, bank: dict[str, Any], tokenizer: Tokenizer, options: DiTOptions, device: str):
        self.o, self.tokenizer, self.cfg = options, tokenizer, config
        self.device, self.share = device, Share()
        self.replicas: Replicas | None = None
        self._read(bank)
        torch.manual_seed(options.seed)
        model = Model(config, device).to(device)
        big, rest = parameter_groups(model)
        adam = torch.optim.AdamW(rest, lr=options.adam, betas=(0.9, 0.98), weight_decay=0.0)
        average = Average(model, options.average)
        super().__init__(model, device, Optimisers(adam, rest, Muon(big), options.lr, average))
        self.after: Callable[[], None] = lambda: None  # called after each evaluation (pack, sheet)

    def _read(self, bank: dict[str, Any]) -> None:
        if any(held_out(s) for s in bank["scenes"]):
            raise ValueError("the latent bank holds a combination of held_out.json; training must not see it")
        self.vae = bank["vae"]
        self.mean, self.std = (bank[k][:, None, None] for k in ("mean", "std"))
        self.channel = bank["weight"].to(self.device)
        ordinary = mean_square(bank["z"], bank["mean"], bank["std"]) < OUTLIER
        keep = ordinary.nonzero().flatten()
        self.dropped = len(ordinary) - len(keep)
        held = min(self.o.validation, max(1, len(keep) // 4))
        self.validation, keep = keep[-held:], keep[:-held]
        self.z, self.cover, self.scenes, self.index = bank["z"], bank["cover"], bank["scenes"], keep
        self.odds = torch.tensor([self._odds(self.scenes[i]) for i in keep.tolist()])
        _, self.frames, _, self.height, self.width = self.z.shape
        self.full = grid_coords(self.frames, self.height, self.width, self.device)

    def _odds(self, s: Scene) -> float:
        """How often its clip is drawn, to a plain one."""
        return (self.o.pairs if s["second"] else 1.0) * LATE.get(str(s["motion"]), 1.0)

    def start(self, text: dict[str, Tensor] | None, init: dict[str, Tensor] | None = None) -> None:
        """From a trained text encoder, or from the averaged weights of an earlier run (re-warmed)."""
        if init is not None:
            self.model.load_state_dict(init)
        elif text is not None:
            self.model.text.load_state_dict(text)
        self.restart_average()

    def config(self) -> dict[str, Any]:
        return {**self.cfg.to_dict(), "vae": self.vae}

    def factor(self, step: int, fraction: float) -> float:
        return schedule(fraction, step, self.o.warm, self.o.flat)

    def normalised(self, index: Tensor) -> Tensor:
        return (self.z[index].float() - self.mean) / self.std

    def draw(self, n: int, step: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> normalised latents [n, T, C, h, w], sprite cover [n, T, h, w] in [0, 1], ids, classes"""
        index = self.index[torch.multinomial(self.odds.to(g.device), n, True, generator=g).cpu()]
        rng = random.Random(f"dit-{self.o.seed}-{step}")
        texts, classes = word([self.scenes[i] for i in index.tolist()], rng, self.o.empty, self.tokenizer)
        drawn = (
            self.normalised(index),
            self.cover[index].float() / 255,
            self.tokenizer(texts),
            torch.tensor(classes),
        )
        z, cover, ids, labels = (v.to(self.device) for v in drawn)
        return z, cover, ids, labels

    def batch(self, step: int, phase: Phase) -> Batch:
        g = torch.Generator(self.device).manual_seed(self.o.seed * 1_000_003 + step)
        n = phase.batch
        z, cover, ids, classes = self.draw(n, step, g)
        coords = self.full
        if 0 < phase.frames < self.frames:
            order = torch.rand(n, self.frames, generator=g, device=self.device).argsort(1)
            picks = order[:, : phase.frames].sort(1).values
            rows = torch.arange(n, device=self.device)[:, None]
            z, cover = z[rows, picks], cover[rows, picks]
            coords = grid_coords(1, self.height, self.width, self.device).repeat(n, phase.frames, 1, 1)
            coords[..., 0] = picks[..., None]
            coords = coords.flatten(1, 2)
        x = to_tokens(z)
        t, noise = draw_times(n, self.o.shift, g), torch.randn(x.shape, generator=g, device=self.device)
        return Batch(x, coords, 1 + self.o.sprite * cover.flatten(1), ids, classes, t, noise)

    def attributes(self, step: int, embedding: Tensor, classes: Tensor) -> Tensor:
        """Attribute loss of the clips' captions and of others beside them, since the clips of a batch are too few to
        keep word order; over this process's rows."""
        part = self.share.rows()
        if self.o.read:
            rng = random.Random(f"read-{self.o.seed}-{step}")
            texts, more = draw_texts(rng, TextOptions(batch=self.o.read, order=0.2, pairs=0.35), self.tokenizer)
            embedding = torch.cat([embedding, self.model.text(self.tokenizer(texts[part]).to(self.device))])
            classes = torch.cat([classes, torch.tensor(more[part], device=self.device)])
        return attribute_loss(self.model.text, embedding, classes)

    def loss(self, step: int, fraction: float) -> Tensor:
        return self.replicas.loss(step, fraction) if self.replicas else self.part(step, fraction)

    def part(self, step: int, fraction: float) -> Tensor:
        """Forward and backward of this process's rows. The losses of all shares add up to that of the batch."""
        phase = next((p for p in self.o.phases if fraction < p.until), self.o.phases[-1])
        whole = self.batch(step, phase)
        b = whole.part(self.share)
        t = b.t[:, None, None]
        with self.autocast():
            embedding = self.model.text(b.ids)
            v = self.model.dit((1 - t) * b.x + t * b.noise, b.t, embedding, b.coords)
            attributes = self.attributes(step, embedding, b.classes) / self.share.of
        error = ((v.float() - (b.noise - b.x)).pow(2) * self.channel).mean(-1)
        loss = (error * b.weight).sum() / whole.weight.sum()
        (loss + self.o.attributes * attributes).backward()
        self.last = {"samples": len(whole.t), "frames": phase.frames or self.frames, "attributes": attributes.detach()}
        return loss.detach()

    def kept_apart(self, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Clips of the validation -> normalised latents, sprite cover, ids of their canonical captions"""
        ids = self.tokenizer([canonical(self.scenes[i]) for i in part.tolist()])
        drawn = (self.normalised(part), self.cover[part].float() / 255, ids)
        z, cover, ids = (v.to(self.device) for v in drawn)
        return z, cover, ids

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Error of the averaged weights on clips kept apart, at fixed noise: in the mean, by quarter of t, and under
        the sprite; share of the order-only directions that the text encoder reads."""
        n = len(self.validation)
        g = torch.Generator().manual_seed(1)
        noise = torch.randn(n, len(self.full), self.cfg.channels, generator=g)
        t, out, covered = torch.linspace(0.05, 0.95, n), [], []
        with self.averages().applied(self.model), torch.compiler.set_stance("force_eager"):
            for k in range(0, n, 24):
                part = self.validation[k : k + 24]
                z, cover, ids = self.kept_apart(part)
                x, e, tk = to_tokens(z), noise[k : k + 24].to(self.device), t[k : k + 24].to(self.device)
                with self.autocast():
                    xt = (1 - tk)[:, None, None] * x + tk[:, None, None] * e
                    v = self.model.dit(xt, tk, self.model.text(ids), self.full)
                error = ((v.float() - (e - x)).pow(2) * self.channel).mean(2)
                w = cover.flatten(1)
                out.append(error.mean(1).cpu())
                covered.append(((error * w).sum(1) / w.sum(1).clamp(min=1e-6)).cpu())
            order = order_accuracy(self.model.text, self.tokenizer)
        self.after()
        errors = torch.cat(out)
        quarters = [round(q.mean().item(), 4) for q in errors.chunk(4)]
        figures = {"validation": errors.mean().item(), "sprite": torch.cat(covered).mean().item(), "order": order}
        return {**figures, "quarters": quarters, "dropped": self.dropped}
