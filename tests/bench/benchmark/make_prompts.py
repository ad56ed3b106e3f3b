"""Draws the held-out prompts of the benchmark; prompts.jsonl is its output.

    PYTHONPATH=tests/bench python -m benchmark.make_prompts build/release/bwcache-gen > prompts.jsonl

A line is one prompt: its id, the words, the scene with all its attributes, and the fields that the words mention.
Motions take turns, so every prefix of the file has them about equally often.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from typing import Any

from models.default.captions import MOTIONS, Scene, canonical, mentioned, scene

PROMPTS = 50  # every motion five times
SEED = "benchmark"


def draw(number: int) -> list[Scene]:
    """Scenes with a held-out combination, whose motions take turns; no two are worded alike."""
    rng, motions = random.Random(SEED), list(MOTIONS)
    out: list[Scene] = []
    words: set[str] = set()
    while len(out) < number:
        s = scene(rng, "held")
        if s["motion"] == motions[len(out) % len(motions)] and canonical(s) not in words:
            words.add(canonical(s))
            out.append(s)
    return out


def unknown_words(program: str, prompt: str) -> list[str] | None:
    """What the bundle says that it does not know; None where it cannot tell."""
    command = [program, "inspect", "--prompt", prompt, "--json"]
    reading: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found: list[str] | None = reading["unknown_words"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="bwcache-gen; its default bundle must know every word")
    program = parser.parse_args().program
    for i, s in enumerate(draw(PROMPTS)):
        prompt = canonical(s)
        if unknown := unknown_words(program, prompt):
            sys.exit(f"the bundle does not know {', '.join(unknown)} of '{prompt}'")
        line = {"id": f"held-{i:02d}", "prompt": prompt, "mentioned": mentioned(s), "scene": s}
        print(json.dumps(line))


if __name__ == "__main__":
    main()
