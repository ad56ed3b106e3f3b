"""The diffusion transformer of diffusers' WanTransformer3DModel, cut as the contract wants it.

Every wrapper holds submodules of the original under their original paths and repeats the original's arithmetic on them:
adds and modulation in fp32, the islands of `_keep_in_fp32_modules` in fp32, everything else in the run's dtype.
Text-to-video only: no image embedding, one time step per row of the batch.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from torch import Tensor

from models.export.parts import Part, Tree, convert, graft, grid_of, seeded

Tensors = tuple[Tensor, ...]
StageResult = tuple[Tensors, Tensors]
STAGES = ["self_attention", "cross_attention", "feed_forward"]
AXES = ("frame", "row", "column")


class Conditions(Tree):
    """Rotary tables of the tokens, keys and values of the text for every block."""

    def __init__(self, model: Any) -> None:
        """Take the text embedder and what makes keys and values."""
        super().__init__()
        self.depth, self.heads = len(model.blocks), model.config.num_attention_heads
        names = [f"blocks.{i}.attn2.{p}" for i in range(self.depth) for p in ("to_k", "norm_k", "to_v")]
        graft(self, model, ["condition_embedder.text_embedder", *names])
        self.patch = model.config.patch_size
        widths = (model.rope.t_dim, model.rope.h_dim, model.rope.w_dim)
        tables = model.rope.freqs_cos.split(widths, 1), model.rope.freqs_sin.split(widths, 1)
        for axis, cos, sin in zip(AXES, *tables, strict=True):  # the original stores every value twice
            self.register_buffer("cos_" + axis, cos[:, 0::2].clone(), persistent=False)
            self.register_buffer("sin_" + axis, sin[:, 1::2].clone(), persistent=False)

    def forward(self, inputs: Tensors, grid: Tensor) -> tuple[Tensors, ...]:
        """inputs: text; grid [N,3] -> per block: keys, values [B,h,T,D], cos, sin [1,1,n,D/2] f32."""
        text = self.condition_embedder.text_embedder(inputs[0])
        tokens = self._tokens(grid).unbind(1)
        cos, sin = (
            torch.cat([getattr(self, name + a).index_select(0, i) for a, i in zip(AXES, tokens, strict=True)], 1)
            for name in ("cos_", "sin_")
        )
        cos, sin = cos[None, None], sin[None, None]
        return tuple((*self._text(i, text), cos, sin) for i in range(self.depth))

    def _tokens(self, grid: Tensor) -> Tensor:
        """Coordinates of the patches [n,3]: the positions where one begins, divided by its size."""
        keep = grid[:, 0].remainder(self.patch[0]) == 0
        for axis in (1, 2):
            keep = keep & (grid[:, axis].remainder(self.patch[axis]) == 0)
        first = grid.index_select(0, torch.nonzero(keep).squeeze(-1))
        return torch.stack([first[:, i].floor_divide(p) for i, p in enumerate(self.patch)], 1)

    def _text(self, index: int, text: Tensor) -> Tensors:
        attention = getattr(self.blocks, str(index)).attn2
        key, value = attention.norm_k(attention.to_k(text)), attention.to_v(text)
        return tuple(x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (key, value))


class Time(Tree):
    """Modulation of the head (the time embedding) and of the blocks (its projection)."""

    def __init__(self, model: Any) -> None:
        """Take the time embedder; the frequencies become a buffer, so that no device is baked."""
        super().__init__()
        graft(self, model, [f"condition_embedder.{p}" for p in ("time_embedder", "act_fn", "time_proj")])
        half = model.config.freq_dim // 2
        exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32) / half
        self.register_buffer("frequencies", exponent.exp(), persistent=False)

    def forward(self, inputs: Tensors) -> tuple[Tensors, Tensors]:
        """inputs: t [B] -> time embedding [B,D], block modulation [B,6,D]."""
        embedder = self.condition_embedder
        angle = inputs[0][:, None].float() * self.frequencies[None]
        features = torch.cat([angle.cos(), angle.sin()], -1)
        embedding = embedder.time_embedder(features).to(embedder.time_proj.weight.dtype)
        return (embedding,), (embedder.time_proj(embedder.act_fn(embedding)).unflatten(1, (6, -1)),)


class Embed(Tree):
    """Latent to tokens."""

    def __init__(self, model: Any) -> None:
        """Take the patch embedding."""
        super().__init__()
        graft(self, model, ["patch_embedding"])

    def forward(self, inputs: Tensors, grid: Tensor) -> Tensors:
        """inputs: latent [B,C,F,H,W] -> tokens [B,n,D]."""
        return (self.patch_embedding(inputs[0]).flatten(2).transpose(1, 2).contiguous(),)


class Head(Tree):
    """Tokens to prediction."""

    def __init__(self, model: Any) -> None:
        """Take the output norm, its modulation and the projection."""
        super().__init__()
        graft(self, model, ["norm_out", "proj_out", "scale_shift_table"])
        self.patch = model.config.patch_size

    def forward(self, hidden: Tensors, modulation: Tensors, latent: Tensor) -> Tensor:
        """hidden [B,n,D], time embedding [B,D] -> [B,C,F,H,W]."""
        x = hidden[0]
        shift, scale = (self.scale_shift_table + modulation[0].unsqueeze(1)).chunk(2, dim=1)
        x = self.proj_out((self.norm_out(x.float()) * (1 + scale) + shift).type_as(x))
        frames, rows, columns = (latent.shape[i + 2] // p for i, p in enumerate(self.patch))
        x = x.reshape(latent.shape[0], frames, rows, columns, *self.patch, -1)
        return x.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


class Block(Tree):
    """One transformer block: three stages. Modulation [B,6,D]; context: keys, values, cos, sin."""

    def __init__(self, model: Any, index: int) -> None:
        """Take everything of a block but the keys and values of its text."""
        super().__init__()
        names = ["norm1", "attn1", "attn2.to_q", "attn2.norm_q", "attn2.to_out", "norm2", "ffn", "norm3"]
        graft(self, model.blocks[index], [*names, "scale_shift_table"])
        self.heads = model.config.num_attention_heads
        dtype = self.attn2.to_q.weight.dtype
        self.register_buffer("one", torch.ones(1, 1, 1, dtype=dtype), persistent=False)

    def forward(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> Tensors:
        """The whole block."""
        hidden = self.self_attention_add(hidden, *self.self_attention(hidden, modulation, context))
        hidden = self.cross_attention_add(hidden, *self.cross_attention(hidden, modulation, context))
        return self.feed_forward_add(hidden, *self.feed_forward(hidden, modulation, context))

    def probe(self, hidden: Tensors, modulation: Tensors) -> Tensor:
        """The modulated input of the self-attention [B,n,D]."""
        x, (shift, scale) = hidden[0], self._modulation(modulation)[:2]
        return (self.norm1(x.float()) * (1 + scale) + shift).type_as(x)

    def self_attention(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """Attention among the tokens, before gate and sum."""
        query, key, value = self.qkv(hidden, modulation, context)
        return self.attention_out(F.scaled_dot_product_attention(query, key, value), modulation)

    def self_attention_gate(self, modulation: Tensors) -> Tensors:
        """Gate [B,1,D] f32."""
        return (self._modulation(modulation)[2],)

    def self_attention_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """The gated sum in fp32."""
        return ((hidden[0].float() + output[0] * gate[0]).type_as(hidden[0]),)

    def cross_attention(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """Attention to the text, before the sum."""
        x = hidden[0]
        query = self.attn2.norm_q(self.attn2.to_q(self.norm2(x.float()).type_as(x)))
        query = query.unflatten(2, (self.heads, -1)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(query, context[0], context[1])
        return (_out(self.attn2.to_out, attended),), self.cross_attention_gate(modulation)

    def cross_attention_gate(self, modulation: Tensors) -> Tensors:
        """There is none: one."""
        return (self.one,)

    def cross_attention_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """The plain sum in the run's dtype."""
        return (hidden[0] + output[0],)

    def feed_forward(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """The MLP, before gate and sum."""
        x, (shift, scale, gate) = hidden[0], self._modulation(modulation)[3:]
        return (self.ffn((self.norm3(x.float()) * (1 + scale) + shift).type_as(x)),), (gate,)

    def feed_forward_gate(self, modulation: Tensors) -> Tensors:
        """Gate [B,1,D] f32."""
        return (self._modulation(modulation)[5],)

    def feed_forward_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """The gated sum in fp32."""
        return ((hidden[0].float() + output[0].float() * gate[0]).type_as(hidden[0]),)

    def qkv(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values [B,h,n,D], normalised and rotated."""
        x, attention = self.probe(hidden, modulation), self.attn1
        query, key = attention.norm_q(attention.to_q(x)), attention.norm_k(attention.to_k(x))
        query, key, value = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in (query, key, attention.to_v(x)))
        return _rotate(query, context[2], context[3]), _rotate(key, context[2], context[3]), value

    def attention_out(self, attended: Tensor, modulation: Tensors) -> StageResult:
        """What self_attention returns, from attended values [B,h,n,D]."""
        return (_out(self.attn1.to_out, attended),), self.self_attention_gate(modulation)

    def _modulation(self, modulation: Tensors) -> Tensors:
        """Shift, scale, gate of the attention, shift, scale, gate of the MLP: [B,1,D] f32."""
        return (self.scale_shift_table + modulation[0].float()).chunk(6, dim=1)


def _out(projection: Any, attended: Tensor) -> Tensor:
    return projection[0](attended.transpose(1, 2).flatten(2, 3))


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring pairs of x [B,h,n,D] by cos, sin [1,1,n,D/2]."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).type_as(x)


def in_dtype(model: Any, dtype: torch.dtype) -> Any:
    """A copy for inference in `dtype`, as `from_pretrained(torch_dtype=…)` would give it."""
    copy = WanTransformer3DModel.from_config(model.config)
    copy.load_state_dict(model.state_dict())
    convert(copy, dtype, model._keep_in_fp32_modules)
    return copy.requires_grad_(False).eval()


def transformer_parts(model: Any, dtype: torch.dtype) -> dict[str, Part]:
    """Archives of the transformer; example sizes are primes, so that a baked one is seen."""
    config, batch, frames, rows, columns, words = model.config, 3, 5, 13, 17, 37
    tokens, dim = frames * rows * columns, config.num_attention_heads * config.attention_head_dim
    p_t, p_h, p_w = config.patch_size
    latent = seeded(batch, config.in_channels, frames * p_t, rows * p_h, columns * p_w, seed=1).to(dtype)
    grid = grid_of(frames * p_t, rows * p_h, columns * p_w)
    text = seeded(batch, words, config.text_dim, seed=2).to(dtype)
    hidden = (seeded(batch, tokens, dim, seed=3).to(dtype),)
    modulation = (seeded(batch, 6, dim, seed=4).to(dtype),)
    embedding = (seeded(batch, dim, seed=5).to(dtype),)
    conditions, block = Conditions(model), Block(model, 0)
    with torch.no_grad():
        context = conditions((text,), grid)[0]
        stages = {s: getattr(block, s)(hidden, modulation, context) for s in STAGES}
        attended = F.scaled_dot_product_attention(*block.qkv(hidden, modulation, context))
    methods: dict[str, tuple[Any, ...]] = {"probe": (hidden, modulation), "attention_out": (attended, modulation)}
    methods.update(dict.fromkeys(("forward", "qkv", *STAGES), (hidden, modulation, context)))
    methods.update({f"{name}_gate": (modulation,) for name in STAGES})
    methods.update({f"{name}_add": (hidden, *stages[name]) for name in STAGES})
    sizes = frozenset({tokens, rows, columns, words, rows * p_h, columns * p_w, rows * columns})
    return {
        "conditions": Part(conditions, {"forward": ((text,), grid)}, sizes),
        "time": Part(Time(model), {"forward": ((torch.tensor([999.0, 500.0, 3.0]),),)}, sizes),
        "embed": Part(Embed(model), {"forward": ((latent,), grid)}, sizes),
        "head": Part(Head(model), {"forward": (hidden, embedding, latent)}, sizes),
        "block": Part(block, methods, sizes),
    }


def transformer_manifest(model: Any, text_tokens: int) -> dict[str, Any]:
    """The manifest's entries that the transformer decides."""
    config = model.config
    dim = config.num_attention_heads * config.attention_head_dim
    return {
        "streams": [{"name": "video", "tokens": "latent", "patch": list(config.patch_size), "dim": dim}],
        "text_dim": config.text_dim,
        "text_tokens": text_tokens,
        "experts": [
            {
                "name": "main",
                "from": 1000.0,
                "to": 0.0,
                "conditions": {"code": "conditions", "inputs": ["text"]},
                "time": {"code": "time", "inputs": ["t"]},
                "embed": {"code": "embed", "inputs": ["latent"]},
                "head": {"code": "head"},
                "blocks": [{"kind": "block", "prefix": f"blocks.{i}."} for i in range(len(model.blocks))],
            }
        ],
        "kinds": {"block": {"code": "block", "stages": STAGES, "attention": "self_attention"}},
    }
