"""Does the model draw what the prompt says? Three arms: scenes whose combinations it was trained with, held-out
combinations, and wordings kept for evaluation. The classifier names what is on the clips; beside every score
stands how often it is right where the truth is known.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..captions import FIELDS, MOTIONS, Scene, canonical, caption, mentioned, scene
from ..classifier import Classifier, targets
from .context import Context
from .pixels import sharpness

ARMS = ("seen", "held", "paraphrase")
TRAINED_WORDS = ("seen", "held")  # arms whose prompts say nothing that training did not say
SECOND = FIELDS.index("second")
Tally = dict[str, list[int]]  # name -> [right, of]


@dataclass(frozen=True)
class Arm:
    scenes: list[Scene]
    prompts: list[str]
    said: list[list[str]]  # fields that each prompt mentions; the others are the model's choice


@dataclass(frozen=True)
class Generated:
    """Clips of all arms, for the parts that look at them again."""

    arms: dict[str, Arm]
    latents: dict[str, Tensor]  # [N, tokens, C] f32, normalised
    frames: dict[str, Tensor]  # [N, T, 3, H, W] u8
    seconds: float  # per clip

    def scenes(self) -> list[Scene]:
        return [s for a in self.arms.values() for s in a.scenes]


def draw(split: str, n: int, seed: str) -> list[Scene]:
    """n scenes in which every motion is equally frequent."""
    rng, motions = random.Random(f"evaluation-{seed}"), list(MOTIONS)
    out: list[Scene] = []
    while len(out) < n:
        s = scene(rng, split)
        if s["motion"] == motions[len(out) % len(motions)]:
            out.append(s)
    return out


def make_arm(name: str, n: int) -> Arm:
    scenes = draw("held" if name == "held" else "train", n, name)
    if name != "paraphrase":
        return Arm(scenes, [canonical(s) for s in scenes], [mentioned(s) for s in scenes])
    rng = random.Random("evaluation-words")
    worded = [caption(s, rng, "full", held=True) for s in scenes]
    return Arm(scenes, [w[0] for w in worded], [w[1] for w in worded])


def generate(c: Context) -> Generated:
    arms = {name: make_arm(name, c.sizes.prompts) for name in ARMS}
    latents, frames, begin, seed = {}, {}, time.monotonic(), c.sampler.seed
    for name, arm in arms.items():
        z, y = [], []
        for k in range(0, len(arm.prompts), c.sizes.batch):
            z.append(c.pipe.latents(arm.prompts[k : k + c.sizes.batch], replace(c.sampler, seed=seed)))
            y.append(c.pipe.decode(z[-1]))
            seed += 1
        latents[name], frames[name] = torch.cat(z).cpu(), torch.cat(y)
        c.say(f"{name}: {len(arm.prompts)} clips generated")
    return Generated(arms, latents, frames, (time.monotonic() - begin) / sum(len(a.prompts) for a in arms.values()))


def tally(arm: Arm, read: Tensor) -> Tally:
    """read: class per clip and field. 'alone' counts the clips of one subject that show no second one."""
    out: Tally = {f: [0, 0] for f in (*FIELDS, "alone")}
    for s, said, found in zip(arm.scenes, arm.said, read.tolist(), strict=True):
        wanted = targets(s)
        fields = {f: found[i] == wanted[i] for i, f in enumerate(FIELDS) if f in said}
        if not s["second"]:
            fields["alone"] = found[SECOND] == wanted[SECOND]
        for f, right in fields.items():
            out[f][0] += right
            out[f][1] += 1
    return {f: v for f, v in out.items() if v[1]}


def per_motion(arms: dict[str, Arm], read: dict[str, Tensor]) -> Tally:
    """Every motion by itself, over the arms given."""
    out: Tally = {m: [0, 0] for m in MOTIONS}
    k = FIELDS.index("motion")
    for name, arm in arms.items():
        for s, said, found in zip(arm.scenes, arm.said, read[name].tolist(), strict=True):
            if "motion" in said:
                out[str(s["motion"])][0] += found[k] == targets(s)[k]
                out[str(s["motion"])][1] += 1
    return out


def interval(right: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, p = 1.96, right / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def prompts(c: Context, judge: Classifier, made: Generated) -> dict[str, Any]:
    read = {name: judge.classes(frames) for name, frames in made.frames.items()}
    twins = torch.stack([t.frames for t in c.twins(made.scenes())])
    drawn = Arm(made.scenes(), [p for a in made.arms.values() for p in a.prompts],
                [f for a in made.arms.values() for f in a.said])  # fmt: skip
    return {
        "clips_per_arm": c.sizes.prompts,
        **{name: tally(arm, read[name]) for name, arm in made.arms.items()},
        "rendered_twins": tally(drawn, judge.classes(twins)),
        "motions": per_motion({name: made.arms[name] for name in TRAINED_WORDS}, read),
        "classifier": judge.accuracy,
        **sharpness(torch.cat(list(made.frames.values())), twins),
    }
