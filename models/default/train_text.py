"""Trains the text encoder alone: its registers learn to read the attributes before the video model starts
to listen. A gate then asks for what the attribute loss hardly notices: directions that hang on word order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import captions
from .captions import FIELDS, Scene
from .dit import DiTConfig, TextEncoder
from .loop import Optimisers, Trainer
from .optim import schedule

GATE = 0.99
Tokenizer = Callable[[Sequence[str]], Tensor]  # texts -> ids i64 [B, length], see tokenizer.py


class GateFailed(RuntimeError):
    """The text encoder does not read directions; a video model trained on it would not either."""


@dataclass(frozen=True)
class TextOptions:
    batch: int = 128
    lr: float = 1e-3
    order: float = 0.3  # share of captions whose direction hangs on word order
    pairs: float = 0.3  # share of captions of two subjects: which of two nouns is the second is as hard to read
    empty: float = 0.03
    seed: int = 0


def fits(text: str, tokenizer: Tokenizer) -> bool:
    """Whether the encoder sees the whole of it, with a place to spare."""
    return bool(tokenizer([text])[0, -1] == 0)  # padding


def fitting(s: Scene, rng: random.Random, tokenizer: Tokenizer) -> tuple[str, list[str]]:
    """A caption that is not cut off at the encoder's length, and the fields that it mentions: of a longer one the
    labels would name what the encoder cannot see."""
    for mode in (None, None, None, "partial", "partial"):
        text, said = captions.caption(s, rng, mode)
        if fits(text, tokenizer):
            return text, said
    return captions.caption(s, rng, "short")


def sample_captions(
    rng: random.Random, n: int, tokenizer: Tokenizer, mode: str | None = None, held: bool = False
) -> tuple[list[str], list[list[int]]]:
    """Up to n captions that the encoder sees whole, of ten times as many at most, and their labels. mode, held: as for
    captions.caption; held ones are of held-out scenes. Raises ValueError where none fits."""
    texts: list[str] = []
    classes: list[list[int]] = []
    for _ in range(10 * n):
        if len(texts) == n:
            break
        s = captions.scene(rng, "held" if held else "train")
        text, said = captions.caption(s, rng, mode, held)
        if fits(text, tokenizer):
            texts.append(text)
            classes.append(captions.labels(s, said))
    if not texts:
        raise ValueError("no caption fits the text encoder")
    return texts, classes


def word(
    scenes: Sequence[Scene], rng: random.Random, empty: float, tokenizer: Tokenizer
) -> tuple[list[str], list[list[int]]]:
    """One caption per scene, a share of them empty, and the labels."""
    texts, classes = [], []
    for s in scenes:
        text, said = ("", []) if rng.random() < empty else fitting(s, rng, tokenizer)
        texts.append(text)
        classes.append(captions.labels(s, said))
    return texts, classes


def draw_texts(rng: random.Random, o: TextOptions, tokenizer: Tokenizer) -> tuple[list[str], list[list[int]]]:
    """The captions of one batch and their labels."""
    n, pairs = round(o.batch * o.order), round(o.batch * o.pairs)
    scenes = [captions.scene(rng, "any", 1.0) for _ in range(pairs)]
    scenes += [captions.scene(rng, "any") for _ in range(o.batch - n - pairs)]
    texts, classes = word(scenes, rng, o.empty, tokenizer)
    while len(texts) < o.batch:
        text, labels = captions.order_only(rng)
        if fits(text, tokenizer):
            texts.append(text)
            classes.append(labels)
    return texts, classes


def attribute_loss(text: TextEncoder, embedding: Tensor, classes: Tensor) -> Tensor:
    """classes i64 [B, fields]"""
    losses = [F.cross_entropy(p.float(), classes[:, i]) for i, p in enumerate(text.attributes(embedding))]
    return torch.stack(losses).mean()


class TextTrainer(Trainer):
    def __init__(self, config: DiTConfig, tokenizer: Tokenizer, options: TextOptions, device: str = "cpu"):
        self.o, self.tokenizer, self.cfg = options, tokenizer, config
        torch.manual_seed(options.seed)
        model = TextEncoder(config).to(device)
        adam = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=0.0)
        super().__init__(model, device, Optimisers(adam, list(model.parameters())))

    def config(self) -> dict[str, Any]:
        names = ("text_dim", "text_depth", "text_heads", "vocab", "length", "classes", "text_pos_std")
        return {k: getattr(self.cfg, k) for k in names}

    def factor(self, step: int, fraction: float) -> float:
        return schedule(fraction, step, warm=30, flat=0.3)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """-> ids i64 [B, length], classes i64 [B, fields]"""
        texts, classes = draw_texts(random.Random(f"text-{self.o.seed}-{step}"), self.o, self.tokenizer)
        return self.tokenizer(texts).to(self.device), torch.tensor(classes, device=self.device)

    def loss(self, step: int, fraction: float) -> Tensor:
        ids, classes = self.batch(step)
        with self.autocast():
            loss = attribute_loss(self.model, self.model(ids), classes)
        loss.backward()
        self.last = {"samples": len(ids)}
        return loss.detach()

    def evaluate(self) -> dict[str, Any]:
        return {"order": order_accuracy(self.model, self.tokenizer), **field_accuracy(self.model, self.tokenizer)}


@torch.no_grad()
def predict(text: TextEncoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Class per text and field, i64 [B, fields]."""
    device = next(text.parameters()).device
    logits = text.attributes(text(tokenizer(texts).to(device)))
    return torch.stack([p.argmax(-1) for p in logits], 1).cpu()


def order_accuracy(text: TextEncoder, tokenizer: Tokenizer, n: int = 384) -> float:
    """Share of plain order-only captions whose motion is read right."""
    rng = random.Random("order-gate")
    pairs = [captions.order_only(rng, plain=True) for _ in range(n)]
    wanted = torch.tensor([labels for _, labels in pairs])
    k = FIELDS.index("motion")
    return (predict(text, tokenizer, [t for t, _ in pairs])[:, k] == wanted[:, k]).float().mean().item()


def field_accuracy(text: TextEncoder, tokenizer: Tokenizer, n: int = 384, held: bool = False) -> dict[str, float]:
    """Share read right per field, over full captions (sample_captions); held: worded with phrases kept for
    evaluation."""
    texts, wanted = sample_captions(random.Random("field-accuracy"), n, tokenizer, "full", held)
    hits = (predict(text, tokenizer, texts) == torch.tensor(wanted)).float().mean(0)
    return {f: round(h, 4) for f, h in zip(FIELDS, hits.tolist(), strict=True)}


def gate(text: TextEncoder, tokenizer: Tokenizer, minimum: float = GATE) -> None:
    accuracy = order_accuracy(text, tokenizer)
    if accuracy < minimum:
        raise GateFailed(
            f"the text encoder reads {accuracy:.1%} of the order-only directions (needs {minimum:.0%}); "
            "give --stage text more minutes"
        )
