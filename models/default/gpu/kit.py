"""The kit: what the training on the lent machine reads, made beforehand where font and sentencepiece are.

A folder with atlas.npz (sprites), vocabulary.json (for unigram.py), tokenizer.model (for the packed checkpoint)
and kit.json (which subjects).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..captions import NAMES
from ..subjects import chosen


def prepare(kit: Path, font: str, lines: int) -> None:
    """lines: captions that the vocabulary is learned from."""
    from .. import dataset, tokenizer
    from ..state import write_json

    kit.mkdir(parents=True, exist_ok=True)
    dataset.build_atlas(font, kit / "atlas.npz")
    tokenizer.train_from_grammar(kit / "tokenizer.model", lines=lines)
    write_vocabulary(kit / "tokenizer.model", kit / "vocabulary.json")
    write_json(kit / "kit.json", {"subjects": chosen(), "names": NAMES})


def write_vocabulary(model: Path, out: Path) -> None:
    from ..state import write_json
    from ..tokenizer import Tokenizer

    t = Tokenizer(model)
    sp, size = t.pieces, len(t)
    kinds = (sp.is_byte, sp.is_control, sp.is_unknown, sp.is_unused)
    plain = [i for i in range(size) if not any(kind(i) for kind in kinds)]
    pieces = [[sp.id_to_piece(i), sp.get_score(i), i] for i in plain]
    first = next(i for i in range(size) if sp.is_byte(i))
    write_json(out, {"size": size, "length": t.length, "end": sp.eos_id(), "bytes": first, "pieces": pieces})


def check(kit: Path) -> dict[str, Any]:
    """The kit's description. Throws ValueError where the folder is no kit, or one of other subjects than those in
    use."""
    if not (kit / "kit.json").exists():
        raise ValueError(f"--kit {kit} holds no kit; `python -m models.default.gpu prepare` makes one")
    about: dict[str, Any] = json.loads((kit / "kit.json").read_text())
    if about["names"] != NAMES:
        now = os.environ.get("BWCACHE_SUBJECTS", "small, the default")
        raise ValueError(f"--kit {kit} was made for BWCACHE_SUBJECTS={about['subjects']}, it is {now} here")
    return about
