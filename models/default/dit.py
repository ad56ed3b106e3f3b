"""Text-to-video diffusion transformer (Wan-shaped) and its text encoder.

Tokens are latent positions (patch 1). The model is cut exactly where a block cache needs it:

    conditions(text, coords) -> Conditions(cos, sin, place, kv)   depends on prompt and grid only
    time(t)                  -> (te, mod)                         depends on the timestep only
    embed(x, place)          -> h                                 [B, N, d]
    blocks[i](h, mod, cos, sin, k, v) -> h
    head(h, te)              -> velocity                          [B, N, channels]

A block has three stages. self_attention and feed_forward return (output, gate), cross_attention has no
gate (as in Wan); `add` sums them into the hidden state. Weights may be cast as a whole (`dit.bfloat16()`);
frequencies stay fp32, since a rounded frequency is another model.
Read vae.py for what a latent is, train_dit.py for how this is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
PLACE_FEATURES = 24  # sine and cosine of three relative coordinates at four octaves


@dataclass(frozen=True)
class DiTConfig:
    """Everything that decides shapes and the meaning of weights. The defaults are those of the first
    prototype, so that its checkpoint loads; `default_config` gives what new trainings use."""

    dim: int = 192
    depth: int = 12
    heads: int = 3
    ffn: int = 4
    channels: int = 48
    text_dim: int = 256
    text_depth: int = 4
    text_heads: int = 4
    vocab: int = 1024
    length: int = 32
    classes: tuple[int, ...] = (32, 10, 10, 4, 5)  # one register per attribute, in the order of FIELDS
    rope_base: float = 100.0
    clip_frames: int = 5  # latent frames of the training clip (scale of absolute time)
    time_scale: float = 1000.0  # fastest angular frequency of the time features, rad per unit of t
    time_frequencies: int = 128
    time_period: float = 1e4  # ratio of fastest to slowest time frequency
    text_pos_std: float = 0.1  # start of the text position embedding; too small and word order is lost

    @staticmethod
    def from_dict(values: dict[str, Any]) -> DiTConfig:
        return DiTConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


PRESETS: dict[str, dict[str, int]] = {
    "XXS": {"dim": 128, "depth": 4, "heads": 2, "text_depth": 2, "text_dim": 128},
    "XS": {"dim": 192, "depth": 12, "heads": 3},
    "S": {"dim": 256, "depth": 12, "heads": 4},
    "M": {"dim": 384, "depth": 16, "heads": 6},
}

# Time features slow enough that neighbouring sampler steps see nearly the same modulation (the prototype's
# fastest feature turned 4 rad between steps and put spikes into the per-step profile), and a position
# embedding at the scale of the tokens, without which "left to right" and "right to left" read alike.
SMOOTH: dict[str, float | int] = {
    "time_scale": 24.0,
    "time_frequencies": 32,
    "time_period": 100.0,
    "text_pos_std": 0.5,
}


def default_config(preset: str, **values: Any) -> DiTConfig:
    """The configuration of a new training."""
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)} (got {preset})")
    return DiTConfig(**{**SMOOTH, **PRESETS[preset], **values})


class Conditions(NamedTuple):
    """What is constant over the steps."""

    cos: Tensor  # [B|1, 1, N, D/2] f32
    sin: Tensor
    place: Tensor  # [B|1, N, 24] f32, where a token is in its clip
    kv: tuple[tuple[Tensor, Tensor], ...]  # text keys and values of each block, [B, heads, L, D]


def grid_coords(frames: int, height: int, width: int, device: torch.device | str | None = None) -> Tensor:
    """Latent coordinates (t, y, x), row-major: [frames * height * width, 3] i64."""
    axes = [torch.arange(n, device=device) for n in (frames, height, width)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def to_tokens(z: Tensor) -> Tensor:
    """[B, T, C, H, W] -> [B, T*H*W, C]"""
    return z.permute(0, 1, 3, 4, 2).flatten(1, 3)


def from_tokens(x: Tensor, frames: int, height: int, width: int) -> Tensor:
    """[B, T*H*W, C] -> [B, T, C, H, W]"""
    return x.unflatten(1, (frames, height, width)).permute(0, 1, 4, 2, 3)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, h*D] -> [B, h, N, D]"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def rms(x: Tensor) -> Tensor:
    """Root-mean-square norm over the last axis, statistics in fp32."""
    return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding. x [B, h, N, D]; cos, sin [B|1, 1, N, D/2]; a pair is (first half, second half)."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[B, h, N, D] x3 -> [B, h, N, D]"""
    return F.scaled_dot_product_attention(q, k, v)


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same by two matrix products: faster on CPUs in bf16 at a few hundred tokens."""
    return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), -1) @ v


class FrequencyBuffers(nn.Module):
    """A module whose buffers keep their dtype under `.bfloat16()` and `.half()`."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, old in before.items():
            new = self._buffers[name]
            if old is not None and new is not None and new.dtype != old.dtype:
                self._buffers[name] = old.to(new.device)
        return self


class Block(nn.Module):
    def __init__(self, c: DiTConfig, attend: Attention = fused_attention):
        super().__init__()
        d = c.dim
        self.heads, self.attend = c.heads, attend
        self.qkv, self.o = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.qn, self.kn = (nn.Parameter(torch.ones(d // c.heads)) for _ in range(2))
        self.cnorm = nn.LayerNorm(d)
        self.cq, self.ckv, self.co = nn.Linear(d, d), nn.Linear(c.text_dim, 2 * d), nn.Linear(d, d)
        self.cqn, self.ckn = (nn.Parameter(torch.ones(d // c.heads)) for _ in range(2))
        self.f1, self.f2 = nn.Linear(d, c.ffn * d), nn.Linear(c.ffn * d, d)
        self.table = nn.Parameter(torch.randn(6, d) / d**0.5)

    def text_kv(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """text [B, L, text_dim] -> keys and values [B, h, L, D], the same at every step."""
        k, v = self.ckv(text.to(self.ckv.weight.dtype)).chunk(2, -1)
        k = split_heads(k, self.heads)
        return rms(k) * self.ckn.to(k.dtype), split_heads(v, self.heads)

    def modulation(self, mod: Tensor) -> tuple[Tensor, ...]:
        """mod [B, 6, d] -> shift, scale, gate of self-attention and of the feed-forward, each [B, 1, d]"""
        return (self.table + mod).unsqueeze(2).to(mod.dtype).unbind(1)

    def modulated(self, h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return F.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift

    def project_qkv(self, h: Tensor, mod: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """-> q, k, v [B, h, N, D], normed and rotated"""
        shift, scale = self.modulation(mod)[:2]
        q, k, v = (split_heads(z, self.heads) for z in self.qkv(self.modulated(h, shift, scale)).chunk(3, -1))
        cos, sin = cos.to(q.dtype), sin.to(q.dtype)
        return rotate(rms(q) * self.qn.to(q.dtype), cos, sin), rotate(rms(k) * self.kn.to(k.dtype), cos, sin), v

    def attention_out(self, a: Tensor, mod: Tensor) -> tuple[Tensor, Tensor]:
        """a [B, h, N, D] -> output [B, N, d], gate [B, 1, d]"""
        return self.o(a.transpose(1, 2).flatten(2)), self.modulation(mod)[2]

    def self_attention(self, h: Tensor, mod: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        return self.attention_out(self.attend(*self.project_qkv(h, mod, cos, sin)), mod)

    def cross_attention(self, h: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q = split_heads(self.cq(self.cnorm(h)), self.heads)
        a = self.attend(rms(q) * self.cqn.to(q.dtype), k.to(q.dtype), v.to(q.dtype))
        return self.co(a.transpose(1, 2).flatten(2))

    def feed_forward(self, h: Tensor, mod: Tensor) -> tuple[Tensor, Tensor]:
        shift, scale, gate = self.modulation(mod)[3:]
        return self.f2(F.gelu(self.f1(self.modulated(h, shift, scale)), approximate="tanh")), gate

    @staticmethod
    def add(h: Tensor, output: Tensor, gate: Tensor) -> Tensor:
        return h + gate * output

    def forward(self, h: Tensor, mod: Tensor, cos: Tensor, sin: Tensor, k: Tensor, v: Tensor) -> Tensor:
        h = self.add(h, *self.self_attention(h, mod, cos, sin))
        h = h + self.cross_attention(h, k, v)
        return self.add(h, *self.feed_forward(h, mod))


class DiT(FrequencyBuffers):
    def __init__(self, c: DiTConfig, attend: Attention = fused_attention):
        super().__init__()
        d, self.cfg = c.dim, c
        self.inp, self.pos = nn.Linear(c.channels, d), nn.Linear(PLACE_FEATURES, d)
        self.t1, self.t2 = nn.Linear(2 * c.time_frequencies, d), nn.Linear(d, d)
        self.tmod = nn.Linear(d, 6 * d)
        self.blocks = nn.ModuleList(Block(c, attend) for _ in range(c.depth))
        self.table = nn.Parameter(torch.randn(2, d) / d**0.5)
        self.out = nn.Linear(d, c.channels)
        for m in [self.tmod, self.out] + [b.co for b in self.blocks]:
            nn.init.zeros_(m.weight)
            nn.init.zeros_(m.bias)
        half = d // c.heads
        counts = (half // 8, 3 * half // 16, 3 * half // 16)  # frequencies for t, y, x: together D / 2
        axis = [i for i, k in enumerate(counts) for _ in range(k)]
        freq = [c.rope_base ** (-j / k) for k in counts for j in range(k)]
        slow = math.log(c.time_period) / c.time_frequencies
        self.register_buffer("axis", torch.tensor(axis), persistent=False)
        self.register_buffer("freq", torch.tensor(freq), persistent=False)
        steps = torch.arange(c.time_frequencies)
        self.register_buffer("tfreq", torch.exp(-slow * steps), persistent=False)

    def place(self, coords: Tensor) -> Tensor:
        """Coordinates [N, 3] or [B, N, 3] of the *whole* grid -> features [B|1, N, 24] f32."""
        c = coords.float().reshape(-1, coords.shape[-2], 3)
        yx = (c[..., 1:] + 0.5) / (c[..., 1:].amax((-3, -2), keepdim=True) + 1)
        rel = torch.cat([c[..., :1] / (2 * self.cfg.clip_frames), yx], -1)
        a = torch.cat([rel * (math.pi * 2**k) for k in range(4)], -1)
        return torch.cat([a.cos(), a.sin()], -1)

    def conditions(self, text: Tensor, coords: Tensor) -> Conditions:
        """text [B, L, text_dim], coords [N, 3] or [B, N, 3]"""
        angle = coords.float().reshape(-1, coords.shape[-2], 3).unsqueeze(1)[..., self.axis] * self.freq
        kv = tuple(b.text_kv(text) for b in self.blocks)
        return Conditions(angle.cos(), angle.sin(), self.place(coords), kv)

    def time_features(self, t: Tensor) -> Tensor:
        """t [B] in [0, 1] -> [B, 2 * time_frequencies] f32"""
        a = (t.float() * self.cfg.time_scale)[:, None] * self.tfreq
        return torch.cat([a.cos(), a.sin()], -1)

    def time(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """t [B] in [0, 1] -> te [B, d], mod [B, 6, d]"""
        te = self.t2(F.silu(self.t1(self.time_features(t).to(self.t1.weight.dtype))))
        return te, self.tmod(F.silu(te)).unflatten(-1, (6, -1))

    def embed(self, x: Tensor, place: Tensor) -> Tensor:
        """x [B, N, channels], place as in conditions -> [B, N, d]"""
        dtype = self.inp.weight.dtype
        return self.inp(x.to(dtype)) + self.pos(place.to(dtype))

    def head(self, h: Tensor, te: Tensor) -> Tensor:
        shift, scale = (self.table + te.unsqueeze(1)).unsqueeze(2).to(te.dtype).unbind(1)
        return self.out(F.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift)

    def forward(self, x: Tensor, t: Tensor, text: Tensor, coords: Tensor) -> Tensor:
        c = self.conditions(text, coords)
        te, mod = self.time(t)
        h = self.embed(x, c.place)
        for block, (k, v) in zip(self.blocks, c.kv, strict=True):
            h = block(h, mod, c.cos, c.sin, k, v)
        return self.head(h, te)


class TextLayer(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads, self.n1, self.n2 = heads, nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.o = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.f1, self.f2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (split_heads(z, self.heads) for z in self.qkv(self.n1(x)).chunk(3, -1))
        x = x + self.o(fused_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.f2(F.gelu(self.f1(self.n2(x)), approximate="tanh"))


class TextEncoder(nn.Module):
    """ids [B, length] -> embedding [B, registers + length, text_dim]. The first positions are one register
    per attribute; `attributes` reads the class (the last one: not mentioned) from each of them."""

    def __init__(self, c: DiTConfig):
        super().__init__()
        d, n = c.text_dim, len(c.classes)
        self.emb, self.reg = nn.Embedding(c.vocab, d), nn.Parameter(torch.randn(n, d) * 0.5)
        self.pos = nn.Parameter(torch.randn(c.length, d) * c.text_pos_std)
        self.layers = nn.ModuleList(TextLayer(d, c.text_heads) for _ in range(c.text_depth))
        self.norm = nn.LayerNorm(d)
        self.read = nn.ModuleList(nn.Linear(d, k + 1) for k in c.classes)
        nn.init.normal_(self.emb.weight, std=0.5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.emb(ids) + self.pos[: ids.shape[1]]
        x = torch.cat([self.reg.expand(ids.shape[0], -1, -1).to(x.dtype), x], 1)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def attributes(self, embedding: Tensor) -> list[Tensor]:
        """Logits [B, classes + 1] per attribute."""
        return [m(embedding[:, i]) for i, m in enumerate(self.read)]
