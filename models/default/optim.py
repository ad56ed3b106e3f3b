"""Muon, the average of weights, and the learning-rate schedule: shared by all trainings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def orthogonal(g: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz orthogonalisation of matrices [..., a, b], computed in bf16."""
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


class Muon:
    """Nesterov momentum, orthogonalised per weight matrix (convolutions flattened to [out, in*k*k]). On a GPU
    matrices of one shape are handled together, since each alone is too small to fill it."""

    def __init__(self, params: Iterable[Tensor], momentum: float = 0.95, decay: float = 0.01):
        self.params, self.momentum, self.decay = list(params), momentum, decay
        self.buffers = [torch.zeros_like(p) for p in self.params]
        groups: dict[Any, list[int]] = {}
        for k, p in enumerate(self.params):
            groups.setdefault(tuple(p.shape) if p.is_cuda else k, []).append(k)
        self.groups = list(groups.values())

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for group in self.groups:
            members = [k for k in group if self.params[k].grad is not None]
            if members:
                self._step(members, lr)

    def _step(self, members: list[int], lr: float) -> None:
        params, buffers = ([v[k] for k in members] for v in (self.params, self.buffers))
        grads = [p.grad for p in params]
        torch._foreach_mul_(buffers, self.momentum)
        torch._foreach_add_(buffers, grads)
        ahead = torch._foreach_add(grads, buffers, alpha=self.momentum)
        if len(ahead) > 1:
            u = list(orthogonal(torch.stack([v.flatten(1) for v in ahead])))
        else:
            u = [orthogonal(ahead[0].flatten(1))]
        torch._foreach_mul_(params, 1 - lr * self.decay)
        size = -lr * max(1.0, u[0].shape[0] / u[0].shape[1]) ** 0.5
        torch._foreach_add_(
            params, [v.reshape(p.shape).to(p.dtype) for v, p in zip(u, params, strict=True)], alpha=size
        )
        for p in params:
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
        own = module.state_dict()
        torch._foreach_lerp_(list(self.weights.values()), [own[k].float() for k in self.weights], 1 - d)

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
