"""A made-up two-stream transformer: video and text tokens, two kinds of block, two experts.

It exists to be wider than any one family: streams of different width, a stage that changes only one of them, contexts
of different length, a kind without a separable attention, blocks that differ in number between experts.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.export.parts import Tree

CHANNELS, TEXT_DIM, TEXT_TOKENS = 8, 12, 6
VIDEO, TEXT, HEADS, HEAD_DIM = 16, 24, 2, 8
JOINT = HEADS * HEAD_DIM
KINDS = {"high": ("dual", "single", "dual", "single"), "low": ("dual", "single")}
SPLIT = 500.0  # experts: high from 1000 to here, low below


def split_heads(x: Tensor) -> Tensor:
    """[B,N,h*D] -> [B,h,N,D]."""
    return x.unflatten(2, (HEADS, HEAD_DIM)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """[B,h,N,D] -> [B,N,h*D]."""
    return x.transpose(1, 2).flatten(2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of x [B,h,N,D] by cos, sin [1,1,N,D/2]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise, scale and shift."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def mlp(dim: int) -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(approximate="tanh"), nn.Linear(2 * dim, dim))


class Dual(Tree):
    """Joint attention of both streams, then an MLP for each."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.video_qkv, self.text_qkv = nn.Linear(VIDEO, 3 * JOINT), nn.Linear(TEXT, 3 * JOINT)
        self.video_out, self.text_out = nn.Linear(JOINT, VIDEO), nn.Linear(JOINT, TEXT)
        self.norm_q, self.norm_k = nn.RMSNorm(HEAD_DIM, 1e-6), nn.RMSNorm(HEAD_DIM, 1e-6)
        self.video_mlp, self.text_mlp = mlp(VIDEO), mlp(TEXT)

    def forward(self, hidden: tuple[Tensor, Tensor], modulation: tuple[Tensor, Tensor], angle: Tensor) -> tuple:
        """hidden [B,N,16], [B,6,24]; modulation [B,6,16], [B,6,24]; angle [N,D/2] of the video tokens."""
        video, text = hidden
        v, t = (m.unsqueeze(2).unbind(1) for m in modulation)
        qkv = torch.cat([self.video_qkv(modulate(video, v[0], v[1])), self.text_qkv(modulate(text, t[0], t[1]))], 1)
        query, key, value = (split_heads(x) for x in qkv.chunk(3, -1))
        angle = torch.cat([angle, torch.zeros(text.shape[1], HEAD_DIM // 2)])
        cos, sin = angle.cos().to(qkv.dtype), angle.sin().to(qkv.dtype)
        query, key = rotate(self.norm_q(query), cos, sin), rotate(self.norm_k(key), cos, sin)
        joint = join_heads(F.scaled_dot_product_attention(query, key, value))
        count = video.shape[1]
        video = video + self.video_out(joint[:, :count]) * v[2]
        text = text + self.text_out(joint[:, count:]) * t[2]
        video = video + self.video_mlp(modulate(video, v[3], v[4])) * v[5]
        return video, text + self.text_mlp(modulate(text, t[3], t[4])) * t[5]


class Single(Tree):
    """Attention and MLP side by side on the video; the text passes, and enters as a bias."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.qkv, self.out, self.mlp = nn.Linear(VIDEO, 3 * JOINT), nn.Linear(JOINT, VIDEO), mlp(VIDEO)
        self.text_bias = nn.Linear(TEXT_DIM, VIDEO)

    def forward(
        self, hidden: tuple[Tensor, Tensor], modulation: tuple[Tensor, Tensor], angle: Tensor, words: Tensor
    ) -> tuple:
        """words [B,6,12]: the text as it came in."""
        video, text = hidden
        shift, scale, gate = modulation[0].unsqueeze(2).unbind(1)[:3]
        x = modulate(video, shift, scale) + self.text_bias(words.mean(1, keepdim=True))
        query, key, value = (split_heads(y) for y in self.qkv(x).chunk(3, -1))
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        attended = F.scaled_dot_product_attention(rotate(query, cos, sin), rotate(key, cos, sin), value)
        return video + (self.out(join_heads(attended)) + self.mlp(x)) * gate, text


class Expert(Tree):
    """Time embedding and blocks of one expert."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        """Make the layers."""
        super().__init__()
        self.time_in, self.time_out = nn.Linear(32, 32), nn.Linear(32, 6 * (VIDEO + TEXT) + 2 * VIDEO)
        self.blocks = nn.ModuleList(Dual() if kind == "dual" else Single() for kind in kinds)


class Synthetic(Tree):
    """The whole model."""

    def __init__(self) -> None:
        """Make the layers and the frequencies."""
        super().__init__()
        self.video_in, self.text_in = nn.Linear(CHANNELS, VIDEO), nn.Linear(TEXT_DIM, TEXT)
        self.experts = nn.ModuleDict({name: Expert(kinds) for name, kinds in KINDS.items()})
        self.out = nn.Linear(VIDEO, CHANNELS)
        self.register_buffer("frequencies", 10.0 ** (-torch.arange(16) / 8.0), persistent=False)
        axes = torch.tensor([[1.0, 0, 0, 0.1], [0, 0.7, 0, 0.2], [0, 0, 0.7, 0.3]])
        self.register_buffer("axes", axes, persistent=False)  # [3,D/2]: radians per step along each axis

    def forward(self, latent: Tensor, t: Tensor, words: Tensor, grid: Tensor) -> tuple[Tensor, list[tuple]]:
        """latent [B,8,F,H,W], t [B], words [B,6,12], grid [N,3] -> prediction, hidden state after every block."""
        expert: Any = self.experts["high" if float(t[0]) >= SPLIT else "low"]
        angle = t[:, None].float() * 0.01 * self.frequencies
        features = torch.cat([angle.cos(), angle.sin()], -1).to(latent.dtype)
        v, w, h = expert.time_out(F.silu(expert.time_in(features))).split((6 * VIDEO, 6 * TEXT, 2 * VIDEO), -1)
        modulation = v.unflatten(-1, (6, VIDEO)), w.unflatten(-1, (6, TEXT))
        shift, scale = h.unflatten(-1, (2, 1, VIDEO)).unbind(1)
        hidden = self.video_in(latent.flatten(2).transpose(1, 2)), self.text_in(words)
        angles, states = grid.float() @ self.axes, []
        for block in expert.blocks:
            extra = () if isinstance(block, Dual) else (words,)
            hidden = block(hidden, modulation, angles, *extra)
            states.append(hidden)
        out = self.out(modulate(hidden[0], shift, scale))
        return out.transpose(1, 2).unflatten(2, latent.shape[2:]), states
