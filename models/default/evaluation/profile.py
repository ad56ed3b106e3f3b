"""How much every block's output changes from step to step: the U that block caching lives on."""

from __future__ import annotations

from typing import Any

from torch import Tensor

DEPTH = 0.6  # a U has its lowest middle below this share of either end


def is_u(change: list[float]) -> bool:
    """change: per step, from the first to the last. Each end is a single step, the middle the inner three fifths."""
    edge = max(1, len(change) // 5)
    return min(change[edge:-edge]) < DEPTH * min(change[0], change[-1])


class Profile:
    """Relative L1 change of every block's output against the step before, in fp32."""

    def __init__(self) -> None:
        self.last: dict[int, Tensor] = {}
        self.rows: dict[int, list[float]] = {}

    def record(self, step: int, block: int, h: Tensor) -> None:
        h = h.float()
        if block in self.last:
            before = self.last[block]
            self.rows.setdefault(step, []).append(((h - before).abs().mean() / before.abs().mean()).item())
        self.last[block] = h

    def summary(self) -> dict[str, Any]:
        rows = list(self.rows.values())
        steps = [sum(r) / len(r) for r in rows]
        blocks = [list(b) for b in zip(*rows, strict=True)]
        edge = max(1, len(steps) // 5)
        return {
            "per_step": [round(s, 4) for s in steps],
            "first": round(steps[0], 4),
            "middle": round(min(steps[edge:-edge]), 4),
            "last": round(steps[-1], 4),
            "u_shape": is_u(steps),
            "u_blocks": sum(is_u(b) for b in blocks),
            "blocks": len(blocks),
            "per_block": [
                {"first": round(b[0], 4), "middle": round(min(b[edge:-edge]), 4), "last": round(b[-1], 4)}
                for b in blocks
            ],
        }
