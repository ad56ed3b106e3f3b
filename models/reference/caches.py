"""Cache goldens: whole runs of the tiny Wan transformer under the caches of diffusers and cache-dit.

    python -m models.reference.caches --out tests/data/golden

Writes caches.safetensors. `<case>.latents` are the final latents [1,C,F,H,W] f32; the metadata `<case>` is JSON:

    library    what ran, with its version
    theirs     its configuration
    batched    both branches went through the model in one call, unconditional first
    cache      the configuration of bwcache-gen that means the same, as in a config's `cache`
    decisions  per branch and step what was computed: a word per block with a letter per stage (self-attention,
               cross-attention, feed-forward), c computed, r reused. Counted at the last layer of each stage of the
               original, not asked of the library.

`magcache.ratios.<branch>` are what MagCache's own calibration measures over the plain run, 1 at step 0.
`seacache.filtered.<i>` are `seacache.tokens` [1,N,D] after SeaCache's filter; metadata `seacache.filter` has the grid
{F,H,W} and each noise level and power.

Metadata `run` is the sampling run of all cases, `weights` the hash of the bundle's weights. Noise, embeddings and
weights are the tiny Wan bundle's (golden/runs.safetensors); state and coefficients are float64, model and guidance
float32.

cache_cases.py has the cases. Thresholds and windows are such that every case computes and reuses several times, and
that no decision changes when a threshold moves by MARGIN.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from diffusers.hooks.mag_cache import _MAG_CACHE_LEADER_BLOCK_HOOK
from diffusers.hooks.sea_cache import _apply_sea_filter
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from models.export import golden, tiny_wan
from models.export.bundle import write_tensors
from models.export.parts import seeded
from models.reference.cache_cases import STEPS, Case, Clock, cases, mag
from models.reference.schedulers import float64_defaults

BUNDLE = Path(__file__).resolve().parents[2] / "tests/data/bundles/tiny-wan"
RUN = golden.Run(tiny_wan.EULER, STEPS, guidance_scale=4.0)
MARGIN = 0.02  # of a threshold
LEAST = 3  # steps that a case computes in full, and steps at which it reuses something
BRANCHES = ("cond", "uncond")
STAGES: dict[str, Callable[[Any], Any]] = {
    "self_attention": lambda block: block.attn1.to_out[0],
    "cross_attention": lambda block: block.attn2.to_out[0],
    "feed_forward": lambda block: block.ffn.net[2],
}

Decisions = dict[str, list[str]]  # per branch, a text per step


class Counter:
    """Rows that went through the last layer of every stage since the last call of `take`."""

    def __init__(self, blocks: Any) -> None:
        """Hook the layers; they run only where the stage is computed."""
        self._rows = [dict.fromkeys(STAGES, 0) for _ in blocks]
        for index, block in enumerate(blocks):
            for stage, layer in STAGES.items():
                layer(block).register_forward_hook(
                    lambda module, inputs, output, i=index, s=stage: self._note(i, s, len(output))
                )

    def _note(self, block: int, stage: str, rows: int) -> None:
        self._rows[block][stage] += rows

    def take(self, least: int = 1) -> str:
        """What at least so many rows went through; counts are not cleared."""
        return " ".join("".join("c" if n >= least else "r" for n in block.values()) for block in self._rows)

    def clear(self) -> None:
        """Start anew."""
        for block in self._rows:
            block.update(dict.fromkeys(STAGES, 0))


@dataclass(frozen=True)
class Inputs:
    """Model and inputs of every case."""

    model: Any
    noise: Tensor
    texts: dict[str, Tensor]  # per branch
    weights: str  # hash

    @staticmethod
    def read(bundle: Path = BUNDLE) -> Inputs:
        """The original with the bundle's weights, the inputs of its golden runs."""
        model = tiny_wan.transformer(tiny_wan.TINY)
        weights = load_file(bundle / "weights/model.safetensors")
        model.load_state_dict({name: weights[name] for name in model.state_dict()})
        with safe_open(bundle / "golden/runs.safetensors", "pt") as file:
            texts = {branch: file.get_tensor(branch) for branch in BRANCHES}
            return Inputs(model, file.get_tensor("noise"), texts, file.metadata()["weights"])


class Cached:
    """A copy of the model under the cache of a case."""

    def __init__(self, inputs: Inputs, case: Case) -> None:
        """Switch the cache on and count what is computed."""
        self.model, self.clock = copy.deepcopy(inputs.model), Clock()
        self._batched, self._texts = case.batched, inputs.texts
        case.enable(self.model, case.theirs, self.clock)
        self._counter = Counter(self.model.blocks)

    def predict(self, x: Tensor, t: Tensor) -> tuple[list[Tensor], list[str]]:
        """Both branches' predictions [1,C,F,H,W] at latents x and time t [1], and what was computed for each."""
        self._counter.clear()
        if self._batched:
            both = self.model(
                hidden_states=torch.cat([x, x]),
                timestep=torch.cat([t, t]),
                encoder_hidden_states=torch.cat([self._texts["uncond"], self._texts["cond"]]),
                return_dict=False,
            )[0]
            return [both[1:], both[:1]], [self._counter.take(1), self._counter.take(2)]
        predictions, done = [], []
        place = {"step_index": self.clock.step, "sigma": self.clock.sigma, "num_inference_steps": RUN.steps}
        for branch in BRANCHES:
            self._counter.clear()
            with self.model.cache_context(branch, **place):
                predictions.append(self.model(x, t, self._texts[branch], return_dict=False)[0])
            done.append(self._counter.take())
        return predictions, done


@torch.no_grad()
def run(inputs: Inputs, case: Case) -> tuple[Tensor, Decisions]:
    """Final latents, and what was computed. As golden.sample, with a cache."""
    cached, scheduler = Cached(inputs, case), golden.make_scheduler(RUN.scheduler, RUN.steps)
    latents = inputs.noise.double()
    decisions: Decisions = {branch: [] for branch in BRANCHES}
    for step, t in enumerate(scheduler.timesteps):
        cached.clock.step, cached.clock.timestep, cached.clock.sigma = step, float(t), float(scheduler.sigmas[step])
        (cond, uncond), done = cached.predict(latents.float(), t.float().expand(1))
        for branch, text in zip(BRANCHES, done, strict=True):
            decisions[branch].append(text)
        guided = uncond + RUN.guidance_scale * (cond - uncond)
        with float64_defaults():
            latents = scheduler.step(guided.double(), t, latents, return_dict=False)[0].double()
    return latents.float(), decisions


def moved(case: Case, factor: float) -> Case:
    """The case with another threshold."""
    return dataclasses.replace(case, theirs={**case.theirs, case.threshold: factor * case.theirs[case.threshold]})


def is_clear(inputs: Inputs, case: Case, decisions: Decisions) -> bool:
    """Whether both branches compute and reuse at LEAST steps, and decide so with thresholds MARGIN off."""
    for steps in decisions.values():
        reused = sum("r" in step for step in steps)
        if not LEAST <= reused <= RUN.steps - LEAST:
            return False
    factors = (1 - MARGIN, 1 + MARGIN) if case.threshold else ()
    return all(run(inputs, moved(case, factor))[1] == decisions for factor in factors)


def calibrated_ratios(inputs: Inputs) -> dict[str, Tensor]:
    """Ratios [steps] f32 per branch that MagCache's own calibration measures."""
    config = {"calibrate": True, "num_inference_steps": RUN.steps + 1}  # at the last one they would be printed and lost
    found: dict[str, Tensor] = {}

    def enable(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
        mag(model, theirs, clock)
        states.append(model.blocks[0]._diffusers_hook.get_hook(_MAG_CACHE_LEADER_BLOCK_HOOK).state_manager)

    states: list[Any] = []
    run(inputs, Case("diffusers", enable, config, {}))
    for branch in BRANCHES:
        found[branch] = torch.tensor(states[0]._state_cache[branch].calibration_ratios)
    return found


def filtered() -> tuple[dict[str, Tensor], str]:
    """Tokens [1,N,D] before and after SeaCache's filter, and how they were filtered, as JSON."""
    grid, noise_levels, powers = (3, 4, 5), (1.0, 0.9, 0.5, 0.05), (3.0, 2.0)
    places = seeded(*grid, 4, seed=31)
    tensors = {"seacache.tokens": places.reshape(1, -1, 4)}
    cases = [{"sigma": sigma, "power": power} for sigma in noise_levels for power in powers]
    for i, case in enumerate(cases):
        after = _apply_sea_filter(places, case["sigma"], case["power"])
        tensors[f"seacache.filtered.{i}"] = after.reshape(1, -1, 4)
    return tensors, json.dumps({"grid": grid, "cases": cases})


def goldens(inputs: Inputs) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of the file; raises ValueError for a case that shows too little."""
    sampling = {"scheduler": RUN.scheduler, "steps": RUN.steps, "guidance_scale": RUN.guidance_scale}
    tensors = {f"magcache.ratios.{branch}": ratios for branch, ratios in calibrated_ratios(inputs).items()}
    metadata = {"weights": inputs.weights, "run": json.dumps(sampling), "tolerance": "1e-5 of the largest value"}
    after, metadata["seacache.filter"] = filtered()
    tensors |= after
    for name, case in cases().items():
        latents, decisions = run(inputs, case)
        if not is_clear(inputs, case, decisions):
            raise ValueError(f"{name}: computes or reuses too little, or a decision is near the threshold: {decisions}")
        tensors[f"{name}.latents"] = latents
        entry = {
            "library": f"{case.library} {version(case.library)}",
            "theirs": case.theirs,
            "batched": case.batched,
            "cache": case.cache,
            "decisions": decisions,
        }
        metadata[name] = json.dumps(entry)
    return tensors, metadata


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Writes whole runs under the caches of diffusers and cache-dit.")
    parser.add_argument("--out", type=Path, default=Path("tests/data/golden"))
    out: Path = parser.parse_args().out / "caches.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    write_tensors(out, *goldens(Inputs.read()))
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
