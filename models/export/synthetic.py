"""Adapter of the synthetic model: wrappers around its layers, its manifest and its goldens."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.export import golden, tiny, tiny_decoder
from models.export import synthetic_model as sm
from models.export.parts import (
    DTYPES,
    Example,
    Family,
    Golden,
    Part,
    Record,
    Tree,
    convert,
    graft,
    grid_of,
    latent_grid,
    seeded,
)

Tensors = tuple[Tensor, ...]
StageResult = tuple[Tensors, Tensors]
EULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 2.0, "sigmas": "explicit"}
STEPS, GUIDANCE = 6, 3.0
TABLES = ("axes", "frequencies")  # fp32 in every run
DUAL_STAGES, SINGLE_STAGES = ["joint_attention", "feed_forward"], ["parallel"]


class Conditions(Tree):
    """Rotary tables; for a single block also the bias of the text."""

    def __init__(self, model: sm.Synthetic, expert: str) -> None:
        """Take what depends on text and grid."""
        super().__init__()
        self.kinds, self.expert = sm.KINDS[expert], expert
        singles = [i for i, kind in enumerate(self.kinds) if kind == "single"]
        graft(self, model, [f"experts.{expert}.blocks.{i}.text_bias" for i in singles])
        self.register_buffer("axes", model.axes.float(), persistent=False)
        self.register_buffer("still", torch.zeros(sm.TEXT_TOKENS, sm.HEAD_DIM // 2), persistent=False)
        self.dtype = model.out.weight.dtype

    def forward(self, inputs: Tensors, grid: Tensor) -> tuple[Tensors, ...]:
        """inputs: text [B,6,12] -> dual: cos, sin [N+6,D/2]; single: cos, sin [N,D/2], bias [B,1,16]."""
        angle = grid.float() @ self.axes
        joint = torch.cat([angle, self.still])
        dual, single = ((a.cos().to(self.dtype), a.sin().to(self.dtype)) for a in (joint, angle))
        words = inputs[0].mean(1, keepdim=True)
        blocks = getattr(self.experts, self.expert).blocks if "single" in self.kinds else None
        return tuple(
            dual if kind == "dual" else (*single, getattr(blocks, str(i)).text_bias(words))
            for i, kind in enumerate(self.kinds)
        )


class Time(Tree):
    """Modulation of the head: shift, scale [B,1,16]; of the blocks: [B,6,16] and [B,6,24]."""

    def __init__(self, model: sm.Synthetic, expert: str) -> None:
        """Take the time layers of one expert."""
        super().__init__()
        graft(self, model, [f"experts.{expert}.{p}" for p in ("time_in", "time_out")])
        self.expert = expert
        self.register_buffer("frequencies", model.frequencies.float(), persistent=False)

    def forward(self, inputs: Tensors) -> tuple[Tensors, Tensors]:
        """inputs: t [B]."""
        layers = getattr(self.experts, self.expert)
        angle = inputs[0][:, None].float() * 0.01 * self.frequencies
        features = torch.cat([angle.cos(), angle.sin()], -1).to(layers.time_in.weight.dtype)
        out = layers.time_out(F.silu(layers.time_in(features)))
        video, text, head = out.split((6 * sm.VIDEO, 6 * sm.TEXT, 2 * sm.VIDEO), -1)
        blocks = video.unflatten(-1, (6, sm.VIDEO)), text.unflatten(-1, (6, sm.TEXT))
        return head.unflatten(-1, (2, 1, sm.VIDEO)).unbind(1), blocks


class Embed(Tree):
    """Two streams from latent and text."""

    def __init__(self, model: sm.Synthetic) -> None:
        """Take the input layers."""
        super().__init__()
        graft(self, model, ["video_in", "text_in"])

    def forward(self, inputs: Tensors, grid: Tensor) -> Tensors:
        """inputs: latent, text -> [B,N,16], [B,6,24]."""
        return self.video_in(inputs[0].flatten(2).transpose(1, 2)), self.text_in(inputs[1])


class Head(Tree):
    """Prediction from the video stream."""

    def __init__(self, model: sm.Synthetic) -> None:
        """Take the output layer."""
        super().__init__()
        graft(self, model, ["out"])

    def forward(self, hidden: Tensors, modulation: Tensors, latent: Tensor) -> Tensor:
        """-> [B,8,F,H,W]."""
        return self.out(sm.modulate(hidden[0], *modulation)).transpose(1, 2).unflatten(2, latent.shape[2:])


def split(modulation: Tensor) -> Tensors:
    """[B,6,D] -> six of [B,1,D]."""
    return modulation.unsqueeze(2).unbind(1)


def add(hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
    """Gated sums; streams without an output pass."""
    sums = tuple(h + o * g for h, o, g in zip(hidden, output, gate, strict=False))
    return sums + hidden[len(output) :]


class Dual(Tree):
    """The dual block in stages."""

    def __init__(self, block: sm.Dual) -> None:
        """Take everything."""
        super().__init__()
        graft(self, block, [name for name, _ in block.named_children()])

    def forward(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> Tensors:
        """The whole block."""
        hidden = add(hidden, *self.joint_attention(hidden, modulation, context))
        return add(hidden, *self.feed_forward(hidden, modulation, context))

    def probe(self, hidden: Tensors, modulation: Tensors) -> Tensor:
        """The modulated video tokens."""
        shift, scale = split(modulation[0])[:2]
        return sm.modulate(hidden[0], shift, scale)

    def joint_attention(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """Attention over both streams."""
        query, key, value = self.qkv(hidden, modulation, context)
        return self.attention_out(F.scaled_dot_product_attention(query, key, value), modulation)

    def joint_attention_gate(self, modulation: Tensors) -> Tensors:
        """One gate per stream."""
        return split(modulation[0])[2], split(modulation[1])[2]

    def joint_attention_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """Gated sums."""
        return add(hidden, output, gate)

    def feed_forward(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """An MLP per stream."""
        v, t = split(modulation[0]), split(modulation[1])
        video = self.video_mlp(sm.modulate(hidden[0], v[3], v[4]))
        return (video, self.text_mlp(sm.modulate(hidden[1], t[3], t[4]))), (v[5], t[5])

    def feed_forward_gate(self, modulation: Tensors) -> Tensors:
        """One gate per stream."""
        return split(modulation[0])[5], split(modulation[1])[5]

    def feed_forward_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """Gated sums."""
        return add(hidden, output, gate)

    def qkv(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """Video tokens first, then text tokens."""
        shift, scale = split(modulation[1])[:2]
        text = self.text_qkv(sm.modulate(hidden[1], shift, scale))
        joint = torch.cat([self.video_qkv(self.probe(hidden, modulation)), text], 1)
        query, key, value = (sm.split_heads(x) for x in joint.chunk(3, -1))
        return sm.rotate(self.norm_q(query), *context), sm.rotate(self.norm_k(key), *context), value

    def attention_out(self, attended: Tensor, modulation: Tensors) -> StageResult:
        """The last rows are the text's, whose number is fixed by the model."""
        joint = sm.join_heads(attended)
        output = self.video_out(joint[:, : -sm.TEXT_TOKENS]), self.text_out(joint[:, -sm.TEXT_TOKENS :])
        return output, self.joint_attention_gate(modulation)


class Single(Tree):
    """The single block: one stage, which changes the video only; its attention is not separable."""

    def __init__(self, block: sm.Single) -> None:
        """Take everything but the text's bias."""
        super().__init__()
        graft(self, block, ["qkv", "out", "mlp"])

    def forward(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> Tensors:
        """The whole block."""
        return add(hidden, *self.parallel(hidden, modulation, context))

    def probe(self, hidden: Tensors, modulation: Tensors) -> Tensor:
        """The modulated video tokens, before the text's bias."""
        shift, scale = split(modulation[0])[:2]
        return sm.modulate(hidden[0], shift, scale)

    def parallel(self, hidden: Tensors, modulation: Tensors, context: Tensors) -> StageResult:
        """Attention and MLP side by side."""
        cos, sin, bias = context
        x = self.probe(hidden, modulation) + bias
        query, key, value = (sm.split_heads(y) for y in self.qkv(x).chunk(3, -1))
        attended = F.scaled_dot_product_attention(sm.rotate(query, cos, sin), sm.rotate(key, cos, sin), value)
        return (self.out(sm.join_heads(attended)) + self.mlp(x),), self.parallel_gate(modulation)

    def parallel_gate(self, modulation: Tensors) -> Tensors:
        """The video's gate."""
        return (split(modulation[0])[2],)

    def parallel_add(self, hidden: Tensors, output: Tensors, gate: Tensors) -> Tensors:
        """The video's gated sum; the text passes."""
        return add(hidden, output, gate)


def block_part(block: Dual | Single, stages: list[str], call: tuple[Any, ...], sizes: frozenset[int]) -> Part:
    """A block's archive; call: hidden, modulation, context."""
    hidden, modulation, _ = call
    methods: dict[str, tuple[Any, ...]] = {"forward": call, "probe": (hidden, modulation)}
    for stage in stages:
        with torch.no_grad():
            result = getattr(block, stage)(*call)
        methods |= {stage: call, f"{stage}_gate": (modulation,), f"{stage}_add": (hidden, *result)}
    if isinstance(block, Dual):
        with torch.no_grad():
            attended = F.scaled_dot_product_attention(*block.qkv(*call))
        methods |= {"qkv": call, "attention_out": (attended, modulation)}
    return Part(block, methods, sizes)


def parts(model: sm.Synthetic, decoder: tiny_decoder.TinyDecoder, dtype: torch.dtype) -> dict[str, Part]:
    """All archives in one dtype."""
    model, decoder = convert(copy.deepcopy(model), dtype, TABLES), convert(copy.deepcopy(decoder), dtype)
    model.requires_grad_(False).eval()
    shape, sizes = (5, 13, 17), frozenset({13, 17, 65, 221, 1105, 1111})
    latent, text = seeded(3, sm.CHANNELS, *shape, seed=1).to(dtype), seeded(3, 6, sm.TEXT_DIM, seed=2).to(dtype)
    t, grid = torch.tensor([900.0, 700.0, 501.0]), grid_of(*shape)
    embed, head, result = Embed(model), Head(model), {}
    with torch.no_grad():
        hidden = embed((latent, text), grid)
    for expert in sm.KINDS:
        conditions, time = Conditions(model, expert), Time(model, expert)
        result[f"conditions_{expert}"] = Part(conditions, {"forward": ((text,), grid)}, sizes)
        result[f"time_{expert}"] = Part(time, {"forward": ((t,),)})
    with torch.no_grad():
        contexts, (head_modulation, modulation) = conditions((text,), grid), time((t,))
    result["embed"] = Part(embed, {"forward": ((latent, text), grid)}, sizes)
    result["head"] = Part(head, {"forward": (hidden, head_modulation, latent)}, sizes)
    blocks: Any = model.experts["low"].blocks
    result["dual"] = block_part(Dual(blocks[0]), DUAL_STAGES, (hidden, modulation, contexts[0]), sizes)
    result["single"] = block_part(Single(blocks[1]), SINGLE_STAGES, (hidden, modulation, contexts[1]), sizes)
    result["decoder"] = tiny_decoder.part(decoder, dtype)
    return result


def expert_entry(name: str, start: float, end: float) -> dict[str, Any]:
    """One expert of the manifest."""
    blocks = [{"kind": kind, "prefix": f"experts.{name}.blocks.{i}."} for i, kind in enumerate(sm.KINDS[name])]
    return {
        "name": name,
        "from": start,
        "to": end,
        "conditions": {"code": f"conditions_{name}", "inputs": ["text"]},
        "time": {"code": f"time_{name}", "inputs": ["t"]},
        "embed": {"code": "embed", "inputs": ["latent", "text"]},
        "head": {"code": "head"},
        "blocks": blocks,
    }


def manifest() -> dict[str, Any]:
    """Without code, weights and goldens."""
    latent = {"channels": sm.CHANNELS, "spatial_stride": 8, "temporal_stride": 4, "leading_frames": 3}
    streams = [
        {"name": "video", "tokens": "latent", "patch": [1, 1, 1], "dim": sm.VIDEO},
        {"name": "text", "tokens": "text", "dim": sm.TEXT},
    ]
    defaults = {"width": 48, "height": 32, "num_frames": 9, "fps": 8, "steps": STEPS}
    return {
        "format_version": 1,
        "name": "synthetic",
        "family": "synthetic",
        "description": "Random weights, for tests: two streams, two kinds of block, two experts, no text encoder.",
        "licence": "Apache-2.0",
        "latent": {**latent, "mean": [0.0] * sm.CHANNELS, "std": [1.0] * sm.CHANNELS},
        "streams": streams,
        "text_dim": sm.TEXT_DIM,
        "text_tokens": sm.TEXT_TOKENS,
        "experts": [expert_entry("high", 1000.0, sm.SPLIT), expert_entry("low", sm.SPLIT, 0.0)],
        "kinds": {
            "dual": {"code": "dual", "stages": DUAL_STAGES, "attention": "joint_attention"},
            "single": {"code": "single", "stages": SINGLE_STAGES},
        },
        "decoder": "decoder",
        "scheduler": EULER,
        "prediction_type": "flow_prediction",
        "guidance": "cfg",
        "defaults": {**defaults, "guidance_scale": GUIDANCE, "negative_prompt": ""},
    }


def examples() -> list[Example]:
    """One per expert, and the boundary, which belongs to the first."""
    shapes = [(2, 2, 3, 4), (1, 3, 4, 2), (1, 1, 3, 5)]
    times = [[930.0, 640.0], [77.5], [500.0]]
    return [
        Example(seeded(b, sm.CHANNELS, *shape, seed=40 + i), torch.tensor(t), seeded(b, 6, sm.TEXT_DIM, seed=50 + i))
        for i, ((b, *shape), t) in enumerate(zip(shapes, times, strict=True))
    ]


def family() -> Family:
    """The synthetic model, ready to be exported."""
    model, decoder = sm.Synthetic(), tiny_decoder.TinyDecoder(sm.CHANNELS)
    tiny.randomise(model, lambda n, p: 0.12 if n.endswith("time_out.weight") else None, "synthetic.")
    tiny.randomise(decoder, tiny_decoder.scale, "synthetic.decoder.")
    for module in (model, decoder):
        for parameter in module.requires_grad_(False).parameters():
            parameter.copy_(parameter.bfloat16())  # the weight file is bf16: both dtypes have to agree with it
    models = {dtype: convert(copy.deepcopy(model), dtype, TABLES) for dtype in DTYPES.values()}

    @torch.no_grad()
    def original(example: Example) -> Record:
        chosen = models[example.latent.dtype]
        prediction, blocks = chosen(example.latent, example.t, example.text, latent_grid(example.latent))
        return Record(prediction, blocks)

    def goldens() -> dict[str, Golden]:
        noise = seeded(1, sm.CHANNELS, 3, 4, 6, seed=61)
        cond, uncond = seeded(1, 6, sm.TEXT_DIM, seed=62), seeded(1, 6, sm.TEXT_DIM, seed=63)
        table = {"euler.cfg": golden.Run(EULER, STEPS, GUIDANCE), "euler.none": golden.Run(EULER, STEPS, 1.0)}
        runs = golden.runs(lambda x, t, y: original(Example(x, t, y)).prediction, table, noise, cond, uncond)
        return {"denoiser": golden.denoiser(original, examples()), "runs": runs}

    weights = dict(model.state_dict()) | {"decoder." + k: v for k, v in decoder.state_dict().items()}
    weights = {name: tensor.bfloat16() for name, tensor in weights.items()}
    return Family(
        manifest=manifest(),
        parts=lambda dtype: parts(model, decoder, dtype),
        weights={"weights/model.safetensors": weights},
        original=original,
        examples=examples(),
        goldens=goldens,
    )
