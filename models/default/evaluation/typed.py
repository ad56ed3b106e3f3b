"""What the text encoder takes from prompts as people type them.

typed.json: two sets of prompts by people who knew the attributes and their classes, and neither the caption grammar
nor its words. Beside each prompt stand the classes that it may be read as, field by field; a field that it does not
mention is left out. The grammar was widened with the first set at hand, and never for the second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..captions import FIELDS, NAMES
from ..dit import TextEncoder
from ..train_text import Tokenizer, predict

PROMPTS = Path(__file__).parent / "typed.json"

Row = dict[str, Any]


def load(path: Path = PROMPTS) -> dict[str, list[Row]]:
    """The sets by their names. Raises ValueError for a field or class that does not exist, or is of another list of
    subjects."""
    sets: dict[str, list[Row]] = json.loads(path.read_text())
    for row in (row for rows in sets.values() for row in rows):
        for field in row.keys() - {"prompt"}:
            if field not in NAMES:
                raise ValueError(f"{path}: '{row['prompt']}': there is no field {field}")
            if strange := set(row[field]) - set(NAMES[field]):
                raise ValueError(f"{path}: '{row['prompt']}': {field} has no class {', '.join(sorted(strange))}")
    return sets


def typed(text: TextEncoder, tokenizer: Tokenizer, rows: list[Row]) -> dict[str, Any]:
    """Per field [right, prompts] of those that mention it ('said') and of those that do not ('silent': right is the
    reading 'not mentioned'); [right, prompts] of whole prompts: of which every mentioned field is read right."""
    read = predict(text, tokenizer, [r["prompt"] for r in rows]).tolist()
    said, silent = {f: [0, 0] for f in FIELDS}, {f: [0, 0] for f in FIELDS}
    whole = 0
    for row, classes in zip(rows, read, strict=True):
        names = {f: (*NAMES[f], None)[c] for f, c in zip(FIELDS, classes, strict=True)}  # None: not mentioned
        for f, name in names.items():
            count = said[f] if f in row else silent[f]
            count[0] += name in row.get(f, [None])
            count[1] += 1
        whole += all(names[f] in row[f] for f in FIELDS if f in row)
    return {"said": said, "silent": silent, "whole": [whole, len(rows)]}
