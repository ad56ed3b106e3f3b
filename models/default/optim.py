"""Muon, the average of weights, and the learning-rate schedule: shared by all trainings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def orthogonal(g: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz orthogonalisation of a matrix, computed in bf16."""
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if tall else x


class Muon:
    """Nesterov momentum, orthogonalised per weight matrix (convolutions flattened to [out, in*k*k])."""

    def __init__(self, params: Iterable[Tensor], momentum: float = 0.95, decay: float = 0.01):
        self.params, self.momentum, self.decay = list(params), momentum, decay
        self.buffers = [torch.zeros_like(p) for p in self.params]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for p, b in zip(self.params, self.buffers, strict=True):
            if p.grad is None:
                continue
            b.mul_(self.momentum).add_(p.grad)
            u = orthogonal((p.grad + self.momentum * b).flatten(1))
            p.mul_(1 - lr * self.decay)
            p.add_(u.reshape(p.shape).to(p.dtype), alpha=-lr * max(1.0, u.shape[0] / u.shape[1]) ** 0.5)
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"buffers": self.buffers}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for b, v in zip(self.buffers, state["buffers"], strict=True):
            b.copy_(v)


class Average:
    """Exponential moving average of a module's weights, fp32; shorter at the start."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.weights = {k: v.detach().clone().float() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        d = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for k, v in module.state_dict().items():
            self.weights[k].lerp_(v.float(), 1 - d)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module with averaged weights, for evaluation."""
        own = {k: v.clone() for k, v in module.state_dict().items()}
        module.load_state_dict(self.weights)
        try:
            yield
        finally:
            module.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights = {k: state["weights"][k].to(v.device, copy=True) for k, v in self.weights.items()}
        self.updates = state["updates"]


def schedule(fraction: float, step: int, warm: int = 50, flat: float = 0.6, floor: float = 0.01) -> float:
    """Learning-rate factor: linear warm-up in steps, then flat, then linear decay over the rest of the budget,
    so that a run ends decayed whatever speed the machine has."""
    decay = 1.0 if fraction < flat else max(floor, (1 - fraction) / (1 - flat))
    return min(1.0, (step + 1) / warm) * decay
