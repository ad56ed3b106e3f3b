"""A bench of made-up numbers."""

import json
from pathlib import Path
from typing import Any


def plan(sampler: str, steps: int, cache: str = "none", interval: int = 0) -> dict[str, Any]:
    return {"sampler": sampler, "steps": steps, "cache": {"policy": cache, "params": {"reuse_interval": str(interval)}}}


ARMS = {
    "base": (plan("euler", 50), 4.0, 30.0),
    "euler 25": (plan("euler", 25), 2.0, 26.0),
    "unipc 25": (plan("unipc", 25), 2.0, 32.0),
    "unipc 12": (plan("unipc", 12), 1.0, 28.0),
    "bwcache 0.1 R=1": (plan("euler", 50, "bwcache", 1), 2.0, 29.0),
    "bwcache 0.2 R=1": (plan("euler", 50, "bwcache", 1), 0.5, 20.0),
    "unipc 25 + bwcache 0.1 R=1": (plan("unipc", 25, "bwcache", 1), 2**0.5, 33.0),
    "easycache 0.1": (plan("euler", 50, "easycache"), 2.5, 25.0),  # 0.1 R=1 is better and quicker
}


def solver(p: dict[str, Any]) -> tuple[str, int]:
    return p["sampler"], p["steps"]


def uncached(p: dict[str, Any]) -> bool:
    return bool(p["cache"]["policy"] == "none")


class MadeUp:
    """Summary and rows as bench writes them: seconds and PSNR of ARMS, more on every next prompt; two rounds."""

    def __init__(self, folder: Path, prompts: list[str]) -> None:
        self.file = folder / "rows.jsonl"
        self.summary = {
            "arms": [{"name": n, "identity": f"id {n}", "plan": p, "cache_bytes": 0} for n, (p, _, _) in ARMS.items()],
            "prompts": prompts, "seeds": [42], "repeat": 2,
            "bundle": {"name": "made-up"}, "environment": {"threads": 1, "processor": "none"},
        }  # fmt: skip
        self.rows = [
            self.row(name, prompt, r, seconds * (1 + 0.1 * i), psnr + 0.01 * i)
            for i, prompt in enumerate(prompts) for name, (_, seconds, psnr) in ARMS.items() for r in (0, 1)
        ]  # fmt: skip
        self.write()

    def row(self, name: str, prompt: str, r: int, seconds: float, psnr: float) -> dict[str, Any]:
        quality = {"psnr_reference": psnr, "psnr_reference_worst": psnr - 1, "ssim_reference": psnr / 100,
                   "ssim_reference_worst": psnr / 110}  # fmt: skip
        if name != "base":
            quality |= {"psnr": psnr, "psnr_worst": psnr - 1, "ssim": psnr / 100, "ssim_worst": psnr / 110}
        exact = next(s for p, s, _ in ARMS.values() if solver(p) == solver(ARMS[name][0]) and uncached(p))
        times = {"denoise": seconds, "total": seconds + 1, "indicator": 0.01, "controller": 0.0}
        return {"identity": f"id {name}", "arm": name, "prompt": prompt, "seed": 42, "round": r, "seconds": times,
                "blocks_computed": int(100 * ARMS[name][1]), "computed_fraction": ARMS[name][1] / exact,
                "quality": quality}  # fmt: skip

    def write(self) -> None:
        self.file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
