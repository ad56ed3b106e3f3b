"""Figures of a packed checkpoint, as one JSON document, and its model card.

    python -m models.default.evaluate                                  of the training in the cache folder
    python -m models.default.evaluate --checkpoint DIR --training DIR  of another one
    python -m models.default.evaluate --only codec --only text         a part of it
    python -m models.default.evaluate --card DIR                       writes DIR/MODEL_CARD.md and DIR/card/*.png

The parts are in evaluation/: the autoencoder, what the text encoder reads, what the generated clips show by the
classifier and how sharp they are, what fewer steps cost, and whether training clips come back.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .captions import FIELDS, NAMES
from .classifier import Classifier, load
from .dataset import Atlas
from .evaluation import card, codec, memorisation, prompts, shipped, solvers, typed
from .evaluation.context import QUICK, Context, Sizes
from .evaluation.pictures import Pictures
from .evaluation.training import read_training
from .sample import Pipeline
from .train_text import field_accuracy, order_accuracy

SHOWN = 32  # held-out prompts on the contact sheet
PARTS = ("codec", "text", "prompts", "memorisation", "solvers")


def text(c: Context) -> dict[str, Any]:
    encoder, tok = c.pipe.model.text, c.pipe.tokenizer
    return {
        "order_only": round(order_accuracy(encoder, tok), 4),
        "trained_phrases": field_accuracy(encoder, tok),
        "held_phrases": field_accuracy(encoder, tok, held=True),
        "typed": {name: typed.typed(encoder, tok, rows) for name, rows in typed.load().items()},
    }


def weights(checkpoint: Path) -> dict[str, str]:
    """sha256 of what inference loads."""
    files = ("dit.safetensors", "vae.safetensors", "tokenizer.model")
    return {f: hashlib.sha256((checkpoint / f).read_bytes()).hexdigest() for f in files}


def evaluate(
    c: Context, parts: tuple[str, ...], judge: Classifier | None = None
) -> tuple[dict[str, Any], Pictures | None]:
    """The figures of these parts, and what the card shows of the clips that were generated for them. judge: needed
    for 'prompts'."""
    figures: dict[str, Any] = {
        "step": c.pipe.config["step"],
        "sampler": {"steps": c.sampler.steps, "shift": c.sampler.shift, "guidance": c.sampler.guidance},
    }
    pictures = None
    if "codec" in parts:
        figures["codec"] = codec.codec(c)
    if "text" in parts:
        figures["text"] = text(c)
    if {"prompts", "memorisation"} & set(parts):
        made = prompts.generate(c)
        timing = {"seconds": round(made.seconds, 2), "batch": c.sizes.batch, "threads": torch.get_num_threads()}
        figures["generation"] = {**timing, "device": c.pipe.device}
        near: list[tuple[Tensor, Tensor]] = []
        if "prompts" in parts:
            if judge is None:
                raise ValueError("the part 'prompts' needs a classifier")
            figures["prompts"] = prompts.prompts(c, judge, made)
        if "memorisation" in parts:
            figures["memorisation"], pairs = memorisation.memorisation(c, made)
            frames = torch.cat(list(made.frames.values()))
            near = [(frames[k], c.render(seed, "train").frames) for k, seed in pairs]
        pictures = Pictures(made.arms["held"].prompts[:SHOWN], made.frames["held"][:SHOWN], near)
    if "solvers" in parts:
        figures["solvers"] = solvers.solvers(c)
    return figures, pictures


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bwcache-gen" / "training"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--training", type=Path, default=cache, help="what `models.default.train --out` wrote")
    p.add_argument("--checkpoint", type=Path, help="packed checkpoint (default: TRAINING/checkpoint)")
    p.add_argument("--data", type=Path, help="atlas.npz and latents.pt (default: TRAINING/data)")
    p.add_argument("--classifier", type=Path, help="default: TRAINING/classifier")
    p.add_argument("--only", action="append", choices=PARTS, help="only this part (repeatable)")
    p.add_argument("--quick", action="store_true", help="tiny numbers, to see that everything runs")
    p.add_argument("--prompts", type=int, help=f"per arm (default: {Sizes.prompts})")
    p.add_argument("--batch", type=int, help=f"prompts sampled together (default: {Sizes.batch})")
    p.add_argument("--steps", type=int, help="default: the checkpoint's")
    p.add_argument("--shift", type=float)
    p.add_argument("--guidance", type=float)
    p.add_argument("--device", default="cpu")
    p.add_argument("--out", type=Path, help="write the figures there instead of to standard output")
    p.add_argument("--card", type=Path, help="also write the model card into this directory")
    p.add_argument("--bundle", type=Path, help="the checkpoint exported: the card's tables name its weights")
    return p.parse_args(arguments)


def refuse_other_classes(names: dict[str, list[str]] | None, checkpoint: Path) -> None:
    """Prompts and rendered clips are made of the classes in captions.py; a model of others cannot be judged by them."""
    other = [f for f in FIELDS if (names or {}).get(f) != NAMES[f]]
    if other:
        raise SystemExit(
            f"{checkpoint / 'config.json'}: its classes of {', '.join(other)} are not those of captions.py; "
            "BWCACHE_SUBJECTS=small or large chooses the list of subjects that it was trained with"
        )


def context(a: argparse.Namespace) -> tuple[Context, Path]:
    checkpoint, data = a.checkpoint or a.training / "checkpoint", a.data or a.training / "data"
    wanted = [checkpoint / "config.json", data / "atlas.npz"]
    if not a.only or {"codec", "memorisation"} & set(a.only):
        wanted.append(data / "latents.pt")
    missing = [str(f) for f in wanted if not f.exists()]
    if missing:
        raise SystemExit(f"not there: {', '.join(missing)}; python -m models.default.train makes them")
    pipe = Pipeline(str(checkpoint), a.device)
    refuse_other_classes(pipe.config.get("names"), checkpoint)
    sampler = pipe.sampler(steps=a.steps, shift=a.shift, guidance=a.guidance)
    sizes = replace(QUICK if a.quick else Sizes(), **{k: v for k in ("prompts", "batch") if (v := getattr(a, k))})
    return Context(pipe, Atlas(data / "atlas.npz", a.device), sampler, sizes, data), checkpoint


def main(arguments: list[str] | None = None) -> None:
    a = parse(arguments)
    parts = tuple(a.only or PARTS)
    if a.bundle and not a.card:
        raise SystemExit("--bundle is for the card; give --card as well")
    if a.card and set(parts) != set(PARTS):
        raise SystemExit("--card needs every part; leave --only out")
    c, checkpoint = context(a)
    try:
        judge = load(a.classifier or a.training / "classifier", a.device) if "prompts" in parts else None
        training = read_training(a.training) if a.card else None
        bundle = {"bundle": shipped.weights_hash(a.bundle, c.pipe.model)} if a.bundle else {}
    except ValueError as e:
        raise SystemExit(str(e)) from None
    figures, pictures = evaluate(c, parts, judge)
    figures["weights"] = weights(checkpoint) | bundle
    document = json.dumps(figures, indent=1)
    if a.out:
        a.out.write_text(document + "\n")
    else:
        print(document)
    if training and pictures:
        card.write(a.card, figures, pictures, training, c.pipe.config)
        print(f"wrote {a.card / 'MODEL_CARD.md'}", file=sys.stderr)


if __name__ == "__main__":
    main()
