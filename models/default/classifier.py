"""A small video classifier: which scene do these frames show? It scores what the transformer generates.

It sees pixels alone and shares nothing with the model that it judges: frames at half size, convolutions over
neighbouring frames (the first ones see the change from frame to frame: motion is a pixel or two), then a
transformer over all positions with one register per field of captions.FIELDS. Trained on rendered clips and
their autoencoder round trips (train_classifier.py), never on generated ones. `second` and `relation` have one
class more: there is no second subject.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .captions import FIELDS, NAMES, Scene
from .checkpoint import write_json
from .dit import TextLayer
from .vae import ResBlock

NONE = "none"  # the class of `second` and `relation` where there is one subject
LABELS: dict[str, list[str]] = {f: [*NAMES[f], NONE] if f in ("second", "relation") else NAMES[f] for f in FIELDS}
POOL = 2  # the frames' pixels are averaged this far
CHANGE = 4.0  # factor of the change between frames
REDUCTION = 16  # from a frame's side to the token grid's
OPPOSITE = {"left of": "right of", "right of": "left of"}


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that decides shapes and the meaning of weights."""

    frames: int = 17  # 4n+1
    size: int = 128
    classes: tuple[int, ...] = tuple(len(LABELS[f]) for f in FIELDS)
    widths: tuple[int, ...] = (32, 64, 128)  # at 1/4, 1/8 and 1/16 of the frame
    depth: int = 2  # transformer layers
    heads: int = 4

    @staticmethod
    def from_dict(values: dict[str, Any]) -> ClassifierConfig:
        return ClassifierConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ordered(s: Scene) -> Scene:
    """Of two subjects that both stand still, either could be named first; here the left one is."""
    if s["second"] and s["motion"] == "still" and s["relation"] == "right of":
        return {**s, "subject": s["second"], "second": s["subject"], "relation": "left of"}
    return s


def targets(s: Scene) -> list[int]:
    """Class index per field, in the order of FIELDS."""
    s = ordered(s)
    return [LABELS[f].index(s[f] or NONE) for f in FIELDS]


def with_changes(x: Tensor) -> Tensor:
    """[B, T, C, h, w] -> [B, T, 3C, h, w]: each frame, and what changes from the one before and to the one after.
    Changes are small beside the frames that they separate, and are scaled up to be seen from the first step."""
    change = CHANGE * (x[:, 1:] - x[:, :-1])
    none = torch.zeros_like(x[:, :1])
    return torch.cat([x, torch.cat([none, change], 1), torch.cat([change, none], 1)], 2)


def neighbours(x: Tensor) -> Tensor:
    """[B, 2n+1, C, h, w] -> every second frame between the ones before and after it, [B, n+1, 3C, h, w]"""
    x = torch.cat([x[:, :1], x, x[:, -1:]], 1)
    return torch.cat([x[:, :-2:2], x[:, 1:-1:2], x[:, 2::2]], 2)


class VideoClassifier(nn.Module):
    def __init__(self, c: ClassifierConfig):
        super().__init__()
        self.cfg = c
        a, b, d = c.widths
        grid, times = c.size // REDUCTION, (c.frames - 1) // 4 + 1
        self.stem, self.down = nn.Conv2d(36, a, 3, padding=1), nn.Conv2d(a, b, 3, stride=2, padding=1)
        self.shape = ResBlock(b)
        self.move = nn.Conv2d(3 * b, d, 3, stride=2, padding=1)
        self.motion = ResBlock(d)
        self.group = nn.Conv2d(3 * d, d, 1)
        self.pos = nn.Parameter(torch.randn(times * grid * grid, d) * 0.1)
        self.registers = nn.Parameter(torch.randn(len(c.classes), d) * 0.5)
        self.layers = nn.ModuleList(TextLayer(d, c.heads) for _ in range(c.depth))
        self.norm = nn.LayerNorm(d)
        self.read = nn.ModuleList(nn.Linear(d, n) for n in c.classes)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """frames [B, T, 3, H, W] in [0, 1] -> logits [B, classes] of each field"""
        pooled = F.avg_pool2d(frames.flatten(0, 1), POOL)
        return self.classify(pooled.unflatten(0, (frames.shape[0], -1)))

    def classify(self, pooled: Tensor) -> tuple[Tensor, ...]:
        """forward behind the pooling: pooled [B, T, 3, H/2, W/2]"""
        n = pooled.shape[0]
        h = self.stem(F.pixel_unshuffle(with_changes(pooled * 2 - 1).flatten(0, 1), 2))
        h = self.shape(self.down(F.relu(h)))
        h = self.move(F.relu(neighbours(h.unflatten(0, (n, -1))).flatten(0, 1)))
        h = self.group(F.relu(neighbours(self.motion(h).unflatten(0, (n, -1))).flatten(0, 1)))
        h = h.unflatten(0, (n, -1))
        x = h.permute(0, 1, 3, 4, 2).flatten(1, 3) + self.pos
        x = torch.cat([self.registers.expand(n, -1, -1).to(x.dtype), x], 1)
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        return tuple(m(x[:, i]) for i, m in enumerate(self.read))


@dataclass(frozen=True)
class Classifier:
    """A trained classifier, and how often it is right where the truth is known."""

    model: VideoClassifier
    accuracy: dict[str, dict[str, float]]  # 'rendered' and 'round_trip', per field, on clips of its held-out seeds

    @torch.no_grad()
    def classes(self, frames: Tensor, batch: int = 16) -> Tensor:
        """frames [N, T, 3, H, W] u8 -> class per field, i64 [N, fields]"""
        expected = (self.model.cfg.frames, 3, self.model.cfg.size, self.model.cfg.size)
        if tuple(frames.shape[1:]) != expected:
            raise ValueError(f"the classifier takes clips of {expected} (got {tuple(frames.shape[1:])})")
        device = next(self.model.parameters()).device
        out = []
        for part in frames.split(batch):
            logits = self.model(part.to(device).float() / 255)
            out.append(torch.stack([p.argmax(-1) for p in logits], 1).cpu())
        return torch.cat(out)

    def name(self, classes: Sequence[int]) -> Scene:
        """The scene of one row of `classes`."""
        found = {f: LABELS[f][k] for f, k in zip(FIELDS, classes, strict=True)}
        return {f: None if v == NONE else v for f, v in found.items()}


def save(path: Path, model: VideoClassifier, about: dict[str, Any]) -> None:
    """PATH/classifier.safetensors in bf16 and classifier.json: configuration, classes, `about` (accuracies).
    The JSON is written last."""
    path.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().to("cpu", torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
    part = path / "classifier.safetensors.part"
    save_file(weights, str(part))
    os.chmod(part, 0o644)  # safetensors makes it readable to the owner alone
    part.replace(path / "classifier.safetensors")
    write_json(path / "classifier.json", {"config": model.cfg.to_dict(), "names": LABELS, **about})


def load(path: Path, device: str = "cpu") -> Classifier:
    """From the directory that `save` wrote. Raises ValueError where there is none, or one of other classes."""
    if not (path / "classifier.json").exists():
        raise ValueError(
            f"{path} holds no classifier; python -m models.default.train --resume --stage classifier --minutes 15"
        )
    about = json.loads((path / "classifier.json").read_text())
    for f in FIELDS:
        if (found := about["names"][f]) != LABELS[f]:
            raise ValueError(f"{path} was trained for other classes of {f}: {found} there, {LABELS[f]} here")
    model = VideoClassifier(ClassifierConfig.from_dict(about["config"]))
    model.load_state_dict({k: v.float() for k, v in load_file(path / "classifier.safetensors").items()})
    return Classifier(model.to(device).to(memory_format=torch.channels_last).eval(), about["accuracy"])
