"""What the text encoder takes from prompts as people type them.

typed.json: prompts of someone who knew the attributes and their classes, and neither the caption grammar nor its words.
Beside each prompt stand the classes that it may be read as, field by field; a field that it does not mention is left
out. Training never words these prompts but by chance.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..captions import FIELDS, NAMES
from ..dit import TextEncoder
from ..train_text import Tokenizer, predict

PROMPTS = Path(__file__).parent / "typed.json"


def load(path: Path = PROMPTS) -> list[dict[str, Any]]:
    """Raises ValueError for a class that does not exist, and for one that this list of subjects does not have."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    for row in rows:
        for field in row.keys() - {"prompt"}:
            if strange := set(row[field]) - set(NAMES.get(field, ())):
                raise ValueError(f"{path}: '{row['prompt']}': {field} has no class {', '.join(sorted(strange))}")
    return rows


def typed(text: TextEncoder, tokenizer: Tokenizer, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """[right, mentioned] per field, and [right, prompts] of whole prompts: those of which every mentioned field is read
    right."""
    read = predict(text, tokenizer, [r["prompt"] for r in rows]).tolist()
    fields = {f: [0, 0] for f in FIELDS}
    whole = 0
    for row, classes in zip(rows, read, strict=True):
        right = {
            f: c < len(NAMES[f]) and NAMES[f][c] in row[f] for f, c in zip(FIELDS, classes, strict=True) if f in row
        }
        for f, hit in right.items():
            fields[f][0] += hit
            fields[f][1] += 1
        whole += all(right.values())
    return {"fields": fields, "whole": [whole, len(rows)]}
