"""The tokenizer without sentencepiece: the same ids from a list of pieces and scores.

Only for ASCII, which the caption grammar is: sentencepiece normalises other characters.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

UNKNOWN = 10.0  # how far below the worst piece sentencepiece scores an unknown character


class Unigram:
    def __init__(self, path: str | os.PathLike[str]):
        with open(path, encoding="utf-8") as f:
            v: dict[str, Any] = json.load(f)
        self.length, self.end, self.bytes = v["length"], v["end"], v["bytes"]
        self.size = v["size"]
        self.pieces = {p: (np.float32(score), i) for p, score, i in v["pieces"]}  # rounds as sentencepiece: ties too
        self.longest = max(map(len, self.pieces))
        self.unknown = min(score for score, _ in self.pieces.values()) - np.float32(UNKNOWN)

    def __len__(self) -> int:
        return self.size

    def encode(self, text: str) -> list[int]:
        """Ids of the likeliest pieces (Viterbi); unknown characters as bytes."""
        text = " ".join(text.lower().split())
        if not text.isascii():
            raise ValueError(f"only ASCII can be tokenised without sentencepiece (got {text!r})")
        if not text:
            return []
        text = "▁" + text.replace(" ", "▁")
        best = [(np.float32(0), 0, 0)] + [(np.float32("-inf"), 0, 0)] * len(text)
        for start in range(len(text)):  # best[end]: score, start of the last piece, its id (-1: unknown)
            for end in range(start + 1, min(len(text), start + self.longest) + 1):
                score, i = self.pieces.get(text[start:end], (self.unknown if end == start + 1 else None, -1))
                if score is not None and best[start][0] + score > best[end][0]:
                    best[end] = (best[start][0] + score, start, i)
        ids, end = [], len(text)
        while end:
            _, start, i = best[end]
            ids += [i] if i >= 0 else [self.bytes + b for b in reversed(text[start:end].encode())]
            end = start
        return ids[::-1]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """-> i64 [B, length]: pieces, end mark, padding (0), as in tokenizer.Tokenizer."""
        out = torch.zeros(len(texts), self.length, dtype=torch.int64)
        for row, text in zip(out, texts, strict=True):
            ids = self.encode(text)[: self.length - 1] + [self.end]
            row[: len(ids)] = torch.tensor(ids)
        return out
