"""Prompt accuracy: does a clip show what its prompt says? An attribute classifier looks at the frames.

The final latents that `bench --keep-latents` left are decoded through the bundle's own decoder, and the classifier of
models/default/classifier.py names every attribute; scored are the fields that the prompt mentions. What was read once
is kept as a line of a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from models.default.captions import FIELDS
from models.default.classifier import Classifier, load, targets
from models.export.replay import Bundle

from .rows import Array, Rows, Table, latents_name

FOLDER = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bwcache-gen/training/classifier"
Prompt = dict[str, Any]  # a line of prompts.jsonl


@dataclass(frozen=True)
class Accuracy:
    """right: share of the mentioned fields that the classifier found, [arms, prompts]. fields: field -> arm -> [right,
    of] over the clips. own: how often the classifier is right on held-out clips whose truth is known, 'rendered' and
    'round_trip' (through the autoencoder), per field."""

    right: Array
    fields: dict[str, dict[str, list[int]]]
    own: dict[str, dict[str, float]]

    def classifier(self, kind: str, prompts: list[Prompt]) -> float:
        """The classifier's own accuracy over the fields that these prompts mention."""
        return float(np.mean([self.own[kind][f] for p in prompts for f in p["mentioned"]]))


class Reader:
    """Latents file -> class per field."""

    def __init__(self, bundle: Bundle, judge: Classifier, kept: Path, name: str):
        """name: of the classifier's weights; readings of another one are left alone."""
        self.bundle, self.judge, self.kept, self.name = bundle, judge, kept, name
        lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        self.known = {line["latents"]: line["classes"] for line in lines if line["classifier"] == name}

    @torch.no_grad()
    def frames(self, file: Path) -> Tensor:
        """[1, T, 3, H, W] u8"""
        with safe_open(file, "pt") as latents:
            latent = latents.get_tensor("latents")
        pieces = torch.cat(list(self.bundle.decode(latent, latent.shape[2])), 1)
        pieces = pieces[:, self.bundle.manifest["latent"]["leading_frames"] :]
        return (pieces.float().clamp(0, 1) * 255).round().to(torch.uint8)

    def read(self, file: Path) -> list[int]:
        """Raises ValueError where the latents are not there any more."""
        if file.name not in self.known:
            if not file.exists():
                raise ValueError(f"{file}: is not there; remove the rows beside it and run the benchmark again")
            classes = self.judge.classes(self.frames(file))[0].tolist()
            with self.kept.open("a") as out:
                out.write(json.dumps({"latents": file.name, "classifier": self.name, "classes": classes}) + "\n")
            self.known[file.name] = classes
        classes_of: list[int] = self.known[file.name]
        return classes_of


def reader(bundle: Path, dtype: str, classifier: Path, kept: Path) -> Reader:
    """Raises ValueError where there is no classifier, or one of other classes or other clips than the bundle makes."""
    judge = load(classifier)
    made, takes = json.loads((bundle / "model.json").read_text())["defaults"], judge.model.cfg
    if (made["num_frames"], made["height"], made["width"]) != (takes.frames, takes.size, takes.size):
        raise ValueError(
            f"{classifier} takes clips of {takes.frames} frames of {takes.size} x {takes.size}, the bundle makes "
            f"{made['num_frames']} of {made['width']} x {made['height']}"
        )
    name = hashlib.sha256((classifier / "classifier.safetensors").read_bytes()).hexdigest()[:12]
    return Reader(Bundle(bundle, dtype), judge, kept, name)


def score(look: Reader, table: Table, rows: Rows, prompts: list[Prompt], folder: Path) -> Accuracy:
    """folder: of the latents. Equal rounds give equal clips, so one of them is looked at."""
    by_words = {p["prompt"]: (i, p) for i, p in enumerate(prompts)}
    shares: dict[tuple[int, int], list[float]] = defaultdict(list)
    fields: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in rows:
        if row["round"] > 0:
            continue
        i, prompt = by_words[row["prompt"]]
        found, wanted = look.read(folder / latents_name(row)), targets(prompt["scene"])
        hits = {f: found[k] == wanted[k] for k, f in enumerate(FIELDS) if f in prompt["mentioned"]}
        shares[table.index(row["arm"]), i].append(sum(hits.values()) / len(hits))
        for f, hit in hits.items():
            tally = fields[f][row["arm"]]
            tally[0], tally[1] = tally[0] + hit, tally[1] + 1
    right = np.full((len(table.arms), len(prompts)), np.nan)
    for where, values in shares.items():
        right[where] = float(np.mean(values))
    return Accuracy(right, {f: dict(arms) for f, arms in fields.items()}, look.judge.accuracy)
