"""A start from a transformer of another configuration: what fits is taken over, the rest begins anew.

Weights are taken by name and shape; token embeddings by the piece they stand for, since another tokenizer numbers
them otherwise; the first layer of the time embedding by least squares, since other frequencies need other weights for
the same function. Pure functions of their arguments; train.py decides when.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .dit import DiT, DiTConfig, TextEncoder
from .tokenizer import Tokenizer


def part(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The weights under `name.`, without it."""
    return {k.removeprefix(name + "."): v for k, v in weights.items() if k.startswith(name + ".")}


@torch.no_grad()
def take(module: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copies what fits; returns the names of what did not."""
    own = module.state_dict()
    fits = {k for k, v in weights.items() if k in own and own[k].shape == v.shape}
    module.load_state_dict({k: weights[k] if k in fits else v for k, v in own.items()})
    return sorted(set(own) - fits)


@torch.no_grad()
def take_text(encoder: TextEncoder, weights: Mapping[str, Tensor], pieces: tuple[Tokenizer, Tokenizer]) -> list[str]:
    """weights: `text.*` of the earlier model; pieces: its tokenizer and the new one. The position embedding begins
    anew: at the scale of a start that did not see word order it does not learn it any more."""
    earlier = part(weights, "text")
    old, new = (t.pieces for t in pieces)
    if earlier["emb.weight"].shape[1] != encoder.emb.weight.shape[1]:
        return sorted(encoder.state_dict())
    number = {old.id_to_piece(i): i for i in range(old.vocab_size())}
    table = encoder.emb.weight.detach().clone()
    for i in range(new.vocab_size()):
        if (j := number.get(new.id_to_piece(i))) is not None:
            table[i] = earlier["emb.weight"][j]
    registers = encoder.reg.detach().clone()  # new attributes come behind those that there were
    known = min(len(registers), len(earlier["reg"]))
    registers[:known] = earlier["reg"][:known]
    kept = {k: v for k, v in earlier.items() if k != "pos"}
    return take(encoder, kept | {"emb.weight": table, "reg": registers})


@torch.no_grad()
def take_transformer(dit: DiT, weights: Mapping[str, Tensor], old: DiTConfig) -> list[str]:
    """weights: `dit.*` of a transformer with the configuration old."""
    earlier = part(weights, "dit")
    other = DiT(old)
    if earlier["t1.weight"].shape[0] == dit.t1.weight.shape[0]:
        t = torch.linspace(0, 1, 1001)
        wanted = nn.functional.linear(other.time_features(t), earlier["t1.weight"], earlier["t1.bias"])
        features = torch.cat([dit.time_features(t), torch.ones(len(t), 1)], 1).double()
        # Neighbouring frequencies are nearly alike: without the ridge their weights would be huge and opposite.
        ridge = 1e-3 * len(t) * torch.eye(features.shape[1], dtype=torch.float64)
        fit = torch.linalg.solve(features.T @ features + ridge, features.T @ wanted.double()).float().T
        earlier |= {"t1.weight": fit[:, :-1].contiguous(), "t1.bias": fit[:, -1].contiguous()}
    return take(dit, earlier)
