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

`magcache.ratios.<branch>` are what MagCache's own calibration measures over the plain run, 1 at step 0. Metadata `run`
is the sampling run of all cases, `weights` the hash of the bundle's weights. Noise, embeddings and weights are the tiny
Wan bundle's (golden/runs.safetensors); state and coefficients are float64, model and guidance float32.

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
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from models.export import golden, tiny_wan
from models.export.bundle import write_tensors
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


def predict(
    model: Any, inputs: Inputs, case: Case, at: tuple[Tensor, Tensor], counter: Counter
) -> tuple[list[Tensor], list[str]]:
    """Both branches' predictions at latents and time, and what was computed for them."""
    x, t = at
    counter.clear()
    if case.batched:
        both = model(
            hidden_states=torch.cat([x, x]),
            timestep=torch.cat([t, t]),
            encoder_hidden_states=torch.cat([inputs.texts["uncond"], inputs.texts["cond"]]),
            return_dict=False,
        )[0]
        return [both[1:], both[:1]], [counter.take(1), counter.take(2)]
    predictions, done = [], []
    for branch in BRANCHES:
        counter.clear()
        with model.cache_context(branch):
            predictions.append(model(x, t, inputs.texts[branch], return_dict=False)[0])
        done.append(counter.take())
    return predictions, done


@torch.no_grad()
def run(inputs: Inputs, case: Case) -> tuple[Tensor, Decisions]:
    """Final latents, and what was computed. As golden.sample, with a cache."""
    model, clock = copy.deepcopy(inputs.model), Clock()
    case.enable(model, case.theirs, clock)
    counter = Counter(model.blocks)
    scheduler = golden.make_scheduler(RUN.scheduler, RUN.steps)
    latents = inputs.noise.double()
    decisions: Decisions = {branch: [] for branch in BRANCHES}
    for t in scheduler.timesteps:
        clock.timestep = float(t)
        (cond, uncond), done = predict(model, inputs, case, (latents.float(), t.float().expand(1)), counter)
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


def goldens(inputs: Inputs) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of the file; raises ValueError for a case that shows too little."""
    sampling = {"scheduler": RUN.scheduler, "steps": RUN.steps, "guidance_scale": RUN.guidance_scale}
    tensors = {f"magcache.ratios.{branch}": ratios for branch, ratios in calibrated_ratios(inputs).items()}
    metadata = {"weights": inputs.weights, "run": json.dumps(sampling), "tolerance": "1e-4 of max|latents|"}
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
