"""Puts what was measured between the markers of a page; what is written by hand around them stays."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/lint"))
from weights import DIGITS, weights_hash  # noqa: E402


def markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def replace(text: str, name: str, content: str) -> str:
    """The page with `content` between the markers of this name. Raises ValueError unless they stand there once, in
    order."""
    begin, end = markers(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"needs the lines '{begin}' and '{end}', each once and in this order")
    head, rest = text.split(begin)
    return f"{head}{begin}\n\n{content.strip(chr(10))}\n\n{end}{rest.split(end)[1]}"


def bundle_weights(bundle: Path) -> tuple[str, str]:
    """(sha256 of the manifest, first digits of the weights' hash) of a bundle folder."""
    text = (bundle / "model.json").read_bytes()
    return hashlib.sha256(text).hexdigest(), weights_hash(json.loads(text)["weights"])[:DIGITS]
