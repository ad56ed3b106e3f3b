"""What a text encoder of this model can say of a prompt: classes per attribute, and the words of its training.

A bundle carries both, so that the program can tell which words of a prompt the model has never seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .captions import FIELDS, NAMES, texts

# ASCII letters and digits, and what is beyond ASCII and neither white space nor punctuation; joined by single hyphens
# or apostrophes. The program cuts prompts by the same rule (docs/bundle-format.md).
_LETTER = "[0-9A-Za-z\u00c0-\u1fff\u2070-\u2fff\u3040-\U0010ffff]"
_WORD = re.compile(f"{_LETTER}+(?:[-'\u2019]{_LETTER}+)*")


def split(text: str) -> list[str]:
    """The words of a cleaned text."""
    return _WORD.findall(text)


def unknown(text: str, known: Sequence[str]) -> list[str]:
    """Words of a cleaned text, each once, that are not in `known`, neither whole nor part by part ("well-lit")."""
    found = set(known)
    strange = [w for w in split(text) if w not in found and not set(re.split("[-'\u2019]", w)) <= found]
    return list(dict.fromkeys(strange))


def words() -> list[str]:
    """Every word that means something in a training caption, in ascending order.

    Typos are left out, since they are drawn to be read as the word that they hide, and words drawn to be ignored:
    adjectives, styles and made-up ones. So are phrases and subjects that are kept for evaluation: training never words
    them.
    """
    return sorted({w for text in texts() for w in split(text)})


def attributes(names: Mapping[str, Sequence[str]], classes: Sequence[int]) -> list[dict[str, str | list[str]]]:
    """The manifest's `text.attributes`, in the order of the registers.

    names: classes per field, as a checkpoint holds them; classes: their counts in the transformer's configuration.
    Raises ValueError where the two disagree.
    """
    found = {f: len(names.get(f, ())) for f in FIELDS}
    if set(names) != set(FIELDS) or list(found.values()) != list(classes):
        raise ValueError(
            f"config.json: names gives {found} classes, dit.classes has {list(classes)} for {', '.join(FIELDS)}; "
            "pack the training again with the captions.py that it was made with"
        )
    return [{"name": f, "classes": list(names[f])} for f in FIELDS]


def words_of(config: Mapping[str, object]) -> list[str] | None:
    """The words that a packed checkpoint was trained on; None where that cannot be known.

    A checkpoint that does not list them is given the grammar's, if it has the grammar's classes.
    """
    listed = config.get("words")
    if isinstance(listed, list):
        return sorted(set(listed))
    return words() if config.get("names") == NAMES else None
