"""Adapter of this repository's default model (models/default): transformer, text encoder, video decoder.

Weights are rounded to bf16, vectors (biases, norms, per-channel factors) stay fp32; the goldens come from the original
with these very weights. The transformer's linear layer `qkv` is stored as `to_qkv`: a block has a method of that name.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.default import checkpoint
from models.default.dit import TextEncoder, rms, rotate, split_heads
from models.default.vae import Decoder
from models.export.parts import Part, Tree, graft, grid_of, seeded

Tensors = tuple[Tensor, ...]
StageResult = tuple[Tensors, Tensors]
STAGES = ["self_attention", "cross_attention", "feed_forward"]
TIME_STEPS = 1000.0  # the scheduler's t is 1000 sigma, the model's is sigma


class Conditions(Tree):
    """Rotary tables, keys and values of the text for every block."""

    def __init__(self, model: Any) -> None:
        """Take what makes keys and values, and the rotary frequencies."""
        super().__init__()
        self.depth, self.heads = model.cfg.depth, model.cfg.heads
        graft(self, model, [f"blocks.{i}.{name}" for i in range(self.depth) for name in ("ckv", "ckn")])
        self.register_buffer("axis", model.axis.clone(), persistent=False)
        self.register_buffer("freq", model.freq.clone(), persistent=False)
        self.dtype = model.inp.weight.dtype

    def forward(self, inputs: Tensors, grid: Tensor) -> tuple[Tensors, ...]:
        """inputs: text [B,37,C]; grid [N,3] -> per block: keys, values [B,h,37,D], cos, sin [1,1,N,D/2]."""
        angle = grid.float().index_select(1, self.axis) * self.freq
        cos, sin = angle.cos()[None, None].to(self.dtype), angle.sin()[None, None].to(self.dtype)
        return tuple((*self._text(getattr(self.blocks, str(i)), inputs[0]), cos, sin) for i in range(self.depth))

    def _text(self, block: Any, text: Tensor) -> Tensors:
        key, value = block.ckv(text).chunk(2, -1)
        return rms(split_heads(key, self.heads)) * block.ckn, split_heads(value, self.heads)


class Time(Tree):
    """Time embedding and the modulation of the blocks."""

    def __init__(self, model: Any) -> None:
        """Take the time layers."""
        super().__init__()
        graft(self, model, ["t1", "t2", "tmod"])
        self.register_buffer("tfreq", model.tfreq.clone(), persistent=False)
        self.scale = model.cfg.time_scale

    def forward(self, inputs: Tensors) -> tuple[Tensors, Tensors]:
        """inputs: t [B], 1000 sigma -> [B,d], [B,6,d]."""
        angle = (inputs[0].float() / TIME_STEPS * self.scale)[:, None] * self.tfreq
        features = torch.cat([angle.cos(), angle.sin()], -1).to(self.t1.weight.dtype)
        embedding = self.t2(F.silu(self.t1(features)))
        return (embedding,), (self.tmod(F.silu(embedding)).unflatten(-1, (6, -1)),)


class Embed(Tree):
    """Latent and its place in the clip to tokens."""

    def __init__(self, model: Any) -> None:
        """Take the input layers."""
        super().__init__()
        graft(self, model, ["inp", "pos"])
        self.clip_frames = model.cfg.clip_frames

    def forward(self, inputs: Tensors, grid: Tensor) -> Tensors:
        """inputs: latent [B,C,F,H,W] -> [B,N,d]."""
        x = inputs[0]
        c = grid.float()[None]
        rows_columns = (c[..., 1:] + 0.5) / (c[..., 1:].amax((-3, -2), keepdim=True) + 1)
        relative = torch.cat([c[..., :1] / (2 * self.clip_frames), rows_columns], -1)
        angle = torch.cat([relative * (math.pi * 2**k) for k in range(4)], -1)
        place = torch.cat([angle.cos(), angle.sin()], -1)
        return (self.inp(x.flatten(2).transpose(1, 2)) + self.pos(place.to(x.dtype)),)


class Head(Tree):
    """Tokens to prediction."""

    def __init__(self, model: Any) -> None:
        """Take the output layer and its modulation."""
        super().__init__()
        graft(self, model, ["table", "out"])

    def forward(self, hidden: Tensors, modulation: Tensors, latent: Tensor) -> Tensor:
        """hidden [B,N,d], modulation [B,d] -> [B,C,F,H,W]."""
        h, embedding = hidden[0], modulation[0]
        shift, scale = (self.table + embedding.unsqueeze(1)).unsqueeze(2).to(embedding.dtype).unbind(1)
        x = self.out(F.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift)
        return x.transpose(1, 2).unflatten(2, latent.shape[2:])


class Block(Tree):
    """One block: three stages. Modulation [B,6,d]; context: keys, values, cos, sin."""

    def __init__(self, model: Any, index: int) -> None:
        """Take everything but the keys and values of the text."""
        super().__init__()
        block = model.blocks[index]
        names = ["o", "qn", "kn", "cnorm", "cq", "co", "cqn", "f1", "f2", "table"]
        graft(self, block, names)
        self.add_module("to_qkv", block.qkv)
        self.heads = model.cfg.heads
        self.register_buffer("one", torch.ones(1, 1, 1, dtype=self.o.weight.dtype), persistent=False)

    def forward(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> Tensors:
        """The whole block."""
        hidden = self.self_attention_add(hidden, *self.self_attention(hidden, modulation, context))
        hidden = self.cross_attention_add(hidden, *self.cross_attention(hidden, modulation, context))
        return self.feed_forward_add(hidden, *self.feed_forward(hidden, modulation, context))

    def probe(self, hidden: Tensors, modulation: Tensors) -> Tensor:
        """The modulated input of the self-attention [B,N,d]."""
        shift, scale = self._modulation(modulation)[:2]
        return self._modulated(hidden[0], shift, scale)

    def self_attention(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """Attention among the tokens, before gate and sum."""
        query, key, value = self.qkv(hidden, modulation, context)
        return self.attention_out(F.scaled_dot_product_attention(query, key, value), modulation)

    def self_attention_gate(self, modulation: Tensors) -> Tensors:
        """Gate [B,1,d]."""
        return (self._modulation(modulation)[2],)

    def self_attention_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """The gated sum."""
        return (hidden[0] + gate[0] * output[0],)

    def cross_attention(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """Attention to the text, before the sum."""
        query = split_heads(self.cq(self.cnorm(hidden[0])), self.heads)
        attended = F.scaled_dot_product_attention(rms(query) * self.cqn, context[0], context[1])
        return (self.co(attended.transpose(1, 2).flatten(2)),), self.cross_attention_gate(modulation)

    def cross_attention_gate(self, modulation: Tensors) -> Tensors:
        """There is none: one."""
        return (self.one,)

    def cross_attention_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """The plain sum."""
        return (hidden[0] + output[0],)

    def feed_forward(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """The MLP, before gate and sum."""
        shift, scale, gate = self._modulation(modulation)[3:]
        x = self.f1(self._modulated(hidden[0], shift, scale))
        return (self.f2(F.gelu(x, approximate="tanh")),), (gate,)

    def feed_forward_gate(self, modulation: Tensors) -> Tensors:
        """Gate [B,1,d]."""
        return (self._modulation(modulation)[5],)

    def feed_forward_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """The gated sum."""
        return (hidden[0] + gate[0] * output[0],)

    def qkv(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values [B,h,N,D], normalised and rotated."""
        query, key, value = (
            split_heads(x, self.heads) for x in self.to_qkv(self.probe(hidden, modulation)).chunk(3, -1)
        )
        cos, sin = context[2], context[3]
        return rotate(rms(query) * self.qn, cos, sin), rotate(rms(key) * self.kn, cos, sin), value

    def attention_out(self, attended: Tensor, modulation: Tensors) -> StageResult:
        """What self_attention returns, from attended values [B,h,N,D]."""
        return (self.o(attended.transpose(1, 2).flatten(2)),), self.self_attention_gate(modulation)

    def _modulation(self, modulation: Tensors) -> Tensors:
        mod = modulation[0]
        return (self.table + mod).unsqueeze(2).to(mod.dtype).unbind(1)

    def _modulated(self, h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return F.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift


class Text(Tree):
    """The text encoder, weights under `text.`; the length is fixed, padding is attended to."""

    def __init__(self, model: TextEncoder, reads: bool) -> None:
        """Take all; the attribute readers only where `reads`, since without class names they say nothing."""
        super().__init__()
        self.text = Tree()
        graft(self.text, model, ["emb", "reg", "pos", "layers", "norm", *(["read"] if reads else [])])

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids, mask [B,32] -> registers and tokens [B,37,C]."""
        text: Any = self.text
        return TextEncoder.forward(text, ids)

    def attributes(self, text: Tensor) -> Tensors:
        """text [B,T',C] of forward -> logits [B,K+1] per attribute; the last class: not mentioned."""
        encoder: Any = self.text
        return tuple(TextEncoder.attributes(encoder, text))


class VideoDecoder(Tree):
    """The decoder of the video autoencoder, weights under `decoder.`."""

    def __init__(self, decoder: Decoder) -> None:
        """Take the decoder; the zero is a buffer, so that no device is baked."""
        super().__init__()
        self.add_module("decoder", decoder)
        zero = torch.zeros(1, 1, 1, 1, dtype=decoder.stem.weight.dtype)
        self.register_buffer("zero", zero, persistent=False)

    def initial(self, latent: Tensor) -> Tensors:
        """Zeros of the size of latent [1,C,1,H,W], one per block with memory."""
        rows, columns = latent.shape[3], latent.shape[4]
        return tuple(
            self.zero.expand(1, width, rows * k, columns * k)
            for width, count, k in zip(self.decoder.widths, self.decoder.counts, (1, 2, 2), strict=False)
            for _ in range(count)
        )

    def step(self, latent: Tensor, caches: Tensors) -> tuple[Tensor, Tensors]:
        """latent [1,C,F,H,W] -> frames [1,4F,3,16H,16W], new caches."""
        frames: tuple[Tensor, Tensors] = self.decoder.step(latent.transpose(1, 2), caches)
        return frames


def reads_attributes(model: checkpoint.Checkpoint) -> bool:
    """Whether the checkpoint names the classes that its registers are read as."""
    return "names" in model.config


def parts(model: checkpoint.Checkpoint, dtype: torch.dtype) -> dict[str, Part]:
    """All archives of a checkpoint that is already in `dtype`."""
    dit, config = model.dit, model.dit.cfg
    batch, shape, words = 3, (5, 13, 17), len(config.classes) + config.length
    tokens = math.prod(shape)
    sizes = frozenset({13, 17, 65, 221, tokens})
    latent, grid = seeded(batch, config.channels, *shape, seed=1).to(dtype), grid_of(*shape)
    text = seeded(batch, words, config.text_dim, seed=2).to(dtype)
    hidden = (seeded(batch, tokens, config.dim, seed=3).to(dtype),)
    t = torch.tensor([999.0, 500.0, 3.0])
    conditions, time, block = Conditions(dit), Time(dit), Block(dit, 0)
    ids = torch.randint(3, 50, (batch, config.length), generator=torch.Generator().manual_seed(1))
    decoder, reads = VideoDecoder(model.vae.decoder), reads_attributes(model)
    text_methods: dict[str, tuple[Any, ...]] = {"forward": (ids, torch.ones_like(ids))}
    if reads:
        text_methods["attributes"] = (text,)
    with torch.no_grad():
        context, (embedding, modulation) = conditions((text,), grid)[0], time((t,))
        stages = {s: getattr(block, s)(hidden, modulation, context) for s in STAGES}
        attended = F.scaled_dot_product_attention(*block.qkv(hidden, modulation, context))
    methods: dict[str, tuple[Any, ...]] = {"probe": (hidden, modulation), "attention_out": (attended, modulation)}
    methods.update(dict.fromkeys(("forward", "qkv", *STAGES), (hidden, modulation, context)))
    methods.update({f"{name}_gate": (modulation,) for name in STAGES})
    methods.update({f"{name}_add": (hidden, *stages[name]) for name in STAGES})
    first = latent[:1, :, :2]
    caches = decoder.initial(first[:, :, :1])
    return {
        "conditions": Part(conditions, {"forward": ((text,), grid)}, sizes),
        "time": Part(time, {"forward": ((t,),)}),
        "embed": Part(Embed(dit), {"forward": ((latent,), grid)}, sizes),
        "head": Part(Head(dit), {"forward": (hidden, embedding, latent)}, sizes),
        "block": Part(block, methods, sizes),
        "text_encoder": Part(Text(model.text, reads), text_methods),
        "decoder": Part(decoder, {"initial": (first[:, :, :1],), "step": (first, caches)}, sizes),
    }


def weights(model: checkpoint.Checkpoint) -> dict[str, Tensor]:
    """Everything inference needs, under the names of the bundle, in the dtype of storage."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.dit.state_dict().items():
        tensors[name.replace(".qkv.", ".to_qkv.") if name.startswith("blocks.") else name] = tensor
    reads = reads_attributes(model)
    text = {f"text.{k}": v for k, v in model.text.state_dict().items() if reads or not k.startswith("read.")}
    tensors |= text | {f"decoder.{k}": v for k, v in model.vae.decoder.state_dict().items()}
    return {k: v if v.ndim < 2 else v.bfloat16() for k, v in tensors.items()}


def round_weights(module: nn.Module) -> None:
    """Give a module in fp32 the values that the bundle stores."""
    with torch.no_grad():
        for parameter in module.requires_grad_(False).parameters():
            if parameter.ndim >= 2:
                parameter.copy_(parameter.bfloat16())
