"""Trains the classifier on its bank: rendered clips and autoencoder round trips, mirrored and played backwards.

Mirroring and time reversal change the labels with the picture. Reversal matters: sprites of the bank face where
they go, and a classifier that reads the direction off the face would pass a generated clip that moves the wrong
way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .captions import FIELDS, Scene
from .classifier import OPPOSITE, ClassifierConfig, VideoClassifier, save, targets
from .classifier_bank import ClassifierBank
from .loop import Optimisers, Trainer
from .optim import Average, Muon, schedule

MIRRORED = {"left to right": "right to left", "pan left": "pan right"}
REVERSED = {**MIRRORED, "rising": "falling", "growing": "shrinking", "zoom in": "zoom out"}


@dataclass(frozen=True)
class ClassifierOptions:
    batch: int = 16
    lr: float = 0.01  # of Muon
    adam: float = 1e-3
    flat: float = 0.3
    average: float = 0.995
    copies: float = 0.4  # share of round trips in a batch
    reverse: float = 0.3  # share of clips played backwards
    shift: int = 3  # largest displacement of a clip, pooled pixels
    noise: float = 0.03  # largest deviation of pixel noise
    seed: int = 0


def swapped(s: Scene, pairs: dict[str, str]) -> Scene:
    both = pairs | {b: a for a, b in pairs.items()}
    return {f: both.get(v, v) if v and f in ("motion", "camera") else v for f, v in s.items()}


def mirrored(s: Scene) -> Scene:
    """The scene of the clip with left and right exchanged."""
    s = swapped(s, MIRRORED)
    return {**s, "relation": OPPOSITE[s["relation"]] if s["relation"] else None}


def played_backwards(s: Scene) -> Scene:
    """The scene of the clip in reverse; of clear weather only, since rain does not rise."""
    return swapped(s, REVERSED)


class ClassifierTrainer(Trainer):
    """Reads OUT/bank, leaves OUT/classifier.safetensors and classifier.json."""

    def __init__(self, out: Path, options: ClassifierOptions, config: ClassifierConfig, device: str = "cpu"):
        self.o, self.out, self.cfg = options, out, config
        self.bank, self.held = (ClassifierBank.open(out / "bank", part) for part in ("train", "held"))
        torch.manual_seed(options.seed)
        model = VideoClassifier(config).to(device).to(memory_format=torch.channels_last)
        named = list(model.named_parameters())
        big = [p for n, p in named if p.ndim >= 2 and not n.startswith(("stem", "pos", "registers", "read"))]
        ids = {id(p) for p in big}
        rest = [p for _, p in named if id(p) not in ids]
        adam = torch.optim.AdamW(rest, lr=options.adam, betas=(0.9, 0.98), weight_decay=0.0)
        average = Average(model, options.average)
        super().__init__(model, device, Optimisers(adam, rest, Muon(big), options.lr, average))

    def config(self) -> dict[str, Any]:
        return self.cfg.to_dict()

    def factor(self, step: int, fraction: float) -> float:
        return schedule(fraction, step, 50, self.o.flat)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """-> pooled frames [B, T, 3, S/2, S/2] f32 in about [0, 1], classes [B, fields]"""
        rng, o = np.random.default_rng([self.o.seed, step]), self.o
        clips, labels = [], []
        for _ in range(o.batch):
            copy = rng.random() < o.copies
            source = self.bank.copies if copy else self.bank.rendered
            i = int(rng.integers(len(source)))
            s, x = self.bank.scenes[i], torch.from_numpy(np.array(source[i])).float() / 255
            if rng.random() < 0.5:
                s, x = mirrored(s), x.flip(-1)
            if s["weather"] == "clear" and rng.random() < o.reverse:
                s, x = played_backwards(s), x.flip(0)
            dy, dx = (int(v) for v in rng.integers(-o.shift, o.shift + 1, 2))
            size = x.shape[-1]
            x = F.pad(x, (o.shift,) * 4, mode="replicate")
            clips.append(x[..., o.shift + dy : o.shift + dy + size, o.shift + dx : o.shift + dx + size])
            labels.append(targets(s))
        x = torch.stack(clips)
        g = torch.Generator().manual_seed(o.seed * 1_000_003 + step)
        amount = o.noise * torch.rand(len(x), 1, 1, 1, 1, generator=g)
        return x + amount * torch.randn(x.shape, generator=g), torch.tensor(labels)

    def loss(self, step: int, fraction: float) -> Tensor:
        x, classes = (v.to(self.device) for v in self.batch(step))
        with self.autocast():
            logits = self.model.classify(x)
        losses = [F.cross_entropy(p.float(), classes[:, i]) for i, p in enumerate(logits)]
        torch.stack(losses).mean().backward()
        self.last = {"samples": len(x), **{f: round(v.item(), 3) for f, v in zip(FIELDS, losses, strict=True)}}
        return torch.stack(losses).mean().detach()

    @torch.no_grad()
    def right(self, clips: np.ndarray) -> Tensor:
        """Which fields of the held-out clips are read right, bool [N, fields]"""
        hits = []
        for k in range(0, len(clips), 32):
            x = torch.from_numpy(np.array(clips[k : k + 32])).to(self.device).float() / 255
            read = torch.stack([p.argmax(-1) for p in self.model.classify(x)], 1).cpu()
            hits.append(read == torch.tensor([targets(s) for s in self.held.scenes[k : k + len(x)]]))
        return torch.cat(hits)

    def evaluate(self) -> dict[str, Any]:
        """Accuracies of the averaged weights, as they are shipped (bf16), and their file."""
        pair = torch.tensor([s["second"] is not None for s in self.held.scenes])
        accuracy: dict[str, dict[str, float]] = {}
        with self.averages().applied(self.model):
            own = {k: v.clone() for k, v in self.model.state_dict().items()}
            self.model.load_state_dict({k: v.bfloat16().float() for k, v in own.items()})
            for kind, clips in (("rendered", self.held.rendered), ("round_trip", self.held.copies)):
                hits = self.right(clips).float()
                accuracy[kind] = named(hits) | {f"{f} of pairs": v for f, v in named(hits[pair[: len(hits)]]).items()}
            clips_seen = {k: len(v) for k, v in (("rendered", self.held.rendered), ("round_trip", self.held.copies))}
            save(self.out, self.model, {"accuracy": accuracy, "held_out_clips": clips_seen})
        return {k: {f: v[f] for f in FIELDS} for k, v in accuracy.items()}


def named(hits: Tensor) -> dict[str, float]:
    return {f: round(h, 4) for f, h in zip(FIELDS, hits.mean(0).tolist(), strict=True)}
