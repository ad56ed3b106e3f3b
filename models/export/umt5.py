"""The encoder of transformers' UMT5EncoderModel, written so that it can be traced for any length and device.

The original builds its mask and its relative positions through helpers that look at values or bake the device. The same
arithmetic is repeated here on the original's own submodules, and compared with it when the bundle is made.
"""

import math
from typing import Any

import torch
from torch import Tensor

from models.export.parts import Part, Tree, graft


class TextEncoder(Tree):
    """ids, mask int64 [B,T] -> text [B,T,C]."""

    def __init__(self, model: Any) -> None:
        """Take the embedding, the layers and the last norm."""
        super().__init__()
        graft(self, model, ["shared", "encoder.block", "encoder.final_layer_norm"])
        self.config = model.config

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode; masked positions are not attended to."""
        x = self.shared(ids)
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        bucket = self._buckets(ids)
        for layer in self.encoder.block:
            attention, feed_forward = layer.layer[0], layer.layer[1]
            x = x + self._attend(attention.SelfAttention, attention.layer_norm(x), bucket, bias)
            x = feed_forward(x)
        return self.encoder.final_layer_norm(x)

    def _buckets(self, ids: Tensor) -> Tensor:
        """Relative position buckets [T,T], bidirectional."""
        position = (ids[0] * 0 + 1).cumsum(0)
        relative = position[None, :] - position[:, None]
        buckets = self.config.relative_attention_num_buckets // 2
        exact = buckets // 2
        distance = relative.abs()
        span = math.log(self.config.relative_attention_max_distance / exact)
        large = exact + (torch.log(distance.float() / exact) / span * (buckets - exact)).to(torch.long)
        bucket = torch.where(distance < exact, distance, large.clamp(max=buckets - 1))
        return (relative > 0).to(torch.long) * buckets + bucket

    def _attend(self, attention: Any, x: Tensor, bucket: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.config.num_heads, -1)).transpose(1, 2)
            for layer in (attention.q, attention.k, attention.v)
        )
        position = attention.relative_attention_bias(bucket).permute(2, 0, 1).unsqueeze(0)
        scores = torch.matmul(query, key.transpose(2, 3)) + position + bias
        return attention.o(torch.matmul(scores.softmax(-1), value).transpose(1, 2).flatten(2))


def part(model: Any) -> Part:
    """The archive of the text encoder."""
    ids = torch.randint(2, 50, (3, 17), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(17)[None] < torch.tensor([[17], [5], [1]])).long()
    return Part(TextEncoder(model), {"forward": (ids, mask)}, frozenset({17}))
